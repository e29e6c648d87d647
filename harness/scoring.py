"""What a file of detections scores against its truth, and how that gets onto the leaderboard."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from evaluate.exchange.rows import Size
from evaluate.metrics import bootstrap
from evaluate.metrics.coco import coco_map
from evaluate.sweep import thresholds
from evaluate.tables import Detections, GroundTruth
from harness import provenance
from harness.run_folder import Run
from submit.csv import formats
from submit.csv.profile import Profile
from submit.ledger import Ledger, ScoreRow


@dataclass(frozen=True, kw_only=True)
class TableReader:
    """How a file becomes the table that is judged.

    `conf` and `iou` are one cell of a sweep, which is applied to what the file holds; both None: it
    is judged as it is.
    """

    conf: float | None
    iou: float | None
    candidates_max: int  # boxes per image that enter that cell's NMS
    keep_max: int  # boxes per image that leave it
    profile: Profile  # of a .csv
    sizes: Sequence[Size] | None  # of the truth's photos, where a .csv has normalized coordinates

    def read(self, path: Path, truth: GroundTruth) -> Detections:
        """The table of a .npz, or of a submission .csv over the truth's images and classes."""
        conf, iou = self.conf, self.iou
        if (conf is None) != (iou is None):
            raise InputError(
                "want --conf and --iou together, or neither: they are one cell of a sweep"
            )
        if path.suffix == ".csv":
            dets = formats.read_submission(
                path,
                truth.classes,
                image_ids=truth.image_ids,
                profile=self.profile,
                sizes=self.sizes,
            )
        else:
            dets = Detections.load(path)
        if conf is None or iou is None:
            return dets
        return thresholds.apply(
            dets, conf, iou, candidates_max=self.candidates_max, keep_max=self.keep_max
        )


def score_file(
    path: Path, truth: GroundTruth, reader: TableReader, *, split: str, metric: str
) -> dict[str, Any]:
    """Score a .npz table or a submission .csv.

    -> split (as the leaderboard is to call it), metric, map, interval (95 %, over images; not for
    COCO), per_class {name: AP or None}, images, truths (that count), detections, conf, iou; with
    metric "coco" also its twelve numbers. Raises InputError for a file that is neither, or over
    other images.
    """
    dets = reader.read(path, truth)
    if metric == "coco":
        numbers = coco_map(dets, truth)
        numbers = {"map": numbers["AP"], **numbers}  # its own name for what all metrics have
    else:
        score, interval = bootstrap.score_with_interval(
            dets, truth, eleven_point=metric == "voc-11pt"
        )
        numbers = {"map": score.map, "interval": interval, "per_class": score.per_class}
    return {
        "split": split,
        "metric": metric,
        **numbers,
        "images": len(truth.image_ids),
        "truths": int((~truth.difficult).sum()),
        "detections": len(dets),
        "conf": reader.conf,
        "iou": reader.iou,
    }


def compare_files(
    before: Path, after: Path, truth: GroundTruth, reader: TableReader, *, metric: str
) -> dict[str, Any]:
    """How much more `after` scores than `before`: each class and the mean, with 95 % intervals.

    -> metric, images, mean and per_class {name: or None}: before, after, difference, low, high,
    certain.
    """
    first, second = (reader.read(path, truth) for path in (before, after))
    mean, classes = bootstrap.difference_with_interval(
        first, second, truth, eleven_point=metric == "voc-11pt"
    )
    return {
        "metric": metric,
        "images": len(truth.image_ids),
        "mean": _difference(mean),
        "per_class": {
            name: _difference(change) if change else None for name, change in classes.items()
        },
    }


def _difference(change: bootstrap.Difference) -> dict[str, Any]:
    return {"difference": change.value, "certain": change.certain} | asdict(change)


def record_score(result: dict[str, Any], path: Path, truth: GroundTruth, *, ledger: Path) -> None:
    """Put a score on the leaderboard, with the recipe of the run folder that the file lies in."""
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
        recipe=Run(path.parent).read_settings(),
        revision=sha,
        dirty=dirty,
        command=provenance.command(),
        detections_path=str(path),
        detections_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        truth_sha256=provenance.hash_truth(truth),
    )
    with Ledger(ledger) as book:
        book.record(row)


def score_text(result: dict[str, Any]) -> str:
    """The score for people: the AP of each class, then the mean and what it was measured on."""
    width = max(map(len, result["per_class"]), default=4)
    lines = [
        f"{name:<{width}}  {'no truth' if ap is None else f'{ap:.4f}'}"
        for name, ap in result["per_class"].items()
    ]
    interval = (
        "95 % interval over images {:.4f} to {:.4f}; ".format(*result["interval"])
        if "interval" in result
        else ""
    )
    counts = (
        f"{result['images']:,} images, {result['truths']:,} truths, "
        f"{result['detections']:,} detections"
    )
    mean = f"{'mean':<{width}}  {result['map']:.4f}  {interval}{result['metric']}, {counts}"
    return "\n".join([*lines, mean])


def comparison_text(result: dict[str, Any]) -> str:
    """The comparison for people: one line per class, then the mean and what it was measured on."""
    rows = {**result["per_class"], "mean": result["mean"]}
    width = max(map(len, rows))
    lines = [f"{'':<{width}}  before   after   difference, 95 % interval over images"]
    for name, row in rows.items():
        if row is None:
            lines.append(f"{name:<{width}}  no truth")
            continue
        values = f"{row['before']:.4f}  {row['after']:.4f}  {row['difference']:+.4f}"
        chance = "" if row["certain"] else "  could be chance"
        lines.append(f"{name:<{width}}  {values}  {row['low']:+.4f} to {row['high']:+.4f}{chance}")
    return "\n".join([*lines, f"{result['metric']}, {result['images']:,} images"])
