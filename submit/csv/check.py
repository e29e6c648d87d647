"""Whether a competition would take a CSV, what is in it, and what looks odd beside the last one it took."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from submit.csv.formats import parse
from submit.csv.profile import Profile
from submit.ledger import Ledger

JUMP = 2.0  # times as many boxes as before, or as few
EMPTY_JUMP = 0.05  # of all images


@dataclass(frozen=True)
class Summary:
    """A CSV that is in order."""

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
            f"{self.rows:,} images, {self.boxes:,} boxes, {self.boxes_mean:.1f} an image (at most {self.boxes_max:,}), "
            f"{self.images_without_boxes:,} without, {self.bytes:,} bytes"
        )


def check(
    path: Path,
    *,
    profile: Profile | None = None,
    sample: Path | None = None,
    classes: Sequence[str] | None = None,
    image_ids: Sequence[str] | None = None,
) -> Summary:
    """Read the file as the competition's scorer would. Raises BadRows with every bad row (`formats.parse`)."""
    found = parse(path, classes, image_ids=image_ids, profile=profile, sample=sample)
    per_image = np.bincount(found.image, minlength=len(found.image_ids))
    per_class = np.bincount(found.label, minlength=len(found.classes))
    data = path.read_bytes()
    return Summary(
        rows=len(found.image_ids),
        boxes=len(found.image),
        boxes_mean=float(per_image.mean()) if len(per_image) else 0.0,
        boxes_max=int(per_image.max(initial=0)),
        images_without_boxes=int((per_image == 0).sum()),
        boxes_per_class=dict(zip(found.classes, per_class.tolist(), strict=True)),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        images_sha256=hashlib.sha256("\n".join(sorted(found.image_ids)).encode()).hexdigest(),
    )


def last_good(ledger: Ledger, summary: Summary) -> dict[str, Any] | None:
    """The summary of the newest other submission over the same images that Kaggle could score."""
    good = [
        row.summary
        for row in ledger.submissions()
        if row.state == "complete" and row.sha256 != summary.sha256
    ]
    return next(
        (there for there in reversed(good) if there["images_sha256"] == summary.images_sha256), None
    )


def warnings(summary: Summary, before: dict[str, Any]) -> list[str]:
    """What differs so much from an earlier submission that it may be a mistake, a line each."""
    told = []
    now, was = summary.boxes, before["boxes"]
    if now > JUMP * was or now * JUMP < was:
        told.append(f"{now:,} boxes, the last good submission had {was:,}")
    now, was = summary.images_without_boxes, before["images_without_boxes"]
    if abs(now - was) > EMPTY_JUMP * summary.rows:
        told.append(f"{now:,} images without boxes, the last good submission had {was:,}")
    counts, earlier = summary.boxes_per_class, before["boxes_per_class"]
    for name in sorted(counts.keys() | earlier.keys()):
        now, was = counts.get(name, 0), earlier.get(name, 0)
        if was and not now:
            told.append(f"no box of class {name}, the last good submission had {was:,}")
        elif now and not was:
            told.append(f"{now:,} boxes of class {name}, the last good submission had none")
        elif now > JUMP * was or now * JUMP < was:
            told.append(f"{now:,} boxes of class {name}, the last good submission had {was:,}")
    return told
