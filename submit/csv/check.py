"""Whether a competition would take a CSV, what is in it, and what looks odd beside the last one.

A submission that the grader accepts may still be a mistake: the wrong split's boxes, a class lost
on the way, a threshold forgotten. So the counts of a good file are kept in the ledger, and those of
the next one are compared with them: twice as many boxes, or half, is worth a line before an upload.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from submit.csv.parsing import parse_submission
from submit.csv.profile import Profile
from submit.ledger import Ledger

JUMP = 2.0  # times as many boxes as before, or as few
EMPTY_JUMP = 0.05  # of all images


@dataclass(frozen=True)
class SubmissionSummary:
    """What is in a CSV that is in order."""

    rows: int
    boxes: int
    boxes_mean: float  # boxes per image
    boxes_max: int
    images_without_boxes: int
    boxes_per_class: dict[str, int]  # of the classes that were asked for, or that there are
    bytes: int
    sha256: str
    images_sha256: str  # of the image ids, in any order

    def text(self) -> str:
        return (
            f"{self.rows:,} images, {self.boxes:,} boxes, {self.boxes_mean:.1f} per image "
            f"(at most {self.boxes_max:,}), {self.images_without_boxes:,} without, "
            f"{self.bytes:,} bytes"
        )


def check_submission(
    path: Path,
    *,
    profile: Profile | None = None,
    sample: Path | None = None,
    classes: Sequence[str] | None = None,
    image_ids: Sequence[str] | None = None,
) -> SubmissionSummary:
    """Read the file as the competition's scorer would.

    Raises BadRows with every bad row (`parse_submission` says which those are).
    """
    parsed = parse_submission(path, classes, image_ids=image_ids, profile=profile, sample=sample)
    per_image = np.bincount(parsed.image, minlength=len(parsed.image_ids))
    per_class = np.bincount(parsed.label, minlength=len(parsed.classes))
    data = path.read_bytes()
    images = "\n".join(sorted(parsed.image_ids))
    return SubmissionSummary(
        rows=len(parsed.image_ids),
        boxes=len(parsed.image),
        boxes_mean=float(per_image.mean()) if len(per_image) else 0.0,
        boxes_max=int(per_image.max(initial=0)),
        images_without_boxes=int((per_image == 0).sum()),
        boxes_per_class=dict(zip(parsed.classes, per_class.tolist(), strict=True)),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        images_sha256=hashlib.sha256(images.encode()).hexdigest(),
    )


def last_good(ledger: Ledger, summary: SubmissionSummary) -> dict[str, Any] | None:
    """The summary of the newest other submission over the same images that Kaggle could score."""
    scored = [
        row.summary
        for row in ledger.submissions()
        if row.state == "complete" and row.sha256 != summary.sha256
    ]
    same_images = (
        earlier for earlier in reversed(scored) if earlier["images_sha256"] == summary.images_sha256
    )
    return next(same_images, None)


def suspicious_changes(summary: SubmissionSummary, before: dict[str, Any]) -> list[str]:
    """What differs so much from an earlier submission that it may be a mistake, one line each."""
    lines = []
    now, was = summary.boxes, before["boxes"]
    if _jumps(now, was):
        lines.append(f"{now:,} boxes, the last good submission had {was:,}")
    now, was = summary.images_without_boxes, before["images_without_boxes"]
    if abs(now - was) > EMPTY_JUMP * summary.rows:
        lines.append(f"{now:,} images without boxes, the last good submission had {was:,}")
    counts, earlier = summary.boxes_per_class, before["boxes_per_class"]
    for name in sorted(counts.keys() | earlier.keys()):
        now, was = counts.get(name, 0), earlier.get(name, 0)
        if was and not now:
            lines.append(f"no box of class {name}, the last good submission had {was:,}")
        elif now and not was:
            lines.append(f"{now:,} boxes of class {name}, the last good submission had none")
        elif _jumps(now, was):
            lines.append(f"{now:,} boxes of class {name}, the last good submission had {was:,}")
    return lines


def _jumps(now: int, was: int) -> bool:
    return now > JUMP * was or now * JUMP < was
