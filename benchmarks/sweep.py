"""The sweep against cell-by-cell NMS and scoring, and its memory at full size, as tables.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/sweep.py [--images 500] [--full 4952]

Made-up candidates, 3000 an image in 20 classes. First on --images: seconds of CPU on one thread,
for the sweep the median of three runs with and without intervals. Cell by cell is `apply` and
`voc_map`, timed in 25 cells spread over the grid and scaled to all of them; in those the score and
the number of boxes are compared. Then on --full images, in a process of its own: seconds from the
.npz file to the cells, and the most memory it held.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from evaluate.metrics.voc import voc_map
from evaluate.sweep.thresholds import CONFS, IOUS, apply, sweep
from evaluate.tables import Detections, GroundTruth

CLASSES, SIDE, PLACES = 20, 500, 60
GRIDS = {
    "the reports' values, 5 x 5": ((0.001, 0.005, 0.01, 0.05, 0.1), (0.45, 0.50, 0.55, 0.60, 0.65)),
    "default, 8 x 8": (CONFS, IOUS),
    "20 x 20": (
        tuple(np.geomspace(0.001, 0.5, 20).tolist()),
        tuple(np.linspace(0.3, 0.775, 20).tolist()),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--full", type=int, default=4952)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(whole_run(options.child)))
        return
    print(f"{options.images} images\n")
    print(
        "| grid | sweep | with intervals | cell by cell | ratio | ratio with intervals "
        "| cells that differ |"
    )
    print("|---|---|---|---|---|---|---|")
    dets, truth = made_up(options.images, 3000)
    warm_up()
    for name in GRIDS:
        print(f"| {name} | {compared(dets, truth, *GRIDS[name])} |", flush=True)
    del dets, truth
    with tempfile.TemporaryDirectory() as folder:
        for table, name in zip(made_up(options.full, 3000), ("candidates", "truth"), strict=True):
            table.save(Path(folder) / f"{name}.npz")
        done = subprocess.run(
            [sys.executable, __file__, "--child", folder],
            capture_output=True,
            text=True,
            check=True,
        )
    print(
        f"\n{options.full} images, {3000 * options.full:,} candidates, "
        "default grid with intervals\n"
    )
    print(
        "| load s | sweep s | sweep without intervals s | table MB | peak MB |\n"
        "|---|---|---|---|---|"
    )
    print(f"| {' | '.join(f'{value:.0f}' for value in json.loads(done.stdout))} |")


def compared(
    dets: Detections, truth: GroundTruth, confs: tuple[float, ...], ious: tuple[float, ...]
) -> str:
    """The columns of a line of the first table."""
    plain = median(
        seconds(lambda: sweep(dets, truth, confs=confs, ious=ious, replicates=0))[0]
        for _ in range(3)
    )
    runs = [seconds(lambda: sweep(dets, truth, confs=confs, ious=ious)) for _ in range(3)]
    full, cells = median(spent for spent, _ in runs), runs[0][1].cells
    spread = cells[:: -(-len(cells) // 25)]
    slow, different = [], 0
    for cell in spread:
        spent, (score, boxes) = seconds(lambda: scored(dets, truth, cell.conf, cell.iou))  # noqa: B023  called here
        slow.append(spent)
        different += (score, boxes) != (cell.map, cell.boxes)
    all_cells = sum(slow) / len(slow) * len(cells)
    numbers = f"{plain:.2f} | {full:.2f} | {all_cells:.1f}"
    ratios = f"{all_cells / plain:.0f} | {all_cells / full:.0f}"
    return f"{numbers} | {ratios} | {different} of {len(spread)}"


def scored(dets: Detections, truth: GroundTruth, conf: float, iou: float) -> tuple[float, int]:
    left = apply(dets, conf, iou)
    return voc_map(left, truth).map, len(left)


def whole_run(folder: Path) -> list[float]:
    """Seconds to load, to sweep with and without intervals; MB of the table and at the peak."""
    warm_up()
    load, dets = seconds(lambda: Detections.load(folder / "candidates.npz"))
    truth = GroundTruth.load(folder / "truth.npz")
    full, _ = seconds(lambda: sweep(dets, truth))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain, _ = seconds(lambda: sweep(dets, truth, replicates=0))
    table = sum(column.nbytes for column in (dets.image, dets.label, dets.score, dets.xyxy)) / 2**20
    return [load, full, plain, table, peak]


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what the call gave."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def warm_up() -> None:
    """Compile what is compiled when first called."""
    dets, truth = made_up(2, 50)
    scored(dets, truth, 0.1, 0.5)
    sweep(dets, truth)


def made_up(images: int, boxes: int) -> tuple[Detections, GroundTruth]:
    """So many boxes per image, jittered round 60 places; on average 2.4 of these are truths."""
    rng = np.random.default_rng(0)
    ids, names = (
        tuple(f"{i:06d}.jpg" for i in range(images)),
        tuple(f"{c:02d}" for c in range(CLASSES)),
    )
    centre = (rng.random((images, PLACES, 2)) * SIDE).astype(np.float32)
    size = np.exp(rng.normal(4.5, 0.8, (images, PLACES, 2))).astype(np.float32)
    label = np.minimum(rng.exponential(CLASSES / 5, (images, PLACES)), CLASSES - 1).astype(np.int16)
    has_truth = np.arange(PLACES) < rng.poisson(2.4, (images, 1))  # (images, PLACES)
    has_truth[0, 0] = True
    of, place = np.nonzero(has_truth)
    truth = GroundTruth(
        ids,
        names,
        of,
        label[has_truth],
        corners(centre[has_truth], size[has_truth]),
        rng.random(len(of)) < 0.15,
    )

    image = np.repeat(np.arange(images, dtype=np.int32), boxes)
    place = rng.integers(0, PLACES, len(image), dtype=np.int8)
    says = np.where(
        rng.random(len(image)) < 0.6, label[image, place], rng.integers(0, CLASSES, len(image))
    ).astype(np.int16)
    right = has_truth[image, place] & (says == label[image, place])
    score = np.where(right, rng.beta(1.2, 1.2, len(image)), rng.beta(0.35, 6, len(image))).astype(
        np.float32
    )
    xyxy = np.empty((len(image), 4), np.float32)
    for start in range(0, len(image), 1 << 20):  # in parts, to need little memory
        part = slice(start, start + (1 << 20))
        at = image[part], place[part]
        shift, grow = rng.normal(0, 0.12, (len(at[0]), 2)), rng.normal(0, 0.2, (len(at[0]), 2))
        xyxy[part] = corners(centre[at] + shift * size[at], size[at] * np.exp(grow))
    return Detections(ids, names, image, says, xyxy, score.clip(0.001, 1)), truth


def corners(centre: Any, size: Any) -> Any:
    """xyxy (n, 4) float32 within the image."""
    return (
        np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        .clip(0, SIDE)
        .astype(np.float32)
    )


if __name__ == "__main__":
    main()
