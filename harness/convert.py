"""Tables from and to the files of other tools: what is which format, and where its images and classes come from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluate.exceptions import InputError
from evaluate.exchange.coco_file import CocoNumbers
from evaluate.exchange.coco_json import (
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
from submit.csv import formats
from submit.csv.profile import Profile, load_profile

Format = Literal["npz", "coco", "csv", "submission", "devkit", "yolo"]
Table = Detections | GroundTruth

BY_SUFFIX: dict[str, Format] = {".npz": "npz", ".json": "coco", ".csv": "csv"}


@dataclass(frozen=True, eq=False)
class Known:
    """The images and classes that a file can speak of."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    numbers: CocoNumbers  # theirs in COCO files
    truth: GroundTruth | None = None
    data: OpenedData | None = None
    split: str = ""  # of data

    def sizes(self, image_ids: Sequence[str]) -> list[Size]:
        """(height, width) of these photos. Raises InputError where there is no DATA to open them."""
        if self.data is None:
            raise InputError(
                "YOLO's boxes are shares of the photo: want --data DATA --split SPLIT, for the photos' sizes"
            )
        return self.data.sizes(self.split, image_ids)


def known_from(
    data: Path | None,
    split: str,
    *,
    images: Path | None = None,
    truth: Path | None = None,
    annotated: bool = False,
) -> Known | None:
    """What DATA's split, or else a truth alone (.npz, COCO .json, list file), knows; None when neither is given.

    DATA's annotations are read only when `annotated`: a test split need not have any.
    """
    if data is not None and truth is not None:
        raise InputError("want either --data DATA --split SPLIT or --truth, both are there")
    if data is not None:
        opened = open_data(data, images)
        (image_ids, _), classes = opened.photos(split), opened.classes
        numbers = (
            opened.reader.numbers(split)
            if isinstance(opened.reader, CocoJson)
            else CocoNumbers.of(image_ids, classes)
        )
        answers = opened.load(split).truth if annotated else None
        return Known(image_ids, classes, numbers, answers, opened, split)
    if truth is None:
        return None
    if truth.suffix == ".json":
        answers, numbers = read_truth(truth), CocoNumbers.read(truth)
    else:
        answers = GroundTruth.load(truth) if truth.suffix == ".npz" else load_truth(truth)
        numbers = CocoNumbers.of(answers.image_ids, answers.classes)
    return Known(answers.image_ids, answers.classes, numbers, answers)


def sizes_for(
    profile: Profile | None, known: Known | None, image_ids: Sequence[str]
) -> list[Size] | None:
    """(height, width) of the photos, where the profile's boxes are shares of them."""
    return known.sizes(image_ids) if known and profile and profile.unit == "shares" else None


def read(path: Path, known: Known | None = None, *, profile: Profile | None = None) -> Table:
    """Detections or a truth from any of the formats, told apart by suffix and content. Raises InputError.

    A .csv is a submission as `profile` says, or else where it has the default's header.
    COCO results, the devkit's and YOLO's files need `known`: they do not say which images were looked at.
    """
    if path.is_dir():
        return _read_folder(path, _needed(known, path))
    image_ids, classes = (known.image_ids, known.classes) if known else (None, None)
    match BY_SUFFIX.get(path.suffix.lower()):
        case "npz":
            return _read_npz(path)
        case "coco" if _starts_with(path, "{"):
            return read_truth(path)
        case "coco":
            return read_results(path, _needed(known, path).numbers)
        case "csv" if profile or _starts_with(path, ",".join(load_profile().header)):
            sizes = sizes_for(profile, known, image_ids or ())
            return formats.read(path, classes, image_ids=image_ids, profile=profile, sizes=sizes)
        case "csv":
            return read_csv(path, image_ids=image_ids, classes=classes)
    raise InputError(
        f"{path}: want a .npz, .json or .csv, or a folder of the devkit's or YOLO's text files"
    )


def write(
    table: Table,
    path: Path,
    known: Known | None = None,
    *,
    format: Format | None = None,
    profile: Profile | None = None,
    split: str,
) -> None:
    """Write `table` whole or not at all, in `format` or else as the suffix says. Raises InputError.

    Files of the devkit are named comp4_det_SPLIT_CLASS.txt. COCO's numbers are those of `known`, else the table's own.
    """
    form = format or BY_SUFFIX.get(path.suffix.lower())
    if isinstance(table, GroundTruth) and form in ("submission", "devkit"):
        raise InputError(f"{path}: {form} files hold detections, this is a truth")
    numbers = known.numbers if known else CocoNumbers.of(table.image_ids, table.classes)
    match form, table:
        case "npz", _:
            table.save(path)
        case "coco", Detections():
            write_results(table, path, numbers)
        case "coco", GroundTruth():
            sizes = known.sizes(table.image_ids) if known and known.data else None
            write_truth(table, path, numbers, sizes=sizes)
        case "csv", _:
            write_csv(table, path)
        case "submission", Detections():
            formats.write(
                table, path, profile=profile, sizes=sizes_for(profile, known, table.image_ids)
            )
        case "devkit", Detections():
            write_devkit(table, path, prefix=f"comp4_det_{split}")
        case "yolo", _:
            write_yolo(table, path, _needed(known, path).sizes(table.image_ids))
        case _:
            raise InputError(
                f"{path}: want a name with {', '.join(BY_SUFFIX)}, or --format devkit or yolo for a folder"
            )


def _read_folder(folder: Path, known: Known) -> Detections:
    kits = {
        match[1]
        for path in folder.glob("*.txt")
        if (match := re.match(r"(comp\d+_det_[^_]+)_", path.name))
    }
    if len(kits) > 1:
        raise InputError(
            f"{folder}: want the results of one split, there are those of {', '.join(sorted(kits))}"
        )
    if kits:
        return read_devkit(folder, known.image_ids, known.classes, prefix=kits.pop())
    return read_yolo(folder, known.image_ids, known.classes, known.sizes(known.image_ids))


def _read_npz(path: Path) -> Table:
    try:
        return Detections.load(path)
    except InputError as error:
        try:
            return GroundTruth.load(path)
        except InputError:
            raise error from None


def _needed(known: Known | None, path: Path) -> Known:
    if known is None:
        raise InputError(
            f"{path}: want --data DATA --split SPLIT or --truth, this format does not list the images"
        )
    return known


def _starts_with(path: Path, text: str) -> bool:
    with open(path, "rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(text.encode())
