"""Writing and reading a submission, against the naive way. Prints a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/submission.py

4950 images with 100 made-up boxes each in 20 classes. Seconds of CPU on one thread, medians of
interleaved rounds after a first. Naive is what notebooks do: rows of f-strings through csv.writer,
and pandas with `ast.literal_eval` on each cell (or str.split and float), nothing checked. Ours
checks every cell, box and row; `read` knows the classes, `check` does not.
"""

import ast
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from sweep import made_up

from evaluate.tables import Detections
from submit.csv.check import check_submission
from submit.csv.formats import read_submission, write_submission
from submit.csv.profile import load_profile

IMAGES, BOXES, ROUNDS = 4950, 100, 5
SIZES = [(1000, 1000)] * IMAGES


def main() -> None:
    dets, _ = made_up(IMAGES, BOXES)
    print(
        "| profile | naive write | write | naive read | read | check | naive / write | naive / "
        "read |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("voc-list", "vinbigdata", "open-images"):
            print(f"| {name} | {compared(dets, name, Path(folder))} |", flush=True)


def compared(dets: Detections, name: str, folder: Path) -> str:
    """The columns of a line."""
    profile, path, other = load_profile(name), folder / "ours.csv", folder / "naive.csv"
    listed = profile.codec == "list"
    naive_write, write_all, naive_read, read_all, check_all = medians(
        lambda: naively_written(dets, other, listed),
        lambda: write_submission(dets, path, profile=profile, sizes=SIZES),
        lambda: naively_read(path, profile.cell, listed),
        lambda: read_submission(
            path, dets.classes, image_ids=dets.image_ids, profile=profile, sizes=SIZES
        ),
        lambda: check_submission(path, profile=profile),
    )
    times = (
        f"{naive_write:.2f} | {write_all:.2f} | {naive_read:.2f} | {read_all:.2f} | {check_all:.2f}"
    )
    return f"{times} | {naive_write / write_all:.1f} | {naive_read / read_all:.0f}"


def naively_written(dets: Detections, path: Path, listed: bool) -> None:
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["id", "image_id", "prediction_list"] if listed else ["image_id", "PredictionString"]
        )
        for image in range(len(dets.image_ids)):
            boxes = []
            for row in np.flatnonzero(dets.image == image):
                x1, y1, x2, y2 = dets.xyxy[row]
                if listed:
                    boxes.append(
                        [
                            dets.classes[dets.label[row]],
                            *map(float, (dets.score[row], x1 + 1, y1 + 1, x2, y2)),
                        ]
                    )
                else:
                    boxes.append(
                        f"{dets.label[row]} {dets.score[row]:.5f} {x1:.0f} {y1:.0f} {x2:.0f} "
                        f"{y2:.0f}"
                    )
            cell = (
                [image + 1, dets.image_ids[image], str(boxes)]
                if listed
                else [dets.image_ids[image], " ".join(boxes)]
            )
            rows.writerow(cell)


def naively_read(path: Path, column: str, listed: bool) -> list[list[list[object]]]:
    cells = pd.read_csv(path)[column]
    if listed:
        return [ast.literal_eval(cell) for cell in cells]
    found = []
    for cell in cells:
        words = cell.split()
        found.append(
            [[words[at], *map(float, words[at + 1 : at + 6])] for at in range(0, len(words), 6)]
        )
    return found


def medians(*calls: Callable[[], object]) -> list[float]:
    """Seconds of CPU each call takes: the medians of rounds in which they take turns, after a
    first.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            spent.append(time.process_time() - start)
    return [median(spent[1:]) for spent in times]


if __name__ == "__main__":
    main()
