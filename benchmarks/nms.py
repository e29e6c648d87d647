"""Class-wise NMS against torchvision's: time, and whether both keep the same boxes.

    OMP_NUM_THREADS=1 python benchmarks/nms.py

One image with 300, 3000 and 30000 made-up boxes in 20 classes, IoU 0.5. Milliseconds of CPU on one
thread, medians of interleaved rounds. `torchvision` is one call a class on tensors that lie sorted
by class already; `survivor_masks` gets the unsorted table, and `nms` builds the table of what is
left too. torchvision takes float32 boxes here, and float64 ones where the boxes are compared: it
computes overlaps in their type.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from sweep import made_up
from torchvision.ops import nms as torchvision_nms

from evaluate.nms import nms, survivor_masks

CLASSES, IOU = 20, 0.5


def main() -> None:
    torch.set_num_threads(1)
    print(
        "| boxes | torchvision | survivors | nms | torchvision / survivors | torchvision / nms "
        "| different |"
    )
    print("|---|---|---|---|---|---|---|")
    for boxes in (300, 3000, 30000):
        print(f"| {boxes} | {compared(boxes)} |", flush=True)


def compared(boxes: int) -> str:
    """The columns of a line."""
    dets, _ = made_up(1, boxes)
    caps = {"candidates_max": boxes, "keep_max": boxes}
    iou_thresholds = np.full((CLASSES, 1), IOU)
    rows = [np.flatnonzero(dets.label == c) for c in range(CLASSES)]
    by_class = [(torch.from_numpy(dets.xyxy[r]), torch.from_numpy(dets.score[r])) for r in rows]
    theirs, ours, table = medians(
        30_000 // boxes * 10 + 15,
        lambda: [torchvision_nms(xyxy, score, IOU) for xyxy, score in by_class],
        lambda: list(survivor_masks(dets, iou_thresholds, **caps)),
        lambda: nms(dets, IOU, **caps),
    )
    exact = (
        torchvision_nms(xyxy.double(), score.double(), IOU).numpy() for xyxy, score in by_class
    )
    wanted = {row for r, kept in zip(rows, exact, strict=True) for row in r[kept].tolist()}
    different = wanted ^ {
        row for rows, _ in survivor_masks(dets, iou_thresholds, **caps) for row in rows.tolist()
    }
    numbers = (
        f"{theirs:.3f} | {ours:.3f} | {table:.3f} | {theirs / ours:.1f} | {theirs / table:.1f}"
    )
    return f"{numbers} | {len(different)}"


def medians(rounds: int, *calls: Callable[[], Any]) -> list[float]:
    """Milliseconds of CPU per call: medians of rounds in which they take turns, after a first."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            spent.append(1000 * (time.process_time() - start))
    return [median(spent[1:]) for spent in times]


if __name__ == "__main__":
    main()
