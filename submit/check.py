"""Whether a competition would take a CSV, and what is in it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from submit.formats import read


@dataclass(frozen=True)
class Summary:
    """A CSV that is in order."""

    rows: int
    boxes: int
    boxes_mean: float  # boxes per image
    boxes_max: int
    images_without_boxes: int
    classes_without_boxes: tuple[str, ...]  # of the classes that were asked for
    bytes: int
    sha256: str


def check(
    path: Path,
    *,
    sample: Path | None = None,
    classes: Sequence[str] | None = None,
    image_ids: Sequence[str] | None = None,
) -> Summary:
    """Read the file as the competition's scorer would. Raises SubmissionError with every bad row (`formats.read`)."""
    dets = read(path, classes, image_ids=image_ids, sample=sample)
    per_image = np.bincount(dets.image, minlength=len(dets.image_ids))
    per_class = np.bincount(dets.label, minlength=len(dets.classes))
    data = path.read_bytes()
    return Summary(
        rows=len(dets.image_ids),
        boxes=len(dets),
        boxes_mean=float(per_image.mean()) if len(per_image) else 0.0,
        boxes_max=int(per_image.max(initial=0)),
        images_without_boxes=int((per_image == 0).sum()),
        classes_without_boxes=tuple(name for name, n in zip(dets.classes, per_class, strict=True) if not n),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
