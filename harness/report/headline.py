"""What the page of a run says first: its most final number, and a few facts."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.report.heat_map import HeatMap
from harness.report.plots import best_epoch
from harness.run_folder import START, LogLine

METRICS = {"voc-area": "AP50", "voc-11pt": "AP50 (11 points)", "coco": "AP50–95"}


@dataclass(frozen=True)
class Headline:
    value: float
    metric: str
    on: str  # the split and what else the number depends on


def headline_of(
    score: dict[str, Any], grid: HeatMap | None, epochs: list[LogLine]
) -> Headline | None:
    """The most final number there is, None when there is none yet.

    That is the score of the final detections; before it the best cell of the sweep, chosen on
    validation; before that the best epoch of training.
    """
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
        if not epoch:
            return Headline(value, "AP50", "validation, the start, untrained")
        weights = "averaged weights" if which == "ema" else "model"
        return Headline(value, "AP50", f"validation, epoch {epoch}, {weights}")
    return None


def facts_of(
    origin: dict[str, Any], grid: HeatMap | None, by_class: bool, epochs: list[LogLine]
) -> dict[str, str]:
    """Terms and values: data, time and machine of the training, and the thresholds chosen."""
    facts = {}
    if origin:
        facts["Trained on"] = f"{origin['train']['images']:,} photos"
    trained = [line for line in epochs if line["epoch"] != START]
    if trained:
        facts["Epochs"] = f"{len(trained)}"
        facts["Time"] = _duration(sum(sum(line["seconds"].values()) for line in epochs))
        facts["Speed"] = f"{median(line['images_per_second'] for line in trained):.3g} photos/s"
    if origin:
        facts["Machine"] = origin["device"]
    if grid:
        one_pair = f"score {grid.best.conf:g}, NMS {grid.best.iou:g}"
        facts["Thresholds"] = "each class's own" if by_class else one_pair
    return facts


def _duration(seconds: float) -> str:
    """3 h 05 min, 18 min or 42 s."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
