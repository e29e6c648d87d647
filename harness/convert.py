"""Tables from and to the files of other tools, whichever format a path has.

A file of boxes rarely stands alone: COCO results hold ids, the devkit's and YOLO's files hold
names, and none of them lists the images without a box. So most formats need a Vocabulary beside
them: which images and classes there are, taken from DATA or from a truth. A format is told by the
suffix, and where two share one (.json, .csv), by how the file begins.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluate.exceptions import InputError
from evaluate.exchange.coco_file import CocoFile, CocoNumbers
from evaluate.exchange.coco_json import (
    parse_truth,
    read_results,
    read_truth,
    write_results,
    write_truth,
)
from evaluate.exchange.dataframes import read_csv, write_csv
from evaluate.exchange.devkit import read_devkit, write_devkit
from evaluate.exchange.rows import Size
from evaluate.exchange.yolo_txt import read_yolo, write_yolo
from evaluate.tables import Detections, GroundTruth
from harness.data.coco import CocoJson
from harness.data.dataset import OpenedData, load_truth, open_data
from submit.csv.formats import SIZES_WANTED, read_submission, write_submission
from submit.csv.profile import Profile, load_profile

Format = Literal["npz", "coco", "csv", "submission", "devkit", "yolo"]
Table = Detections | GroundTruth

BY_SUFFIX: dict[str, Format] = {".npz": "npz", ".json": "coco", ".csv": "csv"}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The images and classes that a file can speak of."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    numbers: CocoNumbers  # what COCO files call them
    truth: GroundTruth | None = None
    data: OpenedData | None = None
    split: str = ""  # of data

    def sizes(self, image_ids: Sequence[str]) -> list[Size]:
        """(height, width) of these photos. Raises InputError without a DATA that has them."""
        if self.data is None:
            raise InputError(SIZES_WANTED)
        return self.data.sizes(self.split, image_ids)


def find_vocabulary(
    data: Path | None,
    split: str,
    *,
    images: Path | None = None,
    truth: Path | None = None,
    annotated: bool = False,
) -> Vocabulary | None:
    """That of DATA's split, or of a truth alone (.npz, COCO .json, list file); None without either.

    DATA's annotations are read only when `annotated`: a test split may have none. Raises InputError
    when both are given.
    """
    if data is not None and truth is not None:
        raise InputError("want either --data DATA --split SPLIT or --truth, both are there")
    if data is not None:
        return _of_data(open_data(data, images), split, annotated)
    if truth is None:
        return None
    if truth.suffix == ".json":
        file = CocoFile.read(truth)
        table, numbers = parse_truth(file), file.numbers
    else:
        table = GroundTruth.load(truth) if truth.suffix == ".npz" else load_truth(truth)
        numbers = CocoNumbers.of(table.image_ids, table.classes)
    return Vocabulary(table.image_ids, table.classes, numbers, table)


def sizes_for(
    profile: Profile | None, vocabulary: Vocabulary | None, image_ids: Sequence[str]
) -> list[Size] | None:
    """(height, width) of the photos, where the profile's boxes are normalized coordinates."""
    if vocabulary is None or profile is None or not profile.normalized:
        return None
    return vocabulary.sizes(image_ids)


def read_table(
    path: Path, vocabulary: Vocabulary | None = None, *, profile: Profile | None = None
) -> Table:
    """Detections or a truth from any of the formats.

    A .csv is a submission if `profile` is given, or if it has the default profile's header. COCO
    results, the devkit's and YOLO's files need `vocabulary`: they do not say which images were
    looked at. Raises InputError, for bad rows BadRows.
    """
    if path.is_dir():
        return _read_folder(path, _required(vocabulary, path))
    image_ids, classes = (vocabulary.image_ids, vocabulary.classes) if vocabulary else (None, None)
    match BY_SUFFIX.get(path.suffix.lower()):
        case "npz":
            return _read_npz(path)
        case "coco" if _starts_with(path, "{"):
            return read_truth(path)
        case "coco":
            return read_results(path, _required(vocabulary, path).numbers)
        case "csv" if profile or _starts_with(path, ",".join(load_profile().header)):
            sizes = sizes_for(profile, vocabulary, image_ids or ())
            return read_submission(path, classes, image_ids=image_ids, profile=profile, sizes=sizes)
        case "csv":
            return read_csv(path, image_ids=image_ids, classes=classes)
    raise InputError(
        f"{path}: want a .npz, .json or .csv, or a folder of the devkit's or YOLO's text files"
    )


def write_table(
    table: Table,
    path: Path,
    vocabulary: Vocabulary | None = None,
    *,
    format: Format | None = None,
    profile: Profile | None = None,
    split: str,
) -> None:
    """Write `table` whole or not at all, in `format` or else as the suffix says.

    Files of the devkit are named comp4_det_SPLIT_CLASS.txt. COCO's numbers are those of
    `vocabulary`, else the table's own. Raises InputError for a format that cannot hold the table.
    """
    form = format or BY_SUFFIX.get(path.suffix.lower())
    if isinstance(table, GroundTruth) and form in ("submission", "devkit"):
        raise InputError(f"{path}: {form} files hold detections, this is a truth")
    if vocabulary:
        numbers = vocabulary.numbers
    else:
        numbers = CocoNumbers.of(table.image_ids, table.classes)
    match form, table:
        case "npz", _:
            table.save(path)
        case "coco", Detections():
            write_results(table, path, numbers)
        case "coco", GroundTruth():
            has_photos = vocabulary is not None and vocabulary.data is not None
            sizes = vocabulary.sizes(table.image_ids) if vocabulary and has_photos else None
            write_truth(table, path, numbers, sizes=sizes)
        case "csv", _:
            write_csv(table, path)
        case "submission", Detections():
            sizes = sizes_for(profile, vocabulary, table.image_ids)
            write_submission(table, path, profile=profile, sizes=sizes)
        case "devkit", Detections():
            write_devkit(table, path, prefix=f"comp4_det_{split}")
        case "yolo", _:
            write_yolo(table, path, _required(vocabulary, path).sizes(table.image_ids))
        case _:
            raise InputError(
                f"{path}: want a name with {', '.join(BY_SUFFIX)}, "
                "or --format devkit or yolo for a folder"
            )


def _of_data(opened: OpenedData, split: str, annotated: bool) -> Vocabulary:
    image_ids, _ = opened.photos(split)
    reader, classes = opened.reader, opened.classes
    if isinstance(reader, CocoJson):
        numbers = reader.numbers(split)
    else:
        numbers = CocoNumbers.of(image_ids, classes)
    truth = opened.load(split).truth if annotated else None
    return Vocabulary(image_ids, classes, numbers, truth, opened, split)


def _read_folder(folder: Path, vocabulary: Vocabulary) -> Detections:
    """Results of the devkit if a file is named like them, else YOLO's."""
    matches = (re.match(r"(comp\d+_det_[^_]+)_", path.name) for path in folder.glob("*.txt"))
    prefixes = {match[1] for match in matches if match}
    image_ids, classes = vocabulary.image_ids, vocabulary.classes
    if len(prefixes) > 1:
        names = ", ".join(sorted(prefixes))
        raise InputError(f"{folder}: want the results of one split, there are those of {names}")
    if prefixes:
        return read_devkit(folder, image_ids, classes, prefix=prefixes.pop())
    return read_yolo(folder, image_ids, classes, vocabulary.sizes(image_ids))


def _read_npz(path: Path) -> Table:
    """Detections, or else a truth; of a file that is neither, the error of the first."""
    try:
        return Detections.load(path)
    except InputError as error:
        try:
            return GroundTruth.load(path)
        except InputError:
            raise error from None


def _required(vocabulary: Vocabulary | None, path: Path) -> Vocabulary:
    if vocabulary is None:
        raise InputError(
            f"{path}: want --data DATA --split SPLIT or --truth, this format does not list the "
            "images"
        )
    return vocabulary


def _starts_with(path: Path, text: str) -> bool:
    """Whether a file begins with `text` after a byte order mark and white space."""
    with open(path, "rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(text.encode())
