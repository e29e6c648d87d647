"""From candidates to detections: sweep and apply. No torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from evaluate.exceptions import InputError
from harness.cli.options import (
    TRUTH,
    AsJson,
    CandidatesMax,
    KeepMax,
    TruthOption,
    bars,
    parse_numbers,
)

if TYPE_CHECKING:
    from evaluate.sweep.sweep_csv import Cell
    from evaluate.sweep.thresholds import Sweep


def sweep_command(
    candidates: Annotated[Path, Parameter(help="A table of candidates (.npz).")],
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
    from evaluate.sweep import thresholds
    from evaluate.sweep.sweep_csv import write_sweep
    from evaluate.tables import Detections

    result = thresholds.sweep(
        Detections.load(candidates),
        source.load(),
        confs=parse_numbers("--conf", conf, "0.01,0.05") if conf else thresholds.CONFS,
        ious=parse_numbers("--iou", iou, "0.4,0.5") if iou else thresholds.IOUS,
        candidates_max=candidates_max,
        keep_max=keep_max,
        progress=bars,
    )
    write_sweep(result.cells, out, result.by_class if per_class else ())
    if as_json:
        print(json.dumps(_as_dict(result, per_class)))
        return
    print(f"{out}: {_best_text(result.cells)}")
    if per_class:
        print(_per_class_text(result))


def apply_command(
    candidates: Annotated[Path, Parameter(help="A table of candidates (.npz).")],
    /,
    *,
    out: Annotated[Path, Parameter(help="The table of detections to write (.npz).")],
    sweep: Annotated[Path | None, Parameter(help="Take the best cell of this grid.")] = None,
    conf: Annotated[float | None, Parameter(help="With --iou, in place of --sweep.")] = None,
    iou: Annotated[float | None, Parameter(help="With --conf, in place of --sweep.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
) -> None:
    """NMS and confidence threshold: candidates become detections."""
    from evaluate.sweep import thresholds
    from evaluate.sweep.sweep_csv import read_thresholds
    from evaluate.tables import Detections

    if sweep is None and (conf is None or iou is None):
        raise InputError("apply: want --sweep sweep.csv, or --conf and --iou")
    dets = Detections.load(candidates)
    chosen = read_thresholds(sweep, dets.classes) if sweep is not None else (conf, iou)
    kept = thresholds.apply(dets, *chosen, candidates_max=candidates_max, keep_max=keep_max)
    kept.save(out)
    cell = "each class's own conf and iou"
    if isinstance(chosen[0], float):
        cell = f"conf {chosen[0]:g} iou {chosen[1]:g}"
    print(f"{out}: {len(kept):,} detections on {len(kept.image_ids):,} images at {cell}")


def _as_dict(result: "Sweep", per_class: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "best": asdict(result.cells[0]),
        "cells": [asdict(cell) for cell in result.cells],
    }
    if per_class:
        content["per_class"] = [asdict(cell) for cell in result.by_class]
        content["held_out"] = asdict(result.held_out) if result.held_out else None
    return content


def _best_text(cells: list["Cell"]) -> str:
    top, *others = cells
    equals = sum(cell.could_be_best for cell in others)
    return (
        f"best AP50 {top.map:.4f} at conf {top.conf:g} iou {top.iou:g}, {top.boxes:,} boxes; "
        f"{equals} of the other {len(others)} cells could be as good"
    )


def _per_class_text(result: "Sweep") -> str:
    aps = [cell.ap for cell in result.by_class if cell.ap is not None]
    text = (
        f"each class at its own best cell: {sum(aps) / len(aps):.4f} "
        "on the images it was chosen on; "
    )
    if result.held_out is None:
        return text + "too few images to choose on one half and score on the other"
    by_class, one_cell = result.held_out.by_class, result.held_out.one_cell
    return (
        f"{text}chosen on one half and scored on the other {by_class:.4f}, "
        f"one cell for all {one_cell:.4f}"
    )
