"""A data set in COCO's JSON: one file per split, photos in a folder nearby.

Source: https://cocodataset.org/#format-data
Differs: `iscrowd` becomes `difficult`, which counts neither way, as COCO's own scoring has it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from evaluate.exchange.coco_file import CocoFile, CocoNumbers, parse_bbox, repeated
from evaluate.exchange.rows import Size
from harness.data.records import Object, Problem, Record


class CocoJson:
    """One split per JSON file: instances_val.json and instances_val2017.json are both `val`."""

    def __init__(self, files: list[Path], images: Path | None = None) -> None:
        short = Counter(map(_split_name, files))
        self.files = {
            _split_name(path) if short[_split_name(path)] == 1 else path.stem: path
            for path in files
        }
        self.images = images
        self._parsed: dict[str, CocoFile] = {}  # by split; a large file takes seconds

    def splits(self) -> tuple[str, ...]:
        return tuple(self.files)

    def classes(self) -> tuple[str, ...]:
        """Names in the order of their ids. Raises InputError where the files of the set differ."""
        lists = {split: tuple(self.numbers(split).classes) for split in self.files}
        first, *others = lists
        for split in others:
            if lists[split] != lists[first]:
                raise InputError(
                    f"{self.files[split]}: categories differ from those of {self.files[first]}"
                )
        return lists[first]

    def numbers(self, split: str) -> CocoNumbers:
        """What the split's file calls its images and classes."""
        return self._file(split).numbers

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        file = self._file(split)
        names = list(file.numbers.images)
        folder = self.images or self._find_images(split, names)
        photos = {image_id: folder / image_id for image_id in names}
        problems = [
            _problem(file, "", text.removeprefix(f"{file.path}: ")) for text in file.problems
        ]
        problems += [
            _problem(file, image_id, f"photo is missing: want {photo}")
            for image_id, photo in photos.items()
            if not photo.is_file()
        ]
        return photos, problems

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        file = self._file(split)
        if file.annotations is None:
            return [], [_problem(file, "", "there are no annotations, only images")]
        rows = file.annotations
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and {"category_id", "image_id"} <= row.keys() for row in rows
        ):
            raise InputError(
                f"{file.path}: want annotations, a list of objects with category_id and image_id"
            )
        class_of = {str(number): name for name, number in file.numbers.classes.items()}
        records = {
            str(image.id): Record(image.name, [], str(file.path), image.size)
            for image in file.images
        }
        problems = [
            _problem(file, "", f"annotation id {name} is there {count} times", "warning")
            for name, count in repeated([row["id"] for row in rows if "id" in row])
        ]
        for row in rows:
            record = records.get(str(row["image_id"]))
            parsed = _parse(row, class_of)
            title = f"annotation {row.get('id')}: "
            if record is None:
                text = f"image_id {row['image_id']} is not in images"
                problems.append(_problem(file, "", title + text))
            elif isinstance(parsed, str):
                problems.append(_problem(file, record.image_id, title + parsed))
            else:
                record.objects.append(parsed._replace(written=title + parsed.written))
        return list(records.values()), problems

    def _file(self, split: str) -> CocoFile:
        if split not in self._parsed:
            self._parsed[split] = CocoFile.read(self.files[split])
        return self._parsed[split]

    def _find_images(self, split: str, names: list[str]) -> Path:
        """The folder near the JSON that holds the first photo."""
        path = self.files[split]
        # both layouts are common: annotations/ beside val2017/, and the JSON among its photos
        inside = dict.fromkeys(("", split, path.stem.removeprefix("instances_")))
        parents = (path.parent, path.parent.parent)
        around = [folder / name for folder in parents for name in ("", "images")]
        tried = [folder / name for folder in around for name in inside]
        for folder in tried:
            if names and (folder / names[0]).is_file():
                return folder
        raise InputError(
            f"{path}: no folder has its first photo, {names[0] if names else 'none is listed'}; "
            f"tried {', '.join(map(str, tried))}; --images names another"
        )


def _parse(row: dict[str, Any], class_of: Mapping[str, str]) -> Object | str:
    """One annotation, or what is wrong with it."""
    name = class_of.get(str(row["category_id"]))
    if name is None:
        return f"category_id {row['category_id']} is not in categories"
    xyxy = parse_bbox(row.get("bbox"))
    if xyxy is None:
        return f"bbox is {row.get('bbox')}, want [x, y, width, height]"
    return Object(name, xyxy, bool(row.get("iscrowd", 0)), None, str(row["bbox"]))


def _problem(file: CocoFile, image_id: str, text: str, severity: str = "error") -> Problem:
    return Problem(str(file.path), None, image_id, text, severity)


def _split_name(path: Path) -> str:
    """instances_val2017.json -> val"""
    match = re.fullmatch(r"(?:instances_)?(.+?)(?:20\d\d)?", path.stem)
    return match[1] if match else path.stem
