"""What is wrong with a data set, before hours of training find out; nothing is repaired and nothing raised."""

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import combinations
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from evaluate.exceptions import InputError
from evaluate.exchange.rows import Size
from evaluate.progress import Progress, silent
from harness.data.layout import open_reader
from harness.data.records import AnnotationReader, Object, Problem, Record, unusable
from harness.images.photo_files import orientation

THREADS = 4
SMALL, LARGE = 32**2, 96**2  # COCO's borders between small, medium and large boxes, pixels
OUT_OF_RANGE = 0.5  # pixels beyond the border that are more than rounding


@dataclass(frozen=True)
class Summary:
    """What a split holds; boxes that the loader skips are not counted."""

    photos: int
    without_objects: int
    objects: int
    difficult: int
    per_class: dict[str, int]
    small: int
    medium: int
    large: int
    median_width: float  # pixels, 0 without boxes
    median_height: float


@dataclass(frozen=True)
class Diagnosis:
    """Problems of severity "error" keep a split from being used; those of severity "warning" do not."""

    data: Path
    classes: tuple[str, ...]
    splits: dict[str, Summary]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for one JSON object."""
        counts = {"errors": len(self.errors), "warnings": len(self.problems) - len(self.errors)}
        return {**asdict(self), "data": str(self.data), "classes": list(self.classes), **counts}

    def lines(self) -> list[str]:
        """The same for people: a row a split, a row a class, then every problem, errors first."""
        splits = list(self.splits)
        rows = [["", *splits]]
        for name in (
            "photos",
            "without_objects",
            "objects",
            "difficult",
            "small",
            "medium",
            "large",
        ):
            rows.append(
                [name.replace("_", " "), *(f"{getattr(self.splits[s], name)}" for s in splits)]
            )
        sizes = (f"{s.median_width:.0f} x {s.median_height:.0f}" for s in self.splits.values())
        rows.append(["median box", *sizes])
        for name in self.classes:
            rows.append([f"  {name}", *(f"{self.splits[s].per_class[name]}" for s in splits)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(splits) + 1)]
        table = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in rows
        ]
        ranked = sorted(self.problems, key=lambda problem: problem.severity != "error")
        verdict = f"{self.data}: {len(self.errors)} errors, {len(self.problems) - len(self.errors)} warnings"
        return [*table, *(f"{problem.severity}: {problem}" for problem in ranked), verdict]


@dataclass(frozen=True)
class _Photo:
    """What a photo's bytes say."""

    size: Size | None  # None when it cannot be decoded
    sha256: str
    problems: tuple[Problem, ...]


def diagnose(
    data: Path,
    *,
    images: Path | None = None,
    progress: Progress = silent,
) -> Diagnosis:
    """Read every annotation and decode every photo of every split. Wrong data is listed, not raised."""
    try:
        source = open_reader(data, images)
        classes, splits = source.classes(), source.splits()
    except InputError as error:
        return Diagnosis(data, (), {}, (Problem(str(data), None, "", str(error)),))
    problems = [] if splits else [Problem(str(data), None, "", "there is no split")]
    photos: dict[str, dict[str, Path]] = {}  # split -> image_id -> path
    for split in splits:
        try:
            photos[split], wrong = source.photos(split)
            problems += wrong
            if not photos[split]:
                problems.append(Problem(str(data), None, "", f"split {split} lists no photo"))
        except InputError as error:
            problems.append(Problem(str(data), None, "", str(error)))
    paths = {
        path: image_id
        for listed in photos.values()
        for image_id, path in listed.items()
        if path.is_file()
    }
    examined = {}
    with (
        ThreadPoolExecutor(THREADS) as pool,
        progress("decode", total=len(paths), unit="photo") as advance,
    ):
        for path, photo in zip(paths, pool.map(_examine, paths, paths.values()), strict=True):
            examined[path] = photo
            advance(1)
    summaries = {}
    for split, listed in photos.items():
        seen = {image_id: examined[path] for image_id, path in listed.items() if path in examined}
        sizes = {image_id: photo.size for image_id, photo in seen.items() if photo.size}
        try:
            summaries[split], wrong = _check_split(source, split, classes, listed, sizes)
            problems += wrong
        except InputError as error:
            problems.append(Problem(str(data), None, "", str(error)))
    for photo in examined.values():
        problems += photo.problems
    problems += [*_same_ids(data, photos), *_same_bytes(paths, examined)]
    return Diagnosis(
        data, classes, summaries, tuple(dict.fromkeys(problems))
    )  # trainval repeats what train says


def _examine(path: Path, image_id: str) -> _Photo:
    """Decode a photo whole: first with Pillow, which refuses one cut short, then as training will."""
    problems = []
    content = path.read_bytes()
    size = None
    try:
        with Image.open(BytesIO(content)) as image:
            if orientation(image) != 1:
                what = "EXIF turns or mirrors this photo: its boxes must be those of the turned one"
                problems.append(Problem(str(path), None, image_id, what, "warning"))
            image.load()
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            problems.append(Problem(str(path), None, image_id, "OpenCV cannot decode this photo"))
        else:
            size = (decoded.shape[0], decoded.shape[1])
    except UnidentifiedImageError:
        problems.append(Problem(str(path), None, image_id, "not a photo"))
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:  # Pillow's, by format
        problems.append(Problem(str(path), None, image_id, f"photo cannot be decoded: {error}"))
    return _Photo(size, hashlib.sha256(content).hexdigest(), tuple(problems))


def _check_split(
    source: AnnotationReader,
    split: str,
    classes: tuple[str, ...],
    photos: dict[str, Path],
    sizes: dict[str, Size],
) -> tuple[Summary, list[Problem]]:
    """Count a split's usable boxes and check each annotation against its photo."""
    records, problems = source.records(split, photos, sizes)
    usable: list[Object] = []
    with_objects = 0
    for record in records:
        size = sizes.get(record.image_id)
        fine, wrong = _check_boxes(record, classes, size)
        usable += fine
        with_objects += bool(fine)
        problems += wrong
        if size and record.declared_size and record.declared_size != size:
            what = "declares a photo of {1} x {0}, it is {3} x {2}".format(
                *record.declared_size, *size
            )
            problems.append(Problem(record.file, None, record.image_id, what, "warning"))
        if record.declared_name is not None and record.declared_name != Path(record.image_id).name:
            what = f"calls its photo {record.declared_name}, it is {record.image_id}"
            problems.append(Problem(record.file, None, record.image_id, what, "warning"))
    widths = [o.xyxy[2] - o.xyxy[0] for o in usable]
    heights = [o.xyxy[3] - o.xyxy[1] for o in usable]
    areas = [w * h for w, h in zip(widths, heights, strict=True)]
    counts = Counter(o.name for o in usable)
    small, large = sum(a < SMALL for a in areas), sum(a >= LARGE for a in areas)
    summary = Summary(
        photos=len(photos),
        without_objects=len(photos) - with_objects,
        objects=len(usable),
        difficult=sum(o.difficult for o in usable),
        per_class={name: counts[name] for name in classes},
        small=small,
        medium=len(areas) - small - large,
        large=large,
        median_width=median(widths or [0.0]),
        median_height=median(heights or [0.0]),
    )
    return summary, problems


def _check_boxes(
    record: Record, classes: tuple[str, ...], size: Size | None
) -> tuple[list[Object], list[Problem]]:
    """The boxes that the loader keeps, and what is wrong with any; a photo of unknown size has no borders."""
    height, width = size or (inf, inf)
    usable: list[Object] = []
    problems = []
    first: dict[Any, Object] = {}
    for found in record.objects:
        why = unusable(found.xyxy, (height, width))
        x1, y1, x2, y2 = found.xyxy
        severity = "warning"
        if found.name not in classes:
            what, severity = f"class {found.name} is not one of {', '.join(classes)}", "error"
        elif why:
            what = f"{found.name} box {why}, the loader skips it: {found.written}"
        else:
            usable.append(found)
            twin = first.setdefault((found.name, found.xyxy), found)
            if twin is not found:
                what = f"{found.name} box is there twice" + (
                    f", see line {twin.line}" if twin.line else ""
                )
                what += f": {found.written}"
            elif min(x1, y1, width - x2, height - y2) < -OUT_OF_RANGE:
                what = f"{found.name} box leaves the photo of {width} x {height}: {found.written}"
            else:
                continue
        problems.append(Problem(record.file, found.line, record.image_id, what, severity))
    return usable, problems


def _same_ids(data: Path, photos: dict[str, dict[str, Path]]) -> list[Problem]:
    """One problem a pair of splits with photos in common.

    Not for a split that holds the other whole (trainval), nor between two ways to split the same photos, told by
    the name before the last "_" (train and report_val).
    """
    problems = []
    for a, b in combinations(photos, 2):
        common = [
            image_id for image_id in photos[a] if photos[b].get(image_id) == photos[a][image_id]
        ]
        whole = len(common) in (len(photos[a]), len(photos[b]))
        if common and not whole and a.rpartition("_")[0] == b.rpartition("_")[0]:
            what = f"splits {a} and {b} share {len(common)} photos, such as {', '.join(common[:5])}"
            problems.append(Problem(str(data), None, common[0], what, "warning"))
    return problems


def _same_bytes(paths: dict[Path, str], examined: dict[Path, _Photo]) -> list[Problem]:
    """One problem for each photo whose bytes an earlier one has."""
    first: dict[str, Path] = {}
    problems = []
    for path, photo in examined.items():
        twin = first.setdefault(photo.sha256, path)
        if twin != path:
            problems.append(
                Problem(str(path), None, paths[path], f"the same photo as {twin}", "warning")
            )
    return problems
