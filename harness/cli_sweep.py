"""From candidates to detections: sweep and apply. No torch."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evaluate.tables import Detections, InputError
from harness.cli_options import AsJson, CandidatesMax, Data, Images, KeepMax, Split, Truth, bar, load_answers


def sweep(
    candidates: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The grid to write (.csv).")],
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Truth = None,
    conf: Annotated[str | None, Parameter(help="Comma-separated confidences.")] = None,
    iou: Annotated[str | None, Parameter(help="Comma-separated IoUs.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    as_json: AsJson = False,
) -> None:
    """Score every pair of confidence and NMS IoU; the best cell is what `harness apply` takes."""
    from dataclasses import asdict

    from evaluate.sweep import CONFS, IOUS, best, write_csv
    from evaluate.sweep import sweep as run

    cells = run(
        Detections.load(candidates),
        load_answers(data, split, images, truth),
        confs=_numbers("--conf", conf) if conf else CONFS,
        ious=_numbers("--iou", iou) if iou else IOUS,
        candidates_max=candidates_max,
        keep_max=keep_max,
        progress=lambda ious: bar(ious, desc="sweep"),
    )
    write_csv(cells, out)
    top = best(cells)
    if as_json:
        print(json.dumps({"best": asdict(top), "cells": [asdict(cell) for cell in cells]}))
    else:
        print(f"{out}: best AP50 {top.map:.4f} at conf {top.conf:g} iou {top.iou:g}, {top.boxes:,} boxes")


def apply(
    candidates: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The table of detections to write (.npz).")],
    sweep: Annotated[Path | None, Parameter(help="Take the best cell of this grid.")] = None,
    conf: float | None = None,
    iou: float | None = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
) -> None:
    """NMS and confidence threshold: candidates become detections."""
    from evaluate.sweep import apply as run
    from evaluate.sweep import best, read_csv

    if sweep is not None:
        cell = best(read_csv(sweep))
        conf, iou = cell.conf, cell.iou
    if conf is None or iou is None:
        raise InputError("apply: want --sweep sweep.csv, or --conf and --iou")
    kept = run(Detections.load(candidates), conf, iou, candidates_max=candidates_max, keep_max=keep_max)
    kept.save(out)
    print(f"{out}: {len(kept):,} detections on {len(kept.image_ids):,} images at conf {conf:g} iou {iou:g}")


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"{flag} {text}: want numbers with commas between them, such as 0.01,0.05") from None
