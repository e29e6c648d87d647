"""A split of a data set in any of the formats, as a GroundTruth table with its photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import GroundTruth
from harness.data.coco import CocoJson
from harness.data.listfile import ListFiles
from harness.data.records import (
    PHOTO_SUFFIXES,
    Problem,
    Record,
    Source,
    list_photos,
    measure,
    refuse_split,
    unusable,
)
from harness.data.voc import Voc
from harness.data.yolo import YoloTxt


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split, ready to train on or to score against."""

    root: Path  # DATA as it was given
    images: Path | None  # its folder of photos, where that was given
    split: str
    photos: tuple[Path, ...]  # (I,) in step with truth.image_ids
    truth: (
        GroundTruth  # boxes exactly as in the files: those partly outside the photo are not clipped
    )
    skipped: tuple[
        Problem, ...
    ]  # boxes left out of the truth: no area, not finite, wholly outside the photo


def load_split(data: Path, split: str, *, images: Path | None = None) -> Dataset:
    """Read a split's photo list and annotations; photos are opened for their size only.

    An image_id is the photo's path below its folder, whatever the annotation calls it. Raises InputError, naming the
    first ten and the number of all, for missing or unreadable photos and annotations and for unknown classes.
    """
    source = open_source(data, images)
    check_split(source, split, data)
    photos, problems = source.photos(split)
    sizes, unreadable = measure(photos)
    records, wrong = source.records(split, photos, sizes)
    problems = [*problems, *unreadable, *wrong]
    if not photos:
        problems.append(Problem(str(data), None, "", f"split {split} lists no photo"))
    truth, skipped, unknown = _columns(tuple(photos), source.classes(), records, sizes)
    problems += unknown
    refuse_split((problem for problem in problems if problem.severity == "error"), data)
    return Dataset(data, images, split, tuple(photos.values()), truth, tuple(skipped))


def load_truth(list_file: Path) -> GroundTruth:
    """The truth of a list file alone, its photos not needed: what a submission is scored against.

    Raises InputError as `load_split` does, and for boxes it would leave out, since there is no Dataset to list them.
    """
    source = ListFiles([list_file])
    records, problems = source.records(list_file.stem, {}, {})
    image_ids = tuple(record.image_id for record in records)
    if not image_ids:
        raise InputError(f"{list_file}: want a line for each photo, the file is empty")
    borderless = dict.fromkeys(image_ids, (inf, inf))
    try:
        truth, skipped, unknown = _columns(image_ids, source.classes(), records, borderless)
    except InputError as error:
        raise InputError(f"{list_file}: {error}") from None
    refuse_split([*problems, *unknown, *skipped], list_file)
    return truth


def _columns(
    image_ids: tuple[str, ...],
    classes: tuple[str, ...],
    records: list[Record],
    sizes: Mapping[str, tuple[float, float]],
) -> tuple[GroundTruth, list[Problem], list[Problem]]:
    """Records -> the table, the boxes left out of it, and those of no known class; photos without a size have none."""
    label_of = {name: label for label, name in enumerate(classes)}
    row_of = {image_id: row for row, image_id in enumerate(image_ids)}
    image, label, xyxy, difficult = [], [], [], []
    skipped, unknown = [], []
    for record in records:
        for found in record.objects:
            if found.name not in label_of:
                what = f"class {found.name} is not one of {', '.join(classes)}"
                unknown.append(Problem(record.file, found.line, record.image_id, what))
            elif record.image_id in sizes:
                why = unusable(found.xyxy, sizes[record.image_id])
                if why:
                    what = f"{found.name} box {why}: {found.written}"
                    skipped.append(
                        Problem(record.file, found.line, record.image_id, what, "warning")
                    )
                else:
                    image.append(row_of[record.image_id])
                    label.append(label_of[found.name])
                    xyxy.append(found.xyxy)
                    difficult.append(found.difficult)
    truth = GroundTruth(
        image_ids,
        classes,
        np.array(image, np.int32),
        np.array(label, np.int16),
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array(difficult, np.bool_),
    )
    return truth, skipped, unknown


def load_photos(
    data: Path, split: str, *, images: Path | None = None
) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """image_ids and photos of a split, without a look at annotations: a test split need not have any.

    Raises InputError naming missing photos.
    """
    source = open_source(data, images)
    check_split(source, split, data)
    photos, problems = source.photos(split)
    refuse_split(problems, data)
    if not photos:
        raise InputError(f"{data}: split {split} lists no photo")
    return tuple(photos), tuple(photos.values())


def find_photos(sources: Sequence[Path]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """image_ids and paths of photos given as files and folders, folders with all below them.

    An image_id is the path below its folder, or the file's name. Raises InputError for what is not there, for a
    folder without photos, and for two photos with one image_id.
    """
    found: list[tuple[str, Path]] = []
    for given in sources:
        if given.is_dir():
            inside = [(name, given / name) for name in list_photos(given)]
            if not inside:
                raise InputError(
                    f"{given}: want photos ({' '.join(PHOTO_SUFFIXES)}), the folder has none"
                )
            found += inside
        elif given.is_file():
            found.append((given.name, given))
        else:
            raise InputError(f"{given}: want a photo or a folder of photos, nothing is there")
    photos: dict[str, Path] = {}
    for image_id, path in found:
        if photos.setdefault(image_id, path) != path:
            raise InputError(
                f"two photos would both be {image_id}: {photos[image_id]} and {path}; give their folder"
            )
    return tuple(photos), tuple(photos.values())


def splits_of(data: Path, *, images: Path | None = None) -> tuple[str, ...]:
    """Names of the splits that DATA has."""
    return open_source(data, images).splits()


def check_split(source: Source, split: str, data: Path) -> None:
    """Raise InputError when there is no such split, naming those there are."""
    if split not in source.splits():
        raise InputError(
            f"{data}: no split {split}; there is {', '.join(source.splits()) or 'none'}"
        )


def open_source(data: Path, images: Path | None = None) -> Source:
    """The reader for DATA by its layout; the annotations are not read yet. Raises InputError naming what was tried."""
    if images is not None and not images.is_dir():
        raise InputError(
            f"{images}: want the folder of photos, {'a file' if images.exists() else 'nothing'} is there"
        )
    if data.is_file():
        match data.suffix.lower():
            case ".json":
                return CocoJson([data], images)
            case ".yaml" | ".yml":
                return YoloTxt(data, images)
            case ".txt":
                return ListFiles([data], images)
        raise InputError(f"{data}: want a COCO .json, a YOLO .yaml or a list .txt, or a folder")
    if not data.is_dir():
        raise InputError(f"{data}: want a data set, nothing is there")
    kits = [
        path.parent.parent
        for pattern in ("", "*/", "VOCdevkit/*/")
        for path in sorted(data.glob(f"{pattern}ImageSets/Main"))
    ]
    if len(kits) > 1 and kits[0] != data:
        raise InputError(
            f"{data}: holds several VOC data sets, name one: {', '.join(map(str, kits))}"
        )
    if kits:
        return Voc(kits[0], images)
    if (data / "data.yaml").is_file():
        return YoloTxt(data / "data.yaml", images)
    files = sorted([*data.glob("*.json"), *data.glob("annotations/*.json")])
    if files:  # captions_val2017.json and its like lie beside COCO's instances
        return CocoJson([f for f in files if f.name.startswith("instances_")] or files, images)
    lists = [path for path in sorted(data.glob("*.txt")) if path.name != "classes.txt"]
    if lists:
        return ListFiles(lists, images)
    raise InputError(
        f"{data}: want a data set, found neither ImageSets/Main (VOC; also in VOCdevkit/VOC2007), data.yaml (YOLO), "
        "*.json or annotations/*.json (COCO) nor *.txt (lists)"
    )
