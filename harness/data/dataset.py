"""A data set, opened once per command, and its splits as GroundTruth tables with their photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path

import numpy as np

from evaluate.exceptions import InputError
from evaluate.exchange.rows import Size
from evaluate.tables import GroundTruth
from harness.data.layout import open_reader
from harness.data.listfile import ListFiles
from harness.data.records import (
    AnnotationReader,
    Problem,
    Record,
    measure,
    refuse_split,
    unusable,
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split, ready to train on or to score against."""

    root: Path  # DATA as it was given
    images: Path | None  # its folder of photos, where that was given
    split: str
    photos: tuple[Path, ...]  # (I,) in step with truth.image_ids
    truth: GroundTruth  # boxes exactly as in the files, not clipped where they leave the photo
    skipped: tuple[Problem, ...]  # boxes left out: no area, not finite, wholly outside the photo


class OpenedData:
    """DATA for the length of one command: its files are read when asked for, and only once.

    Every method raises InputError for a split that DATA does not have, naming those it has.
    """

    def __init__(self, root: Path, images: Path | None, reader: AnnotationReader) -> None:
        self.root, self.images, self.reader = root, images, reader
        self._photos: dict[str, tuple[dict[str, Path], list[Problem]]] = {}  # by split
        self._sizes: dict[str, tuple[dict[str, Size], list[Problem]]] = {}
        self._datasets: dict[str, Dataset] = {}

    @cached_property
    def splits(self) -> tuple[str, ...]:
        return self.reader.splits()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names in label order. Raises InputError where the files do not say them clearly."""
        return self.reader.classes()

    def photos(self, split: str) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """image_ids and photos of a split. Annotations are not read: a test split may have none.

        Raises InputError naming missing photos.
        """
        photos, problems = self._listed(split)
        refuse_split(problems, self.root)
        if not photos:
            raise InputError(f"{self.root}: split {split} lists no photo")
        return tuple(photos), tuple(photos.values())

    def sizes(self, split: str, image_ids: Sequence[str]) -> list[Size]:
        """(height, width) of photos of the split, from their headers.

        Raises InputError naming photos that cannot be read and images that the split does not list.
        """
        self.photos(split)
        sizes, problems = self._measured(split)
        refuse_split(problems, self.root)
        unknown = [image_id for image_id in image_ids if image_id not in sizes]
        if unknown:
            raise InputError(
                f"DATA has no photo of {len(unknown)} images, such as {', '.join(unknown[:5])}"
            )
        return [sizes[image_id] for image_id in image_ids]

    def load(self, split: str) -> Dataset:
        """The split with its annotations; photos are opened for their size only.

        An image_id is the photo's path below its folder, whatever the annotation calls it. Raises
        InputError, naming the first ten and the number of all, for missing or unreadable photos and
        annotations and for unknown classes.
        """
        if split not in self._datasets:
            self._datasets[split] = self._load(split)
        return self._datasets[split]

    def _load(self, split: str) -> Dataset:
        photos, problems = self._listed(split)
        sizes, unreadable = self._measured(split)
        records, wrong = self.reader.records(split, photos, sizes)
        problems = [*problems, *unreadable, *wrong]
        if not photos:
            problems.append(Problem(str(self.root), None, "", f"split {split} lists no photo"))
        truth, skipped, unknown = _table(tuple(photos), self.classes, records, sizes)
        problems += unknown
        refuse_split([problem for problem in problems if problem.severity == "error"], self.root)
        return Dataset(self.root, self.images, split, tuple(photos.values()), truth, tuple(skipped))

    def _listed(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        """What the reader says of the split's photos."""
        if split not in self.splits:
            names = ", ".join(self.splits) or "none"
            raise InputError(f"{self.root}: no split {split}; there is {names}")
        if split not in self._photos:
            self._photos[split] = self.reader.photos(split)
        return self._photos[split]

    def _measured(self, split: str) -> tuple[dict[str, Size], list[Problem]]:
        if split not in self._sizes:
            self._sizes[split] = measure(self._listed(split)[0])
        return self._sizes[split]


def open_data(data: Path, images: Path | None = None) -> OpenedData:
    """DATA in whatever format it has. Raises InputError naming what was looked for.

    images: the folder of photos, where it is not beside DATA.
    """
    return OpenedData(data, images, open_reader(data, images))


def load_split(data: Path, split: str, *, images: Path | None = None) -> Dataset:
    """One split of DATA, for those who need no other: `OpenedData.load`."""
    return open_data(data, images).load(split)


def load_truth(list_file: Path) -> GroundTruth:
    """The truth of a list file alone: what a submission is scored against, without photos.

    Raises InputError as `OpenedData.load` does, and also for the boxes which that leaves out: here
    is no Dataset to list them.
    """
    reader = ListFiles([list_file])
    records, problems = reader.records(list_file.stem, {}, {})
    image_ids = tuple(record.image_id for record in records)
    if not image_ids:
        raise InputError(f"{list_file}: want a line for each photo, the file is empty")
    borderless = dict.fromkeys(image_ids, (inf, inf))
    try:
        truth, skipped, unknown = _table(image_ids, reader.classes(), records, borderless)
    except InputError as error:
        raise InputError(f"{list_file}: {error}") from None
    refuse_split([*problems, *unknown, *skipped], list_file)
    return truth


def _table(
    image_ids: tuple[str, ...],
    classes: tuple[str, ...],
    records: list[Record],
    sizes: Mapping[str, tuple[float, float]],
) -> tuple[GroundTruth, list[Problem], list[Problem]]:
    """Records -> the table, the boxes left out of it, and the boxes of no known class.

    Photos without a size have no boxes in the table: another problem names them.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    row_of = {image_id: row for row, image_id in enumerate(image_ids)}
    image, label, xyxy, difficult = [], [], [], []
    skipped, unknown = [], []
    for record in records:
        for box in record.objects:
            if box.name not in label_of:
                text = f"class {box.name} is not one of {', '.join(classes)}"
                unknown.append(Problem(record.file, box.line, record.image_id, text))
                continue
            if record.image_id not in sizes:
                continue
            reason = unusable(box.xyxy, sizes[record.image_id])
            if reason:
                text = f"{box.name} box {reason}: {box.written}"
                skipped.append(Problem(record.file, box.line, record.image_id, text, "warning"))
                continue
            image.append(row_of[record.image_id])
            label.append(label_of[box.name])
            xyxy.append(box.xyxy)
            difficult.append(box.difficult)
    truth = GroundTruth(
        image_ids,
        classes,
        np.array(image, np.int32),
        np.array(label, np.int16),
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array(difficult, np.bool_),
    )
    return truth, skipped, unknown
