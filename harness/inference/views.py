"""Test-time augmentation: one model looks at a photo several times, at other sizes and mirrored.

A view is one more model: it gives a table of its own, in the photo's pixels. Joined, the tables are again candidates
before NMS, which then chooses among the views; the other ways of fusing are those of an ensemble.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.rule import FusionRule, Method
from evaluate.exceptions import InputError
from evaluate.tables import Detections, among_first, rank_key

STANDARD = "0.83,1,1.25,flip"


@dataclass(frozen=True)
class View:
    """One way to look at a photo."""

    size: int  # long side, pixels
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Such as 640 or 640flip."""
        return f"{self.size}{'flip' if self.mirrored else ''}"


def parse_views(text: str, size: int, stride: int) -> tuple[View, ...]:
    """Views written as factors of `size`, mirrored where "flip" follows: 0.83,1,1.25flip; "flip" alone is 1flip.

    Sides are rounded to multiples of `stride`; views that become the same are one. Raises InputError for other text.
    """
    views = []
    for word in text.split(","):
        parts = re.fullmatch(r"(\d*\.?\d+)?(flip)?", word.strip())
        factor = float(parts[1] or 1) if parts and parts[0] else 0.0
        if not 0.1 <= factor <= 10:
            raise InputError(
                f"views {text}: want factors of the size from 0.1 to 10, as {STANDARD}; there is {word!r}"
            )
        side = max(1, round(size * factor / stride)) * stride
        views.append(View(side, word.endswith("flip")))
    return tuple(dict.fromkeys(views))


def join(tables: Sequence[Detections], candidates_max: int) -> Detections:
    """The boxes of all tables, which share images and classes: the best `candidates_max` an image, best first."""
    columns = ("image", "label", "xyxy", "score")
    parts = (np.concatenate([getattr(table, name) for table in tables]) for name in columns)
    joined = Detections(tables[0].image_ids, tables[0].classes, *parts)
    joined = joined.take(np.argsort(rank_key(joined.image, joined.score), kind="stable"))
    return joined.take(among_first(joined.image, candidates_max))


def fused(tables: Sequence[Detections], method: Method | None, candidates_max: int) -> Detections:
    """One table of the views' tables: fused as an ensemble by `method`, or joined, for NMS to choose."""
    if method is None:
        return join(tables, candidates_max)
    return fuse_tables(tables, FusionRule(method=method)).dets
