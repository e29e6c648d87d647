"""From candidates to detections: sweep and apply. No torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.tables import Detections
from harness.cli.options import TRUTH, AsJson, CandidatesMax, KeepMax, TruthOption, bar

if TYPE_CHECKING:
    from evaluate.sweep.sweep_csv import Cell
    from evaluate.sweep.thresholds import Sweep


def sweep_command(
    candidates: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The grid to write (.csv).")],
    source: TruthOption = TRUTH,
    conf: Annotated[str | None, Parameter(help="Comma-separated confidences.")] = None,
    iou: Annotated[str | None, Parameter(help="Comma-separated IoUs.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    per_class: Annotated[
        bool, Parameter(help="Write each class's own best cell too; apply then takes those.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score every pair of confidence and NMS IoU; the best cell is what `harness apply` takes."""
    from dataclasses import asdict

    from evaluate.sweep.sweep_csv import write_sweep
    from evaluate.sweep.thresholds import CONFS, IOUS
    from evaluate.sweep.thresholds import sweep as run

    found = run(
        Detections.load(candidates),
        source.load(),
        confs=_numbers("--conf", conf) if conf else CONFS,
        ious=_numbers("--iou", iou) if iou else IOUS,
        candidates_max=candidates_max,
        keep_max=keep_max,
        progress=lambda steps: bar(steps, desc="sweep"),
    )
    write_sweep(found.cells, out, found.by_class if per_class else ())
    if as_json:
        result: dict[str, Any] = {
            "best": asdict(found.cells[0]),
            "cells": [asdict(cell) for cell in found.cells],
        }
        if per_class:
            result["per_class"] = [asdict(cell) for cell in found.by_class]
            result["held_out"] = asdict(found.held_out) if found.held_out else None
        print(json.dumps(result))
        return
    print(f"{out}: {_best_text(found.cells)}")
    if per_class:
        print(_per_class_text(found))


def apply_command(
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
    from evaluate.sweep.sweep_csv import read_thresholds
    from evaluate.sweep.thresholds import apply as run

    if sweep is None and (conf is None or iou is None):
        raise InputError("apply: want --sweep sweep.csv, or --conf and --iou")
    dets = Detections.load(candidates)
    at = read_thresholds(sweep, dets.classes) if sweep is not None else (conf, iou)
    kept = run(dets, *at, candidates_max=candidates_max, keep_max=keep_max)
    kept.save(out)
    where = (
        f"conf {at[0]:g} iou {at[1]:g}"
        if isinstance(at[0], float)
        else "each class's own conf and iou"
    )
    print(f"{out}: {len(kept):,} detections on {len(kept.image_ids):,} images at {where}")


def _best_text(cells: list["Cell"]) -> str:
    top, *others = cells
    equals = sum(cell.could_be_best for cell in others)
    return (
        f"best AP50 {top.map:.4f} at conf {top.conf:g} iou {top.iou:g}, {top.boxes:,} boxes; "
        f"{equals} of the other {len(others)} cells could be as good"
    )


def _per_class_text(found: "Sweep") -> str:
    aps = [cell.ap for cell in found.by_class if cell.ap is not None]
    text = f"each class at its own best cell: {sum(aps) / len(aps):.4f} on the images it was chosen on; "
    if found.held_out is None:
        return text + "too few images to choose on one half and score on the other"
    own, one = found.held_out.by_class, found.held_out.one_cell
    return (
        text + f"chosen on one half and scored on the other {own:.4f}, one cell for all {one:.4f}"
    )


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f"{flag} {text}: want numbers with commas between them, such as 0.01,0.05"
        ) from None
