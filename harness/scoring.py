"""A table or a submission against its truth, and the score on the leaderboard."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from evaluate import bootstrap, sweep, voc_map
from evaluate.tables import Detections, GroundTruth
from harness import provenance
from submit import formats
from submit.ledger import Ledger, ScoreRow


def score(
    path: Path,
    truth: GroundTruth,
    *,
    split: str,
    metric: str,
    conf: float | None = None,
    iou: float | None = None,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> dict[str, Any]:
    """Score a .npz table or a submission .csv, after NMS at `iou` and `conf` where both are given.

    -> split (as the leaderboard shall call it), metric, map, interval (95 %, over images; not for COCO), per_class
    {name: AP or None}, images, truths (that count), detections, conf, iou; with metric "coco" also its twelve numbers.
    Raises InputError for a file that is neither, or over other images.
    """
    if path.suffix == ".csv":
        dets = formats.read(path, truth.classes, image_ids=truth.image_ids)
    else:
        dets = Detections.load(path)
    if conf is not None and iou is not None:
        dets = sweep.apply(dets, conf, iou, candidates_max=candidates_max, keep_max=keep_max)
    if metric == "coco":
        from evaluate.coco import coco_map

        numbers = coco_map(dets, truth)
        numbers = {"map": numbers["AP"], **numbers}
    else:
        eleven_point = metric == "voc-11pt"
        found = voc_map.voc_map(dets, truth, eleven_point=eleven_point)
        interval = bootstrap.interval(dets, truth, eleven_point=eleven_point)
        numbers = {"map": found.mean, "interval": interval, "per_class": found.per_class}
    counts = {"images": len(truth.image_ids), "truths": int((~truth.difficult).sum()), "detections": len(dets)}
    return {"split": split, "metric": metric, **numbers, **counts, "conf": conf, "iou": iou}


def record(result: dict[str, Any], path: Path, truth: GroundTruth, *, ledger: Path) -> None:
    """Put a score on the leaderboard, with the recipe of the run folder that the file lies in."""
    recipe = path.parent / "recipe.toml"
    sha, dirty = provenance.revision()
    row = ScoreRow(
        name=f"{path.resolve().parent.name}/{path.name}",
        split=result["split"],
        metric=result["metric"],
        map=result["map"],
        per_class=result["per_class"],
        images=result["images"],
        truths=result["truths"],
        detections=result["detections"],
        conf=result["conf"],
        iou=result["iou"],
        recipe=tomllib.loads(recipe.read_text()) if recipe.is_file() else {},
        revision=sha,
        dirty=dirty,
        command=provenance.command(),
        detections_path=str(path),
        detections_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        truth_sha256=provenance.hash_truth(truth),
    )
    with Ledger(ledger) as book:
        book.record(row)


def as_text(result: dict[str, Any]) -> str:
    """The score for people: AP of each class, then the mean."""
    width = max(map(len, result["per_class"]), default=4)
    lines = [
        f"{name:<{width}}  {'no truth' if ap is None else f'{ap:.4f}'}" for name, ap in result["per_class"].items()
    ]
    between = "95 % interval over images {:.4f} to {:.4f}; ".format(*result["interval"]) if "interval" in result else ""
    total = f"{'mean':<{width}}  {result['map']:.4f}  {between}{result['metric']}, {result['images']:,} images, "
    return "\n".join([*lines, total + f"{result['truths']:,} truths, {result['detections']:,} detections"])
