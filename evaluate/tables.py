"""The one thing that passes between stages: a table of boxes.

Columns, not objects: N boxes over I images are parallel arrays, so a filter, a sort or a merge is
one numpy call, and a whole test set is one .npz file that opens without pickle.

Boxes are `xyxy` in pixels of the original image, as continuous edges: x1 = 0 is the left edge of
the first column. VOC's 1-based inclusive corners (xmin, ymin, xmax, ymax) become (xmin - 1, ymin -
1, xmax, ymax) once, where a file is read, which makes plain IoU equal to the devkit's IoU with its
"+ 1" (VOCevaldet.m). No other box format crosses a module boundary.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evaluate.exceptions import InputError
from evaluate.files import written_whole

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes over I images and C classes."""

    image_ids: tuple[str, ...]  # (I,) every image that was looked at, boxes found or not
    classes: tuple[str, ...]  # (C,) names, in label order
    image: NDArray[np.int32]  # (N,) row of image_ids
    label: NDArray[np.int16]  # (N,) row of classes
    xyxy: NDArray[np.float32]  # (N, 4) pixels

    def __post_init__(self) -> None:
        problems = []
        for name in ("image_ids", "classes"):
            names = tuple(getattr(self, name))
            object.__setattr__(self, name, names)
            if len(set(names)) != len(names):
                twice = [n for n, count in Counter(names).items() if count > 1]
                such = ", ".join(twice[:5])
                problems.append(f"{name} lists {len(twice)} names more than once, such as {such}")
        for name, dtype in self._dtypes().items():
            given = np.asarray(getattr(self, name))
            shape = (len(self.image), 4) if name == "xyxy" else (len(self.image),)
            if given.shape != shape:
                raise InputError(
                    f"{name} is {given.shape}, want {shape}: one row for each of image"
                )
            with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is refused below
                object.__setattr__(self, name, np.ascontiguousarray(given, dtype=dtype))
            if np.issubdtype(dtype, np.integer):
                problems += self._problem(
                    getattr(self, name) != given, f"{name} has values that are not {dtype.__name__}"
                )
        problems += self._faults()
        if problems:
            raise InputError("; ".join(problems))

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Array) -> Self:
        """The table with only these rows, given as a boolean mask or as indices."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self._dtypes()})

    def of_images(self, images: Sequence[int] | Array) -> Self:
        """The table over these images alone, given as rows of image_ids, in their order."""
        place = np.full(len(self.image_ids), -1)  # of each image among `images`
        place[images] = np.arange(len(images))
        kept = self.take(place[self.image] >= 0)
        image_ids = tuple(self.image_ids[i] for i in images)
        return replace(kept, image_ids=image_ids, image=place[kept.image])

    def rows_by_image(self) -> Iterator[Array]:
        """For each image in order, the indices of its rows, in table order."""
        order = np.argsort(self.image, kind="stable")
        edges = np.searchsorted(self.image[order], np.arange(len(self.image_ids) + 1))
        return (order[a:b] for a, b in pairwise(edges))

    def save(self, path: Path) -> None:
        """Write to `path` whole or not at all."""
        columns = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        for name in ("image_ids", "classes"):
            # said, because an empty tuple would become float
            columns[name] = np.asarray(columns[name], dtype=np.str_)
        with written_whole(path) as scratch, open(scratch, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **columns)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises InputError for any other file, naming missing columns."""
        try:
            with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                missing = [f.name for f in fields(cls) if f.name not in file]
                if missing:
                    raise InputError(
                        f"{path}: want a {cls.__name__} table, "
                        f"column {', '.join(missing)} is missing"
                    )
                columns: dict[str, Any] = {f.name: file[f.name] for f in fields(cls)}
        except InputError:
            raise
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{path}: want a .npz table, this file is something else or damaged"
            ) from error
        for name in ("image_ids", "classes"):
            columns[name] = tuple(columns[name].tolist())
        try:
            return cls(**columns)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def _faults(self) -> list[str]:
        """What is wrong with the values of the columns, one line per kind of fault."""
        # column by column, because reducing rows of four takes six times as long
        x1, y1, x2, y2 = self.xyxy.T
        finite = np.isfinite(x1) & np.isfinite(y1) & np.isfinite(x2) & np.isfinite(y2)
        faults = self._problem(~finite, "xyxy has NaN or infinity")
        faults += self._problem(
            finite & ((x2 < x1) | (y2 < y1)), "xyxy has x2 < x1 or y2 < y1 (is it xywh?)"
        )
        for name, limit in (("image", len(self.image_ids)), ("label", len(self.classes))):
            column = getattr(self, name)
            faults += self._problem(
                (column < 0) | (column >= limit), f"{name} is outside [0, {limit})"
            )
        return faults

    def _problem(self, bad: Array, fault: str) -> list[str]:
        """One line with the fault, how many rows have it and the first five; none if no row has."""
        if not bad.any():
            return []
        rows = np.flatnonzero(bad)
        ids = (
            self.image_ids[i] if 0 <= i < len(self.image_ids) else "?" for i in self.image[rows[:5]]
        )
        named = ", ".join(
            f"{row} ({image_id})" for row, image_id in zip(rows[:5], ids, strict=True)
        )
        return [f"{fault} in {len(rows)} rows: {named}{' ...' if len(rows) > 5 else ''}"]

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return {"image": np.int32, "label": np.int16, "xyxy": np.float32}


@dataclass(frozen=True, eq=False)
class Detections(Boxes):
    """What a detector, an ensemble or a submission says."""

    score: NDArray[np.float32]  # (N,) in [0, 1]

    def _faults(self) -> list[str]:
        outside = ~((self.score >= 0) & (self.score <= 1))
        return super()._faults() + self._problem(outside, "score is outside [0, 1] or NaN")

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return super()._dtypes() | {"score": np.float32}


@dataclass(frozen=True, eq=False)
class GroundTruth(Boxes):
    """What an annotator says: the boxes that a detector should find."""

    difficult: NDArray[np.bool_]  # (N,) VOC: neither hitting nor missing it counts

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return super()._dtypes() | {"difficult": np.bool_}


def rank_key(group: Array, score: Array) -> Array:
    """Integers that sort by group, then by falling score. -> (N,) int64.

    group (N,) int; score (N,) float32 in [0, 1]. Floats from 0 up have the order of their bits
    read as an integer, because the exponent stands before the fraction. So one integer holds both,
    and one integer sort takes the place of a lexsort, which needs 2 to 5 times as long:

        score   bits          group 1: 1 << 32 less the bits
        0.5     0x3F000000    0xC1000000
        0.25    0x3E800000    0xC1800000     a lower score comes later
        0.0     0x00000000    0x100000000    and group 2 begins above that
    """
    bits: Array = (score + np.float32(0)).view(np.int32)  # the sum turns -0.0 into 0.0
    return (group.astype(np.int64) << 32) - bits


def among_first(image: Array, count_max: int) -> Array:
    """Which rows of a sorted image column are their image's first `count_max`. -> (n,) bool."""
    first_row: Array = np.searchsorted(image, image)
    return np.arange(len(image)) - first_row < count_max


def align(dets: Detections, truth: GroundTruth) -> Detections:
    """`dets` with its image and label columns re-indexed to truth's image_ids and classes.

    Raises InputError, naming some, when either lists an image the other lacks or dets uses a class
    truth lacks.
    """
    if (dets.image_ids, dets.classes) == (truth.image_ids, truth.classes):
        return dets
    for names, known, fault in (
        (dets.image_ids, truth.image_ids, "detections look at images that the truth does not list"),
        (truth.image_ids, dets.image_ids, "detections do not look at images that the truth lists"),
        (dets.classes, truth.classes, "detections name classes that the truth does not have"),
    ):
        extra = sorted(set(names) - set(known))
        if extra:
            raise InputError(f"{fault}: {len(extra)}, such as {', '.join(extra[:5])}")
    image_row = {name: i for i, name in enumerate(truth.image_ids)}
    label_row = {name: i for i, name in enumerate(truth.classes)}
    image = np.array([image_row[name] for name in dets.image_ids], np.int32)
    label = np.array([label_row[name] for name in dets.classes], np.int16)
    return replace(
        dets,
        image_ids=truth.image_ids,
        classes=truth.classes,
        image=image[dets.image],
        label=label[dets.label],
    )
