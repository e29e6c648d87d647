"""A run folder -> one HTML page that opens from disk."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from evaluate.diagnosis.diagnose import diagnose
from evaluate.diagnosis.verdicts import RULES, VOC
from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.metrics.voc import precision_recall
from evaluate.sweep import sweep_csv
from evaluate.tables import Detections
from harness.data.dataset import load_split
from harness.report.findings import findings
from harness.report.gallery import gallery, picture_uri
from harness.report.heat_map import HeatMap, heat_map
from harness.report.plots import best_epoch, curves_svg, pr_points
from harness.report.template import render_page
from harness.report.video_sheet import contact_sheet
from harness.run_folder import Run

METRICS = {"voc-area": "AP50", "voc-11pt": "AP50 (11 points)", "coco": "AP50–95"}
BATCH_SIDE = 1408  # pixels


@dataclass(frozen=True)
class Headline:
    value: float
    metric: str
    on: str


def write_report(folder: Path, out: Path) -> Headline | None:
    """Write the page to `out` whole or not at all. -> its headline, None while there is no number yet.

    A section whose files the run does not have yet is left out.

    The photos are read from where the run found its data; without them the page says so. Raises InputError when the
    folder holds nothing of a run, or a file of it is damaged.
    """
    run = Run(folder)
    present = {path: path.stat() for path in run.described if path.is_file()}
    if not present:
        names = ", ".join(path.name for path in run.described)
        raise InputError(f"{folder}: want the folder of a run, it has none of {names}")
    made = run.read_origin()
    score = run.read_score()
    steps, epochs = run.read_log()
    cells, own_cells = sweep_csv.read_sweep(run.sweep) if run.sweep in present else ([], [])
    grid = heat_map(cells) if cells else None
    newest = max(stat.st_mtime for stat in present.values())
    values: dict[str, Any] = {
        "name": folder.resolve().name,
        "run": made,
        "data_name": Path(made["data"]).name if made else "",
        "headline": _headline(score, grid, epochs),
        "facts": _facts(made, grid, bool(own_cells), epochs)
        | {"Written": f"{datetime.fromtimestamp(newest, UTC):%d %B %Y}"},
        "classes": _best_first(score.get("per_class", {})),
        "sweep": grid,
        "own_cells": own_cells,
        "curves": curves_svg(steps, epochs),
        "first_batch": _first_batch(run.first_batch),
        "recipe": run.recipe.read_text() if run.recipe in present else "",
        "files": {path.name: (run.described[path], stat.st_size) for path, stat in present.items()},
    }
    values |= _seen(run, made, score) | _filmed(run)
    with written_whole(out) as scratch:
        scratch.write_text(render_page("report.html", **values), encoding="utf-8")
    headline: Headline | None = values["headline"]
    return headline


def _seen(run: Run, made: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
    """Pictures, counts, curves and errors of the detections beside their truth, or why there are none."""
    split = score.get("split") or "test"
    values: dict[str, Any] = {
        "split": split,
        "gallery": None,
        "gallery_note": "",
        "counts": {},
        "pr": {},
        "why": None,
    }
    if not run.final.is_file():
        return values
    if not made:
        return values | {"gallery_note": "run.json, which says where the photos are, is missing"}
    dets = Detections.load(run.final)
    try:
        images = made.get("images")
        data = load_split(Path(made["data"]), split, images=Path(images) if images else None)
        found = diagnose(dets, data.truth, rule=RULES.get(score.get("metric", ""), VOC))
        shown = gallery(dets, data, found.confusion.conf)
        curves = precision_recall(dets, data.truth)
    except InputError as error:  # the data set is gone, or is another one by now
        return values | {"gallery_note": str(error)}
    truth = data.truth
    objects = np.bincount(truth.label[~truth.difficult], minlength=len(truth.classes)).tolist()
    return values | {
        "counts": dict(zip(truth.classes, objects, strict=True)),
        "gallery": shown,
        "pr": {name: pr_points(curve) for name, curve in curves.items()},
        "why": findings(found),
    }


def _filmed(run: Run) -> dict[str, Any]:
    """The moments of the run's film, or why there are none."""
    values: dict[str, Any] = {"film": None, "film_note": ""}
    if not any(path.is_file() for path in (run.video, run.video_table)):
        return values
    try:
        return values | {"film": contact_sheet(run)}
    except InputError as error:  # half of it is gone, or PyAV is
        return values | {"film_note": str(error)}


def _headline(
    score: dict[str, Any], grid: HeatMap | None, epochs: list[dict[str, Any]]
) -> Headline | None:
    """The most final number there is."""
    if score:
        metric = METRICS.get(score["metric"], score["metric"])
        on = f"{score.get('split') or 'test'}, {score['images']} photos"
        if score.get("interval"):
            on += ", 95 % interval over photos {:.4f} to {:.4f}".format(*score["interval"])
        return Headline(score["map"], metric, on)
    if grid:
        return Headline(grid.best.map, "AP50", "validation, after the sweep")
    if epochs:
        value, epoch, which = best_epoch(epochs)
        weights = "averaged weights" if which == "ema" else "model"
        return Headline(value, "AP50", f"validation, epoch {epoch}, {weights}")
    return None


def _facts(
    made: dict[str, Any], grid: HeatMap | None, by_class: bool, epochs: list[dict[str, Any]]
) -> dict[str, str]:
    facts = {}
    if made:
        facts["Trained on"] = f"{made['train']['images']:,} photos"
    if epochs:
        facts["Epochs"] = f"{len(epochs)}"
        facts["Time"] = _duration(sum(sum(line["seconds"].values()) for line in epochs))
        facts["Speed"] = f"{median(line['images_per_second'] for line in epochs):.3g} photos/s"
    if made:
        facts["Machine"] = made["device"]
    if grid:
        facts["Thresholds"] = (
            "each class's own" if by_class else f"score {grid.best.conf:g}, NMS {grid.best.iou:g}"
        )
    return facts


def _best_first(per_class: dict[str, float | None]) -> list[tuple[str, float | None]]:
    """Classes by falling AP, those without truth last."""
    return sorted(per_class.items(), key=lambda item: 1 if item[1] is None else -item[1])


def _first_batch(path: Path) -> str:
    if not path.is_file():
        return ""
    from harness.images.photos import read_photo

    return picture_uri(read_photo(path), BATCH_SIDE)


def _duration(seconds: float) -> str:
    """3 h 05 min, 18 min or 42 s."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
