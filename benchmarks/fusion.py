"""How long fusing takes beside the package ensemble-boxes, as a Markdown table.

    python benchmarks/fusion.py [--images 4952] [--rounds 9]

Three models, 20 classes, random boxes in 0..1 as the package wants them; WBF at IoU 0.55, weights
2, 1, 1, no NMS first. Times are medians over rounds in which both take turns; a round of one image
is the mean of ten calls. The whole data set is one call, and the package's time for it is that of
20 images, scaled up. NUMBA_NUM_THREADS says on how many cores.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
from ensemble_boxes import weighted_boxes_fusion

from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.rule import FusionRule
from evaluate.tables import Detections

CLASSES = tuple(f"class {c}" for c in range(20))
WEIGHTS = [2, 1, 1]
RULE = FusionRule(members_iou=1)
SAMPLE = 20  # images of the data set that the package does
HEAD = (
    "| task | harness | ensemble-boxes 1.0.9 | ratio | harness, per image |\n|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4952)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    print(f"{numba.config.NUMBA_NUM_THREADS} threads\n\n{HEAD}")
    for boxes in (200, 3000):
        _print_row(f"one image, 3 x {boxes} boxes", 1, *one_image(boxes, options.rounds))
    times = data_set(options.images, min(options.rounds, 5))
    _print_row(f"{options.images} images, 3 x 200 boxes", options.images, *times)


def one_image(boxes: int, rounds: int) -> tuple[float, float]:
    """Median seconds of ours and of the package."""
    tables = random_tables(1, boxes)
    harness(tables)  # compiled, or read from the cache
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: harness(tables), calls=10))
        theirs.append(seconds(lambda: package(tables), calls=10))
    return statistics.median(ours), statistics.median(theirs)


def data_set(images: int, rounds: int) -> tuple[float, float]:
    """Median seconds of ours and of the package, for all images."""
    tables, sample = random_tables(images, 200), random_tables(SAMPLE, 200)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: harness(tables)))
        theirs.append(seconds(lambda: package(sample)) * images / SAMPLE)
    return statistics.median(ours), statistics.median(theirs)


def random_tables(images: int, boxes: int) -> list[Detections]:
    """Three tables of `boxes` boxes per image, each at most a third as large as the image."""
    rng = np.random.default_rng(0)
    ids, n = tuple(map(str, range(images))), images * boxes
    tables = []
    for _ in WEIGHTS:
        low = rng.random((n, 2), np.float32) * np.float32(2 / 3)
        size = (rng.random((n, 2), np.float32) * 0.32 + 0.01).astype(np.float32)
        xyxy = np.concatenate([low, low + size], axis=1)
        image, label = np.repeat(np.arange(images), boxes), rng.integers(0, len(CLASSES), n)
        score = rng.random(n) * 0.99 + 0.005
        tables.append(Detections(ids, CLASSES, image, label, xyxy, score))
    return tables


def harness(tables: list[Detections]) -> None:
    fuse_tables(tables, RULE, weights=WEIGHTS)


def package(tables: list[Detections]) -> None:
    """Image by image, from lists that the package takes as they are."""
    by_image = [list(table.rows_by_image()) for table in tables]
    for rows in zip(*by_image, strict=True):
        columns = [(t.xyxy[r], t.score[r], t.label[r]) for t, r in zip(tables, rows, strict=True)]
        boxes, scores, labels = map(list, zip(*columns, strict=True))
        weighted_boxes_fusion(boxes, scores, labels, weights=WEIGHTS, iou_thr=RULE.iou)


def seconds(work: Callable[[], object], calls: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - started) / calls


def _print_row(task: str, images: int, ours: float, theirs: float) -> None:
    cells = (task, _text(ours), _text(theirs), f"{theirs / ours:.0f}", _text(ours / images))
    print(f"| {' | '.join(cells)} |")


def _text(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


if __name__ == "__main__":
    main()
