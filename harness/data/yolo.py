"""A data set in YOLO's layout: a data.yaml names the photos of each split, labels lie beside them.

    names: [dog, cat]           images/train/x.jpg
    train: images/train         labels/train/x.txt      one line per object

Lines hold class, centre x, centre y, width and height, normalized (evaluate.exchange.yolo_txt). A
photo without a label file has no objects, as everywhere in this format; when no photo of a split
has one, the labels must be elsewhere and the split is refused.

Source: https://docs.ultralytics.com/datasets/detect/
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from evaluate.exceptions import InputError
from evaluate.exchange.lines import WordLine, numbered_lines, word_lines
from evaluate.exchange.names import PHOTO_SUFFIXES
from evaluate.exchange.rows import Size
from evaluate.exchange.yolo_txt import LABELS, read_label, to_pixels
from harness.data.records import Object, Problem, Record
from harness.images.photo_files import list_photos


class _Listed(NamedTuple):
    """A photo, and the file and line that name it."""

    photo: Path
    file: str
    line: int | None


class YoloTxt:
    """The data set that a data.yaml describes."""

    def __init__(self, file: Path, images: Path | None = None) -> None:
        if images:
            raise InputError(f"{file}: names its own folders of photos, leave --images out")
        self.file = file
        try:
            content = yaml.safe_load(file.read_bytes())
        except yaml.YAMLError as error:
            raise InputError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            kind = type(content).__name__
            raise InputError(f"{file}: want keys names, train, val, test; found {kind}")
        self.content: dict[str, Any] = content
        named = file.parent / str(content.get("path") or ".")
        self.root = named if named.is_dir() else file.parent  # written on another machine

    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in ("train", "val", "test") if self.content.get(split))

    def classes(self) -> tuple[str, ...]:
        """`names`, a list or a mapping from 0, 1, 2, ..."""
        names = self.content.get("names")
        if isinstance(names, dict) and sorted(names) == list(range(len(names))):
            names = [names[i] for i in range(len(names))]
        if not isinstance(names, list) or not names or len({str(n) for n in names}) < len(names):
            raise InputError(
                f"{self.file}: want names, each once, as a list or as 0: a, 1: b, ...; "
                f"found {names}"
            )
        if self.content.get("nc", len(names)) != len(names):
            raise InputError(f"{self.file}: nc is {self.content['nc']}, names has {len(names)}")
        return tuple(str(name) for name in names)

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        """image_id is the path relative to the folder that the split's photos share."""
        listed, problems = self._list(split)
        folders = [os.path.abspath(entry.photo.parent) for entry in listed]
        shared = os.path.commonpath(folders) if folders else ""
        photos: dict[str, Path] = {}
        for path, file, line in listed:
            image_id = Path(os.path.abspath(path)).relative_to(shared).as_posix()
            if image_id in photos:
                problems.append(Problem(file, line, image_id, f"{image_id} is listed twice"))
            if not path.is_file():
                problems.append(Problem(file, line, image_id, f"photo is missing: want {path}"))
            photos[image_id] = path
        return photos, problems

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        files = {image_id: label_file(photo) for image_id, photo in photos.items()}
        absent = {image_id for image_id, file in files.items() if not file.is_file()}
        if files and len(absent) == len(files):
            image_id, file = next(iter(files.items()))
            text = f"label file is missing, as for all of {split}"
            return [], [Problem(str(file), None, image_id, text)]
        classes = self.classes()
        records, problems = [], []
        for image_id, size in sizes.items():
            file = files[image_id]
            objects: list[Object] = []
            if image_id in absent:
                text = "label file is missing: taken as a photo without objects"
                problems.append(Problem(str(file), None, image_id, text, "warning"))
            else:
                objects, bad = _read_labels(file, classes, size)
                problems += [Problem(str(file), line, image_id, text) for line, text in bad]
            records.append(Record(image_id, objects, str(file)))
        return records, problems

    def _list(self, split: str) -> tuple[list[_Listed], list[Problem]]:
        """The photos that a split's entries name: folders, lists of paths, or single photos."""
        entries = self.content[split]
        listed: list[_Listed] = []
        problems = []
        for entry in entries if isinstance(entries, list) else [entries]:
            path = self._locate(str(entry))
            if path.is_dir():
                names = list_photos(path)
                listed += [_Listed(path / name, str(self.file), None) for name in names]
            elif path.suffix == ".txt" and path.is_file():
                lines = numbered_lines(path)
                listed += [_Listed(path.parent / text, str(path), line) for line, text in lines]
            elif path.suffix.lower() in PHOTO_SUFFIXES:
                listed.append(_Listed(path, str(self.file), None))
            else:
                text = f"{split}: want a folder or list at {path}"
                problems.append(Problem(str(self.file), None, "", text))
        return listed, problems

    def _locate(self, entry: str) -> Path:
        """The path of an entry.

        Roboflow writes ../train/images for train/images beside the file.
        """
        path = self.root / entry
        return self.root / entry[3:] if entry.startswith("../") and not path.exists() else path


def label_file(photo: Path) -> Path:
    """a/images/b/x.jpg -> a/labels/b/x.txt: the last folder named images is replaced.

    Where no folder is called so, the label file lies beside the photo.
    """
    folders = list(photo.parts[:-1])
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return Path(*folders, f"{photo.stem}.txt")


def _read_labels(
    file: Path, classes: tuple[str, ...], size: Size
) -> tuple[list[Object], list[tuple[int, str]]]:
    """The objects of one photo, and (line, what is wrong) for each bad line."""
    lines, problems = word_lines(file, LABELS)
    good: list[tuple[WordLine, int]] = []  # with its label
    cxcywh_normalized = []
    for line in lines:
        label = read_label(line.words[0], len(classes))
        try:
            numbers = [float(word) for word in line.words[1:]]
        except ValueError:
            problems.append((line.line, f"want {LABELS}, there is {' '.join(line.words)!r}"))
            continue
        if label < 0:
            text = f"class {line.words[0]} is not in 0..{len(classes) - 1}"
            problems.append((line.line, text))
            continue
        good.append((line, label))
        cxcywh_normalized.append(numbers)
    xyxy = to_pixels(np.array(cxcywh_normalized, np.float64).reshape(-1, 4), size)
    objects = [
        Object(classes[label], (x1, y1, x2, y2), False, line.line, " ".join(line.words))
        for (line, label), (x1, y1, x2, y2) in zip(good, xyxy.tolist(), strict=True)
    ]
    return objects, problems
