"""How fast each way to predict is on this CPU, and what it costs in AP: PyTorch, ONNX Runtime, OpenVINO.

    python benchmarks/prediction.py WEIGHTS --data DATA --split test [--photos 48] [--rounds 5] [--size N]

Every round runs every way once, one after the other, from files on disk to a table of candidates, so that what else
the machine does falls on all alike. The table gives the median of the rounds, and the processor time of a photo, which
other processes disturb less. AP50 is that of the photos looked at, at confidence 0.001 and NMS IoU 0.6.
The number of threads is torch's (OMP_NUM_THREADS).
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import Detections, GroundTruth
from harness.data.dataset import load_split
from harness.images.photos import Photos
from harness.inference import backends
from harness.inference.predict import predict
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
    found: Detections | None = None

    def look(
        self, photos: Photos, image_ids: tuple[str, ...], classes: tuple[str, ...], size: int
    ) -> None:
        """Predict once, and note the time."""
        wall, busy = time.perf_counter(), time.process_time()
        tables = [
            predict(
                self.model,
                photos,
                image_ids,
                classes=classes,
                size=view.size,
                mirrored=view.mirrored,
                batch=1,
                precision=self.trunk,
            )
            for view in parse_views(self.views, size, self.model.stride_max)
        ]
        self.found = fuse_views(tables, None, 3000)
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
    parser.add_argument("--size", type=int)
    options = parser.parse_args()
    sample = load_split(options.data, options.split)
    count = min(options.photos, len(sample.photos))
    photos = Photos(sample.photos[:count], cache_bytes=0)
    truth = sample.truth.of_images(range(count))
    with tempfile.TemporaryDirectory() as folder:
        ways, trained = made(options.weights, Path(folder))
        size = options.size or trained
        for way in ways:  # the first look compiles and allocates
            way.look(Photos(sample.photos[:2]), truth.image_ids[:2], truth.classes, size)
            way.wall.clear()
            way.busy.clear()
        for done in range(options.rounds):
            for way in ways:
                way.look(photos, truth.image_ids, truth.classes, size)
            print(f"round {done + 1} of {options.rounds}", file=sys.stderr)
    where = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    print(
        f"{options.weights.name} at {size} pixels, {count} photos, {options.rounds} rounds, {where}\n"
    )
    print(table(ways, truth))


def made(weights: Path, folder: Path) -> tuple[list[Way], int]:
    """Every way with and without TTA, and the size that the weights were trained for."""
    detector, recipe = checkpoint.load_detector(weights)
    onnx, openvino = folder / "model.onnx", folder / "model.xml"
    backends.export(detector, recipe.size, onnx, "onnx")
    backends.export(detector, recipe.size, openvino, "openvino")
    models = [("torch float32, as loaded", detector, torch.float32)]
    for name, path, precision in (
        ("torch float32", weights, "float32"),
        ("torch bfloat16 trunk", weights, "bfloat16"),
        ("ONNX Runtime float32", onnx, "float32"),
        ("OpenVINO float32", openvino, "float32"),
        ("OpenVINO bfloat16", openvino, "bfloat16"),
    ):
        model, _, trunk = backends.open_model(path, "cpu", precision)
        models.append((name, model, trunk))
    ways = [Way(name, model, trunk, "1") for name, model, trunk in models]
    return ways + [
        Way(f"{name}, TTA", model, trunk, STANDARD) for name, model, trunk in models[1:]
    ], recipe.size


def table(ways: list[Way], truth: GroundTruth) -> str:
    """Markdown; ratios are to the first way of the same views."""
    lines = [
        "| way | photos/s | range | ratio | processor ms a photo | AP50 |",
        "|---|---|---|---|---|---|",
    ]
    count = len(truth.image_ids)
    base = {way.views: median(way.busy) for way in reversed(ways)}
    for way in ways:
        assert way.found is not None
        speed, ap = (
            sorted(count / wall for wall in way.wall),
            voc_map(nms(way.found, 0.6), truth).map,
        )
        lines.append(
            f"| {way.name} | {median(speed):.1f} | {speed[0]:.1f} to {speed[-1]:.1f} "
            f"| {base[way.views] / median(way.busy):.2f} | {1000 * median(way.busy) / count:.1f} | {ap:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
