"""Test-time augmentation (TTA): one model sees a photo several times, at other sizes and mirrored.

A view is as good as one more model: it gives a table of its own, in the photo's pixels. A larger
size finds smaller objects, a smaller size finds larger ones. Joined, the tables are again
candidates before NMS, which then chooses among the views; or the views are fused as an ensemble's
members are.

The standard views of a model trained for 640 with stride 32: "0.83,1,1.25,flip" is 640 * 0.83 =
531, rounded to 544, a multiple of 32; then 640, 800, and 640 mirrored: 4.3 times the pixels of one
view.
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
    """One way to see a photo."""

    size: int  # long side, pixels
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Such as 640 or 640flip."""
        return f"{self.size}{'flip' if self.mirrored else ''}"


def parse_views(text: str, size: int, stride: int) -> tuple[View, ...]:
    """Views written as factors of `size`, mirrored if "flip" follows: 0.83,1,1.25flip.

    "flip" alone is 1flip. Sides are rounded to multiples of `stride`; views that become the same
    are one. Raises InputError for other text.
    """
    views = []
    for word in text.split(","):
        parts = re.fullmatch(r"(\d*\.?\d+)?(flip)?", word.strip())
        # An empty word matches too, for both groups may be missing: it becomes 0 and is refused.
        factor = float(parts[1] or 1) if parts and parts[0] else 0.0
        if not 0.1 <= factor <= 10:
            raise InputError(
                f"views {text}: want factors of the size from 0.1 to 10, as {STANDARD}; "
                f"there is {word!r}"
            )
        side = max(1, round(size * factor / stride)) * stride
        views.append(View(side, word.endswith("flip")))
    return tuple(dict.fromkeys(views))  # a dictionary keeps the first of equals, in order


def join_views(tables: Sequence[Detections], candidates_max: int) -> Detections:
    """All boxes of tables over the same images: the best `candidates_max` per image, best first."""
    columns = ("image", "label", "xyxy", "score")
    parts = (np.concatenate([getattr(table, name) for table in tables]) for name in columns)
    joined = Detections(tables[0].image_ids, tables[0].classes, *parts)
    # By image, best first, so that the first `candidates_max` rows of an image are its best.
    joined = joined.take(np.argsort(rank_key(joined.image, joined.score), kind="stable"))
    return joined.take(among_first(joined.image, candidates_max))


def fuse_views(
    tables: Sequence[Detections], method: Method | None, candidates_max: int
) -> Detections:
    """One table of the views' tables: fused as an ensemble by `method`, or joined for NMS."""
    if method is None:
        return join_views(tables, candidates_max)
    return fuse_tables(tables, FusionRule(method=method)).dets
