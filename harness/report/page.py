"""A run folder -> one HTML page that opens from disk."""

import json
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
from harness.report.plots import best_epoch, curves_svg, pr_points, read_log
from harness.report.template import render
from harness.report.video_sheet import FILM, TABLE, contact_sheet

METRICS = {"voc-area": "AP50", "voc-11pt": "AP50 (11 points)", "coco": "AP50–95"}
FILES = {
    "recipe.toml": "what was trained and how",
    "run.json": "where the run came from",
    "log.jsonl": "loss of every step, AP50 of every epoch",
    "best.pt": "the best weights",
    "last.pt": "the state to resume from",
    "val.npz": "candidates on validation",
    "sweep.csv": "AP50 at each pair of thresholds",
    "test.npz": "candidates on the test split",
    "final.npz": "detections after the best pair",
    "score.json": "their score",
    "submission.csv": "the same detections, for the competition",
    "video.mp4": "a film with what was found drawn on it",
    "video.npz": "the boxes of each of its pictures, with times",
    "video.csv": "those that are drawn, a row a picture",
}
BATCH_SIDE = 1408  # pixels


@dataclass(frozen=True)
class Headline:
    value: float
    metric: str
    on: str


def write_report(run: Path, out: Path) -> Headline | None:
    """Write the page to `out` whole or not at all. -> its headline, None while there is no number yet.

    A section whose files the run does not have yet is left out.

    The photos are read from where the run found its data; without them the page says so. Raises InputError when the
    folder holds nothing of a run, or a file of it is damaged.
    """
    files = {
        name: (what, (run / name).stat().st_size)
        for name, what in FILES.items()
        if (run / name).is_file()
    }
    if not files:
        raise InputError(f"{run}: want the folder of a run, it has none of {', '.join(FILES)}")
    made = _json(run / "run.json")
    score = _json(run / "score.json")
    steps, epochs = read_log(run / "log.jsonl") if "log.jsonl" in files else ([], [])
    cells, own_cells = sweep_csv.read_sweep(run / "sweep.csv") if "sweep.csv" in files else ([], [])
    grid = heat_map(cells) if cells else None
    newest = max((run / name).stat().st_mtime for name in files)
    values: dict[str, Any] = {
        "name": run.resolve().name,
        "run": made,
        "data_name": Path(made["data"]).name if made else "",
        "headline": _headline(score, grid, epochs),
        "facts": _facts(made, grid, bool(own_cells), epochs)
        | {"Written": f"{datetime.fromtimestamp(newest, UTC):%d %B %Y}"},
        "classes": _best_first(score.get("per_class", {})),
        "sweep": grid,
        "own_cells": own_cells,
        "curves": curves_svg(steps, epochs),
        "first_batch": _first_batch(run / "first_batch.jpg"),
        "recipe": (run / "recipe.toml").read_text() if "recipe.toml" in files else "",
        "files": files,
    }
    values |= _seen(run, made, score) | _filmed(run)
    with written_whole(out) as scratch:
        scratch.write_text(render("report.html", **values), encoding="utf-8")
    headline: Headline | None = values["headline"]
    return headline


def _seen(run: Path, made: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
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
    if not (run / "final.npz").is_file():
        return values
    if not made:
        return values | {"gallery_note": "run.json, which says where the photos are, is missing"}
    dets = Detections.load(run / "final.npz")
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


def _filmed(run: Path) -> dict[str, Any]:
    """The moments of the run's film, or why there are none."""
    values: dict[str, Any] = {"film": None, "film_note": ""}
    if not any((run / name).is_file() for name in (FILM, TABLE)):
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


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, {} when there is none."""
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: want JSON: {error}") from None
    return content


def _duration(seconds: float) -> str:
    """3 h 05 min, 18 min or 42 s."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
