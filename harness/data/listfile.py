"""List files, one line per photo: its name, then `xmin ymin xmax ymax class` for each object.

    000358.jpg 89 100 387 284 6 23 33 110 287 14

Corners are VOC's, 1-based and inclusive; the class is an index into the classes.txt beside the
list, or else into VOC's 20.
"""

from collections.abc import Mapping
from pathlib import Path

from evaluate.exceptions import InputError
from evaluate.exchange.lines import numbered_lines
from evaluate.exchange.rows import Size
from harness.data.records import (
    VOC_CLASSES,
    Object,
    Problem,
    Record,
    from_inclusive,
    read_classes,
)


class ListFiles:
    """Lists of one folder, each a split named after its file. Photos are in `images`, or else
    beside them.
    """

    def __init__(self, lists: list[Path], images: Path | None = None) -> None:
        self.lists = {path.stem: path for path in lists}
        self.folder = lists[0].parent
        self.images = images
        self._lines: dict[Path, dict[int, list[str]]] = {}  # of each list that was read

    def _find_images(self) -> Path:
        """The folder beside the lists that holds the first photo."""
        tried = [self.folder / name for name in ("JPEGImages", "images", ".")]
        first = next(
            (words[0] for path in self.lists.values() for words in self._rows(path).values()), ""
        )
        for folder in tried:
            if first and (folder / first).is_file():
                return folder
        raise InputError(
            f"{self.folder}: no folder has the first photo listed, {first or 'none'}; "
            f"tried {', '.join(map(str, tried))}; --images names another"
        )

    def splits(self) -> tuple[str, ...]:
        return tuple(self.lists)

    def classes(self) -> tuple[str, ...]:
        path = self.folder / "classes.txt"
        return read_classes(path) if path.exists() else VOC_CLASSES

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        list_file = self.lists[split]
        folder = self.images or self._find_images()
        photos: dict[str, Path] = {}
        problems = []
        for line, (image_id, *_) in self._rows(list_file).items():
            if image_id in photos:
                problems.append(
                    Problem(str(list_file), line, image_id, f"{image_id} is listed twice")
                )
            photos[image_id] = folder / image_id
            if not photos[image_id].is_file():
                fault = f"photo is missing: want {photos[image_id]}"
                problems.append(Problem(str(list_file), line, image_id, fault))
        return photos, problems

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        list_file, classes = str(self.lists[split]), self.classes()
        records, problems = [], []
        for line, (image_id, *words) in self._rows(self.lists[split]).items():
            objects = []
            for start in range(0, len(words), 5):
                written = " ".join(words[start : start + 5])
                try:
                    xmin, ymin, xmax, ymax = (float(word) for word in words[start : start + 4])
                    label = int(words[start + 4])
                except (ValueError, IndexError):
                    fault = f"want xmin ymin xmax ymax class for each object, found {written}"
                    problems.append(Problem(list_file, line, image_id, fault))
                    break
                if 0 <= label < len(classes):
                    box = from_inclusive(xmin, ymin, xmax, ymax)
                    objects.append(Object(classes[label], box, False, line, written))
                else:
                    fault = f"class {label} is not in 0..{len(classes) - 1}"
                    problems.append(Problem(list_file, line, image_id, fault))
            records.append(Record(image_id, objects, list_file))
        return records, problems

    def _rows(self, path: Path) -> dict[int, list[str]]:
        """Line number -> the line's words."""
        if path not in self._lines:
            self._lines[path] = {line: text.split() for line, text in numbered_lines(path)}
        return self._lines[path]
