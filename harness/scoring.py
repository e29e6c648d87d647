"""A table or a submission against its truth, and the score on the leaderboard."""

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.ensemble import fusion_file
from evaluate.exceptions import InputError
from evaluate.metrics import bootstrap
from evaluate.sweep import thresholds
from evaluate.tables import Detections, GroundTruth
from harness import provenance
from submit.csv import formats
from submit.csv.formats import Size
from submit.csv.profile import Profile
from submit.ledger import Ledger, ScoreRow


@dataclass(frozen=True)
class Reading:
    """How a file becomes the table that is judged."""

    conf: float | None  # with `iou`: this cell of a sweep is applied first
    iou: float | None
    candidates_max: int
    keep_max: int
    profile: Profile  # of a .csv
    sizes: Sequence[Size] | None  # of the truth's photos, for shares of them


def score(
    path: Path, truth: GroundTruth, reading: Reading, *, split: str, metric: str
) -> dict[str, Any]:
    """Score a .npz table or a submission .csv.

    -> split (as the leaderboard shall call it), metric, map, interval (95 %, over images; not for COCO), per_class
    {name: AP or None}, images, truths (that count), detections, conf, iou; with metric "coco" also its twelve numbers.
    Raises InputError for a file that is neither, or over other images.
    """
    dets = read(path, truth, reading)
    if metric == "coco":
        from evaluate.metrics.coco import coco_map

        numbers = coco_map(dets, truth)
        numbers = {"map": numbers["AP"], **numbers}
    else:
        found, interval = bootstrap.score_with_interval(
            dets, truth, eleven_point=metric == "voc-11pt"
        )
        numbers = {"map": found.mean, "interval": interval, "per_class": found.per_class}
    counts = {
        "images": len(truth.image_ids),
        "truths": int((~truth.difficult).sum()),
        "detections": len(dets),
    }
    return {
        "split": split,
        "metric": metric,
        **numbers,
        **counts,
        "conf": reading.conf,
        "iou": reading.iou,
    }


def compare(
    before: Path, after: Path, truth: GroundTruth, reading: Reading, *, metric: str
) -> dict[str, Any]:
    """What one table or submission scores more than another, class by class and in the mean, with 95 % intervals.

    -> metric, images, mean and per_class {name: or None}: before, after, difference, low, high, certain.
    """
    was, now = (read(path, truth, reading) for path in (before, after))
    mean, classes = bootstrap.compare(was, now, truth, eleven_point=metric == "voc-11pt")
    per_class = {name: _row(moved) if moved else None for name, moved in classes.items()}
    return {
        "metric": metric,
        "images": len(truth.image_ids),
        "mean": _row(mean),
        "per_class": per_class,
    }


def _row(moved: bootstrap.Difference) -> dict[str, Any]:
    return {"difference": moved.value, "certain": moved.certain} | asdict(moved)


def comparison_text(result: dict[str, Any]) -> str:
    """The comparison for people: a line a class, then the mean and what it says."""
    rows = {**result["per_class"], "mean": result["mean"]}
    width = max(map(len, rows))
    lines = [f"{'':<{width}}  before   after   difference, 95 % interval over images"]
    for name, row in rows.items():
        if row is None:
            lines.append(f"{name:<{width}}  no truth")
            continue
        values = f"{row['before']:.4f}  {row['after']:.4f}  {row['difference']:+.4f}"
        sure = "" if row["certain"] else "  could be chance"
        lines.append(f"{name:<{width}}  {values}  {row['low']:+.4f} to {row['high']:+.4f}{sure}")
    return "\n".join([*lines, f"{result['metric']}, {result['images']:,} images"])


def read(path: Path, truth: GroundTruth, reading: Reading) -> Detections:
    """A .npz table or a submission .csv, after NMS at `iou` and `conf` where they are given, which go together."""
    conf, iou = reading.conf, reading.iou
    if (conf is None) != (iou is None):
        raise InputError("want --conf and --iou together, or neither: they are one cell of a sweep")
    if path.suffix == ".csv":
        dets = formats.read(
            path,
            truth.classes,
            image_ids=truth.image_ids,
            profile=reading.profile,
            sizes=reading.sizes,
        )
    else:
        dets = Detections.load(path)
    if conf is None or iou is None:
        return dets
    return thresholds.apply(
        dets, conf, iou, candidates_max=reading.candidates_max, keep_max=reading.keep_max
    )


def record(result: dict[str, Any], path: Path, truth: GroundTruth, *, ledger: Path) -> None:
    """Put a score on the leaderboard, with what made the run folder that the file lies in."""
    sha, dirty = provenance.revision()
    row = ScoreRow(
        name=f"{path.resolve().parent.name}/{path.name}",
        split=result["split"],
        metric=result["metric"],
        map=result["map"],
        interval=result.get("interval"),
        per_class=result["per_class"],
        images=result["images"],
        truths=result["truths"],
        detections=result["detections"],
        conf=result["conf"],
        iou=result["iou"],
        recipe=_settings(path.parent),
        revision=sha,
        dirty=dirty,
        command=provenance.command(),
        detections_path=str(path),
        detections_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        truth_sha256=provenance.hash_truth(truth),
    )
    with Ledger(ledger) as book:
        book.record(row)


def _settings(run: Path) -> dict[str, Any]:
    """The recipe of a run folder, or how an ensemble is made; {} for another folder."""
    if (run / "recipe.toml").is_file():
        return tomllib.loads((run / "recipe.toml").read_text())
    return (
        fusion_file.ensemble_settings(run / "fusion.json")
        if (run / "fusion.json").is_file()
        else {}
    )


def as_text(result: dict[str, Any]) -> str:
    """The score for people: AP of each class, then the mean."""
    width = max(map(len, result["per_class"]), default=4)
    lines = [
        f"{name:<{width}}  {'no truth' if ap is None else f'{ap:.4f}'}"
        for name, ap in result["per_class"].items()
    ]
    between = (
        "95 % interval over images {:.4f} to {:.4f}; ".format(*result["interval"])
        if "interval" in result
        else ""
    )
    total = f"{'mean':<{width}}  {result['map']:.4f}  {between}{result['metric']}, {result['images']:,} images, "
    return "\n".join(
        [*lines, total + f"{result['truths']:,} truths, {result['detections']:,} detections"]
    )
