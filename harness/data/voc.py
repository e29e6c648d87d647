"""VOC devkit layout: Annotations/*.xml, ImageSets/Main/SPLIT.txt, JPEGImages/.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2007/devkit_doc_07-Jun-2007.pdf
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

from evaluate.exchange.lines import numbered_lines
from evaluate.exchange.names import PHOTO_SUFFIXES
from evaluate.exchange.rows import Size
from harness.data.records import (
    VOC_CLASSES,
    Object,
    Problem,
    Record,
    from_inclusive,
    read_classes,
)
from harness.images.photo_files import list_photos

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Voc:
    """The data set below `root`; `images` takes the place of root/JPEGImages."""

    def __init__(self, root: Path, images: Path | None = None) -> None:
        self.root = root
        self.images = images or root / "JPEGImages"
        self._parsed: dict[Path, tuple[Record | None, list[Problem]]] = {}  # by annotation

    def splits(self) -> tuple[str, ...]:
        """The lists in ImageSets/Main, but for the devkit's CLASS_SPLIT.txt, which hold flags."""
        files = {
            path.stem: path for path in sorted((self.root / "ImageSets" / "Main").glob("*.txt"))
        }

        def by_class(stem: str) -> bool:
            if "_" not in stem or stem.rpartition("_")[2] not in files:
                return False
            lines = numbered_lines(files[stem])
            return bool(lines) and all(re.fullmatch(r"\S+\s+(-1|0|1)", line) for _, line in lines)

        return tuple(stem for stem in files if not by_class(stem))

    def classes(self) -> tuple[str, ...]:
        """root/classes.txt; else VOC's 20 if every object has one of them; else all, sorted."""
        if (self.root / "classes.txt").exists():
            return read_classes(self.root / "classes.txt")
        names = set()
        for path in (self.root / "Annotations").glob("*.xml"):
            record, _ = self._annotation(path, "")
            names |= {o.name for o in record.objects} if record else set()
        return VOC_CLASSES if names <= set(VOC_CLASSES) else tuple(sorted(names))

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        list_file = self.root / "ImageSets" / "Main" / f"{split}.txt"
        # Of a.jpg and a.png the first counts: reversed, it comes last and stays.
        present = {name.rpartition(".")[0]: name for name in reversed(list_photos(self.images))}
        photos: dict[str, Path] = {}
        problems = []
        for line, stem in numbered_lines(list_file):
            if stem.lower().endswith(PHOTO_SUFFIXES):  # some sets list file names
                stem = stem.rpartition(".")[0]
            image_id = present.get(stem, f"{stem}.jpg")
            if image_id in photos:
                problems.append(Problem(str(list_file), line, image_id, f"{stem} is listed twice"))
            elif stem not in present:
                fault = f"photo is missing: want {self.images / image_id} (or .jpeg, .png)"
                problems.append(Problem(str(list_file), line, image_id, fault))
            photos[image_id] = self.images / image_id
        return photos, problems

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        records, problems = [], []
        for image_id in photos:
            stem = image_id.rpartition(".")[0]
            record, wrong = self._annotation(self.root / "Annotations" / f"{stem}.xml", image_id)
            problems += wrong
            if record:
                records.append(record)
        return records, problems

    def _annotation(self, path: Path, image_id: str) -> tuple[Record | None, list[Problem]]:
        """`read_xml` once per file: `classes` has read it already, before its photo was known."""
        if path not in self._parsed:
            self._parsed[path] = read_xml(path, image_id)
        record, problems = self._parsed[path]
        return (
            record and record._replace(image_id=image_id),
            [replace(problem, image_id=image_id) for problem in problems],
        )


def read_xml(path: Path, image_id: str) -> tuple[Record | None, list[Problem]]:
    """One annotation with the line of each object; None where there is no whole XML file."""
    try:
        fields, objects = _leaves(path.read_bytes())
    except FileNotFoundError:
        return None, [Problem(str(path), None, image_id, "annotation is missing")]
    except expat.ExpatError as error:
        fault = f"not whole XML: {expat.errors.messages[error.code]}"
        return None, [Problem(str(path), error.lineno, image_id, fault)]
    except (LookupError, ValueError) as error:  # the encoding it declares
        return None, [Problem(str(path), 1, image_id, f"cannot be decoded: {error}")]
    if "annotation" not in fields:
        return None, [Problem(str(path), 1, image_id, "want <annotation> as the outermost element")]
    usable, problems = [], []
    for line, leaves in objects:
        written = " ".join(leaves.get(f"bndbox/{key}", "?") for key in CORNERS)
        try:
            xmin, ymin, xmax, ymax = (float(leaves[f"bndbox/{key}"]) for key in CORNERS)
            difficult = bool(int(leaves.get("difficult", "0") or 0))
            xyxy = from_inclusive(xmin, ymin, xmax, ymax)
            usable.append(Object(leaves["name"], xyxy, difficult, line, written))
        except (KeyError, ValueError):
            fault = "object without a name, four corners and a 0 or 1 for difficult"
            box = f"{leaves.get('name')} {written}"
            problems.append(Problem(str(path), line, image_id, f"{fault}: {box}"))
    try:
        size = (int(float(fields["size/height"])), int(float(fields["size/width"])))
    except (KeyError, ValueError):
        size = None
    return Record(image_id, usable, str(path), size, fields.get("filename")), problems


def _leaves(xml: bytes) -> tuple[dict[str, str], list[tuple[int, dict[str, str]]]]:
    """Path -> text below the outermost element; for each <object> its line, and the same below it.

    <annotation><size><width>500</width></size> gives {"size/width": "500"}. The parts of an object
    (VOC's heads, hands and feet) have paths of their own, "part/bndbox/xmin", and so stay out of
    its box, "bndbox/xmin".
    """
    fields: dict[str, str] = {}
    objects: list[tuple[int, dict[str, str]]] = []
    path: list[str] = []
    text: list[str] = []

    def start(tag: str, _: object) -> None:
        path.append(tag)
        text.clear()
        if path[1:] == ["object"]:
            objects.append((parser.CurrentLineNumber, {}))

    def end(_: str) -> None:
        below = path[1:]
        if below[:1] == ["object"]:
            objects[-1][1].setdefault("/".join(below[1:]), "".join(text).strip())
        else:
            fields.setdefault("/".join(below) or path[0], "".join(text).strip())
        path.pop()
        text.clear()

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.Parse(xml, True)
    return fields, objects
