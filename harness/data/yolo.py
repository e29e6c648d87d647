"""YOLO: a data.yaml names the photos of each split; labels/x.txt beside images/x.jpg has a line an object.

    names: [dog, cat]                      0 0.5100 0.4417 0.1240 0.0906
    train: images/train                    class, then centre x, y, width, height as shares of the photo's sides

Source: https://docs.ultralytics.com/datasets/detect/
A photo without a label file has no objects, as everywhere in this format; when no photo of a split has one, the
labels are elsewhere and the split is refused.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from evaluate.exceptions import InputError
from evaluate.exchange.names import PHOTO_SUFFIXES
from harness.data.records import (
    Object,
    Problem,
    Record,
    Size,
    numbered_lines,
)
from harness.images.photo_files import list_photos


class YoloTxt:
    """The data set a data.yaml describes."""

    def __init__(self, file: Path, images: Path | None = None) -> None:
        if images:
            raise InputError(f"{file}: names its own folders of photos, leave --images out")
        self.file = file
        try:
            content = yaml.safe_load(file.read_bytes())
        except yaml.YAMLError as error:
            raise InputError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise InputError(
                f"{file}: want keys names, train, val, test; found {type(content).__name__}"
            )
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
                f"{self.file}: want names, each once, as a list or as 0: a, 1: b, ...; found {names}"
            )
        if self.content.get("nc", len(names)) != len(names):
            raise InputError(f"{self.file}: nc is {self.content['nc']}, names has {len(names)}")
        return tuple(str(name) for name in names)

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        """image_id is the path relative to the folder that the split's photos share."""
        entries = self.content[split]
        found: list[tuple[Path, str, int | None]] = []  # photo, the file and line that name it
        problems = []
        for entry in entries if isinstance(entries, list) else [entries]:
            path = self._locate(str(entry))
            if path.is_dir():
                found += [(path / name, str(self.file), None) for name in list_photos(path)]
            elif path.suffix == ".txt" and path.is_file():
                found += [
                    (path.parent / text, str(path), line) for line, text in numbered_lines(path)
                ]
            elif path.suffix.lower() in PHOTO_SUFFIXES:
                found.append((path, str(self.file), None))
            else:
                problems.append(
                    Problem(str(self.file), None, "", f"{split}: want a folder or list at {path}")
                )
        shared = (
            os.path.commonpath([os.path.abspath(path.parent) for path, _, _ in found])
            if found
            else ""
        )
        photos: dict[str, Path] = {}
        for path, file, line in found:
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
        classes = self.classes()
        files = {image_id: label_file(photo) for image_id, photo in photos.items()}
        absent = {image_id for image_id, file in files.items() if not file.is_file()}
        if files and len(absent) == len(files):
            image_id, file = next(iter(files.items()))
            return [], [
                Problem(str(file), None, image_id, f"label file is missing, as for all of {split}")
            ]
        records, problems = [], []
        for image_id in sizes:
            objects: list[Object] = []
            file = files[image_id]
            if image_id in absent:
                what = "label file is missing: taken as a photo without objects"
                problems.append(Problem(str(file), None, image_id, what, "warning"))
            for line, text in [] if image_id in absent else numbered_lines(file):
                try:
                    label, cx, cy, w, h = (float(word) for word in text.split())
                except ValueError:
                    what = f"want class, centre x, y, width, height; found {text}"
                    problems.append(Problem(str(file), line, image_id, what))
                    continue
                if label not in range(len(classes)):
                    what = f"class {text.split()[0]} is not in 0..{len(classes) - 1}"
                    problems.append(Problem(str(file), line, image_id, what))
                    continue
                height, width = sizes[image_id]
                x1, x2 = (cx - w / 2) * width, (cx + w / 2) * width
                y1, y2 = (cy - h / 2) * height, (cy + h / 2) * height
                objects.append(Object(classes[int(label)], (x1, y1, x2, y2), False, line, text))
            records.append(Record(image_id, objects, str(file)))
        return records, problems

    def _locate(self, entry: str) -> Path:
        """The path of an entry; Roboflow writes ../train/images for train/images beside the file."""
        path = self.root / entry
        return self.root / entry[3:] if entry.startswith("../") and not path.exists() else path


def label_file(photo: Path) -> Path:
    """a/images/b/x.jpg -> a/labels/b/x.txt: the last folder named images; the photo's own folder when none is."""
    folders = list(photo.parts[:-1])
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return Path(*folders, f"{photo.stem}.txt")
