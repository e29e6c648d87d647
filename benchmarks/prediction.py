"""How fast each way to predict is on this CPU, and what it costs in AP.

    python benchmarks/prediction.py WEIGHTS --data DATA --split test [--photos 48] [--rounds 5]

The ways are PyTorch, ONNX Runtime and OpenVINO, each with and without TTA. Every round runs every
way once, one after the other, from files on disk to a table of candidates, so that whatever else
the machine does slows all of them alike. The table gives the median of the rounds, and the
processor time per photo, which other processes disturb less. AP50 is that of the photos used, at
confidence 0.001 and NMS IoU 0.6. The number of threads is torch's (OMP_NUM_THREADS).
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from evaluate.tables import Detections, GroundTruth
from harness.cli.process import one_thread_per_photo
from harness.data.dataset import load_split
from harness.images.photos import Photos
from harness.inference.backends import export, open_model
from harness.inference.predict import predict
from harness.inference.validation import validation_ap50
from harness.inference.views import STANDARD, fuse_views, parse_views
from harness.weights import checkpoint
from models.detector import Detector


@dataclass
class Way:
    """One way to predict, and what each round took."""

    name: str
    model: Detector
    trunk: torch.dtype
    views: str
    wall: list[float] = field(default_factory=list)  # seconds
    busy: list[float] = field(default_factory=list)  # seconds of processor time, all threads
    candidates: Detections | None = None  # of the last round

    def run(self, photos: Photos, truth: GroundTruth, size: int) -> None:
        """Predict once, and note the time."""
        wall, busy = time.perf_counter(), time.process_time()
        tables = [
            predict(
                self.model,
                photos,
                truth.image_ids,
                classes=truth.classes,
                size=view.size,
                mirrored=view.mirrored,
                batch=1,
                precision=self.trunk,
            )
            for view in parse_views(self.views, size, self.model.stride_max)
        ]
        self.candidates = fuse_views(tables, None, 3000)
        self.wall.append(time.perf_counter() - wall)
        self.busy.append(time.process_time() - busy)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, help="long side in pixels; default: as trained")
    options = parser.parse_args()
    one_thread_per_photo()

    sample = load_split(options.data, options.split)
    count = min(options.photos, len(sample.photos))
    photos = Photos(sample.photos[:count], cache_bytes=0)
    truth = sample.truth.of_images(range(count))
    warm_up = Photos(sample.photos[:2]), sample.truth.of_images(range(2))

    with tempfile.TemporaryDirectory() as folder:
        ways, trained_size = open_ways(options.weights, Path(folder))
        size = options.size or trained_size
        for way in ways:  # the first run compiles and allocates
            way.run(*warm_up, size)
            way.wall.clear()
            way.busy.clear()
        for number in range(1, options.rounds + 1):
            for way in ways:
                way.run(photos, truth, size)
            print(f"round {number} of {options.rounds}", file=sys.stderr)
    print(
        f"{options.weights.name} at {size} pixels, {count} photos, {options.rounds} rounds, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}\n"
    )
    print(table(ways, truth))


def open_ways(weights: Path, folder: Path) -> tuple[list[Way], int]:
    """Every way with and without TTA, and the size that the weights were trained for."""
    detector, recipe = checkpoint.load_detector(weights)
    onnx, openvino = folder / "model.onnx", folder / "model.xml"
    export(detector, recipe.size, onnx, "onnx")
    export(detector, recipe.size, openvino, "openvino")

    models = [("torch float32, as loaded", detector, torch.float32)]
    for name, path, precision in (
        ("torch float32", weights, "float32"),
        ("torch bfloat16 trunk", weights, "bfloat16"),
        ("ONNX Runtime float32", onnx, "float32"),
        ("OpenVINO float32", openvino, "float32"),
        ("OpenVINO bfloat16", openvino, "bfloat16"),
    ):
        model, _, trunk = open_model(path, "cpu", precision)
        models.append((name, model, trunk))

    plain = [Way(name, model, trunk, "1") for name, model, trunk in models]
    tta = [Way(f"{name}, TTA", model, trunk, STANDARD) for name, model, trunk in models[1:]]
    return plain + tta, recipe.size


def table(ways: list[Way], truth: GroundTruth) -> str:
    """Markdown; ratios are to the first way of the same views."""
    lines = [
        "| way | photos/s | range | ratio | processor ms per photo | AP50 |",
        "|---|---|---|---|---|---|",
    ]
    count = len(truth.image_ids)
    first_busy = {way.views: median(way.busy) for way in reversed(ways)}
    for way in ways:
        assert way.candidates is not None
        speed = sorted(count / wall for wall in way.wall)
        busy = median(way.busy)
        lines.append(
            f"| {way.name} | {median(speed):.1f} | {speed[0]:.1f} to {speed[-1]:.1f} "
            f"| {first_busy[way.views] / busy:.2f} | {1000 * busy / count:.1f} "
            f"| {validation_ap50(way.candidates, truth):.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
