"""How long fusing takes beside the package ensemble-boxes, as a Markdown table.

    python benchmarks/fusion.py [--images 4952] [--rounds 9]

Three models, 20 classes, boxes in 0..1 as the package wants them, drawn at random; WBF at IoU 0.55, weights 2, 1, 1,
no NMS first. Times are medians of rounds in which both take turns, a round of one image being the mean of ten calls.
The data set is one call, for which the package does 20 images of it. NUMBA_NUM_THREADS says on how many cores.
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4952)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rows = []
    for boxes in (200, 3000):
        tables = drawn(1, boxes)
        fuse_tables(tables, RULE)  # compiled, or read from the cache
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(
                seconds(lambda tables=tables: fuse_tables(tables, RULE, weights=WEIGHTS), 10)
            )
            theirs.append(seconds(lambda tables=tables: package(tables), 10))
        rows.append((f"one image, 3 x {boxes} boxes", ours, theirs, 1))
    tables, some = drawn(options.images, 200), drawn(20, 200)
    ours, theirs = [], []
    for _ in range(min(options.rounds, 5)):
        ours.append(seconds(lambda: fuse_tables(tables, RULE, weights=WEIGHTS)))
        theirs.append(seconds(lambda: package(some)) * options.images / 20)
    rows.append((f"{options.images} images, 3 x 200 boxes", ours, theirs, options.images))
    print(f"{numba.config.NUMBA_NUM_THREADS} threads\n")
    print(
        "| what | harness | ensemble-boxes 1.0.9 | ratio | harness, an image |\n|---|---|---|---|---|"
    )
    for what, *times, images in rows:
        mine, its = (statistics.median(taken) for taken in times)
        print(
            f"| {what} | {_text(mine)} | {_text(its)} | {its / mine:.0f} | {_text(mine / images)} |"
        )


def drawn(images: int, boxes: int) -> list[Detections]:
    """Three tables of `boxes` boxes in each image, a third as large as the image at most."""
    rng = np.random.default_rng(0)
    tables = []
    for _ in WEIGHTS:
        n = images * boxes
        low = rng.random((n, 2), np.float32) * np.float32(2 / 3)
        xyxy = np.concatenate(
            [low, low + (rng.random((n, 2), np.float32) * 0.32 + 0.01).astype(np.float32)], axis=1
        )
        image, label = np.repeat(np.arange(images), boxes), rng.integers(0, len(CLASSES), n)
        score = rng.random(n) * 0.99 + 0.005
        tables.append(
            Detections(tuple(map(str, range(images))), CLASSES, image, label, xyxy, score)
        )
    return tables


def package(tables: list[Detections]) -> None:
    """The package, image by image, from lists it can take as they are."""
    by_image = [list(table.rows_by_image()) for table in tables]
    for rows in zip(*by_image, strict=True):
        given = [(t.xyxy[r], t.score[r], t.label[r]) for t, r in zip(tables, rows, strict=True)]
        weighted_boxes_fusion(
            *map(list, zip(*given, strict=True)), weights=WEIGHTS, iou_thr=RULE.iou
        )


def seconds(work: Callable[[], object], calls: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - started) / calls


def _text(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


if __name__ == "__main__":
    main()
