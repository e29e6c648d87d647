"""What is wrong with a data set, before hours of training find out. Nothing is repaired or raised.

Training stops at the first split that it cannot use, and never looks at the others. The doctor
looks at everything, in this order, and goes on after each fault:

1. The layout: which format, which splits, which photos they list.
2. Each photo once, whichever splits list it: decoded by both libraries that will read it, hashed.
3. Each split's annotations against its photos: boxes without area or outside the photo, doubles,
   unknown classes, another size or name than the photo has.
4. Across splits: photos that two of them share, and photos whose bytes are the same. Both leak
   what is tested into what is trained on.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from math import inf
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from evaluate.exceptions import InputError
from evaluate.exchange.rows import Size
from evaluate.progress import Progress, silent
from harness.data.dataset_check import DatasetCheck, SplitSummary
from harness.data.layout import open_reader
from harness.data.records import XYXY, AnnotationReader, Object, Problem, Record, unusable
from harness.images.photo_files import orientation

THREADS = 4
SMALL, LARGE = 32**2, 96**2  # COCO's bounds between small, medium and large boxes, square pixels
OUT_OF_RANGE = 0.5  # pixels beyond the border that are more than rounding

Photos = dict[str, Path]  # image_id -> path


@dataclass(frozen=True)
class _Photo:
    """What a photo's bytes say."""

    size: Size | None  # None when it cannot be decoded
    sha256: str
    problems: tuple[Problem, ...]


def check_dataset(
    data: Path, *, images: Path | None = None, progress: Progress = silent
) -> DatasetCheck:
    """Every annotation read and every photo decoded. Whatever is wrong is listed, not raised."""
    # 1. The layout.
    try:
        reader = open_reader(data, images)
        classes, splits = reader.classes(), reader.splits()
    except InputError as error:
        return DatasetCheck(data, (), {}, (_of_data(data, str(error)),))
    problems = [] if splits else [_of_data(data, "there is no split")]
    photos: dict[str, Photos] = {}
    for split in splits:
        try:
            photos[split], faults = reader.photos(split)
            problems += faults
            if not photos[split]:
                problems.append(_of_data(data, f"split {split} lists no photo"))
        except InputError as error:
            problems.append(_of_data(data, str(error)))

    # 2. Each photo once.
    paths = {
        path: image_id
        for of_split in photos.values()
        for image_id, path in of_split.items()
        if path.is_file()
    }
    examined = _examine_all(paths, progress)

    # 3. Each split's annotations.
    summaries = {}
    for split, of_split in photos.items():
        sizes = {
            image_id: size
            for image_id, path in of_split.items()
            if path in examined and (size := examined[path].size)
        }
        try:
            summaries[split], faults = _check_split(reader, split, classes, of_split, sizes)
            problems += faults
        except InputError as error:
            problems.append(_of_data(data, str(error)))
    for photo in examined.values():
        problems += photo.problems

    # 4. Across splits. One problem may be listed twice by now: trainval repeats what train says.
    problems += [*_same_ids(data, photos), *_same_bytes(paths, examined)]
    return DatasetCheck(data, classes, summaries, tuple(dict.fromkeys(problems)))


def _of_data(data: Path, fault: str) -> Problem:
    """A problem of the data set as a whole."""
    return Problem(str(data), None, "", fault)


def _examine_all(paths: Mapping[Path, str], progress: Progress) -> dict[Path, _Photo]:
    """What each photo's bytes say; `paths` gives the image ids."""
    examined = {}
    with (
        ThreadPoolExecutor(THREADS) as pool,
        progress("decode", total=len(paths), unit="photo") as advance,
    ):
        for path, photo in zip(paths, pool.map(_examine, paths, paths.values()), strict=True):
            examined[path] = photo
            advance(1)
    return examined


def _examine(path: Path, image_id: str) -> _Photo:
    """Decode a whole photo: with Pillow, which refuses one cut short, then as training does."""
    faults: list[tuple[str, str]] = []
    content = path.read_bytes()
    size = None
    try:
        with Image.open(BytesIO(content)) as image:
            if orientation(image) != 1:
                turned = (
                    "EXIF turns or mirrors this photo: its boxes must be those of the turned one"
                )
                faults.append((turned, "warning"))
            image.load()
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            faults.append(("OpenCV cannot decode this photo", "error"))
        else:
            size = (decoded.shape[0], decoded.shape[1])
    except UnidentifiedImageError:
        faults.append(("not a photo", "error"))
    # Each of Pillow's decoders has exceptions of its own.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        faults.append((f"photo cannot be decoded: {error}", "error"))
    problems = (Problem(str(path), None, image_id, *fault) for fault in faults)
    return _Photo(size, hashlib.sha256(content).hexdigest(), tuple(problems))


def _check_split(
    reader: AnnotationReader,
    split: str,
    classes: tuple[str, ...],
    photos: Photos,
    sizes: dict[str, Size],
) -> tuple[SplitSummary, list[Problem]]:
    """Count a split's usable boxes, and check each annotation against its photo."""
    records, problems = reader.records(split, photos, sizes)
    usable: list[Object] = []
    with_objects = 0
    for record in records:
        size = sizes.get(record.image_id)
        kept, faults = _check_boxes(record, classes, size)
        usable += kept
        with_objects += bool(kept)
        problems += [*faults, *_check_claims(record, size)]
    return _summary(usable, classes, len(photos), with_objects), problems


def _check_claims(record: Record, size: Size | None) -> list[Problem]:
    """Warnings where an annotation says something else of its photo than the photo itself."""
    faults = []
    if size and record.declared_size and record.declared_size != size:
        (told_h, told_w), (height, width) = record.declared_size, size
        faults.append(f"declares a photo of {told_w} x {told_h}, it is {width} x {height}")
    if record.declared_name is not None and record.declared_name != Path(record.image_id).name:
        faults.append(f"calls its photo {record.declared_name}, it is {record.image_id}")
    return [Problem(record.file, None, record.image_id, fault, "warning") for fault in faults]


def _summary(
    usable: list[Object], classes: tuple[str, ...], photos: int, with_objects: int
) -> SplitSummary:
    widths = [box.xyxy[2] - box.xyxy[0] for box in usable]
    heights = [box.xyxy[3] - box.xyxy[1] for box in usable]
    areas = [width * height for width, height in zip(widths, heights, strict=True)]
    counts = Counter(box.name for box in usable)
    small, large = sum(area < SMALL for area in areas), sum(area >= LARGE for area in areas)
    return SplitSummary(
        photos=photos,
        without_objects=photos - with_objects,
        objects=len(usable),
        difficult=sum(box.difficult for box in usable),
        per_class={name: counts[name] for name in classes},
        small=small,
        medium=len(areas) - small - large,
        large=large,
        median_width=median(widths or [0.0]),
        median_height=median(heights or [0.0]),
    )


def _check_boxes(
    record: Record, classes: tuple[str, ...], size: Size | None
) -> tuple[list[Object], list[Problem]]:
    """The boxes that the loader keeps, and what is wrong with any of them.

    A photo of unknown size has no borders.
    """
    height, width = size or (inf, inf)
    usable: list[Object] = []
    problems = []
    first: dict[tuple[str, XYXY], Object] = {}
    for box in record.objects:
        why = unusable(box.xyxy, (height, width))
        x1, y1, x2, y2 = box.xyxy
        severity = "warning"
        if box.name not in classes:
            fault, severity = f"class {box.name} is not one of {', '.join(classes)}", "error"
        elif why:
            fault = f"{box.name} box {why}, the loader skips it: {box.written}"
        else:
            usable.append(box)
            twin = first.setdefault((box.name, box.xyxy), box)
            if twin is not box:
                place = f", see line {twin.line}" if twin.line else ""
                fault = f"{box.name} box is there twice{place}: {box.written}"
            elif min(x1, y1, width - x2, height - y2) < -OUT_OF_RANGE:
                fault = f"{box.name} box leaves the photo of {width} x {height}: {box.written}"
            else:
                continue
        problems.append(Problem(record.file, box.line, record.image_id, fault, severity))
    return usable, problems


def _same_ids(data: Path, photos: dict[str, Photos]) -> list[Problem]:
    """One problem for each pair of splits with photos in common.

    Two kinds of pair are as they should be: one split holds the other whole (trainval and train),
    or both belong to different ways of splitting the same photos, which the name before the last
    "_" tells (train and report_val).
    """
    problems = []
    for a, b in combinations(photos, 2):
        common = [
            image_id for image_id, path in photos[a].items() if photos[b].get(image_id) == path
        ]
        whole = len(common) in (len(photos[a]), len(photos[b]))
        if common and not whole and a.rpartition("_")[0] == b.rpartition("_")[0]:
            examples = ", ".join(common[:5])
            fault = f"splits {a} and {b} share {len(common)} photos, such as {examples}"
            problems.append(Problem(str(data), None, common[0], fault, "warning"))
    return problems


def _same_bytes(paths: Mapping[Path, str], examined: dict[Path, _Photo]) -> list[Problem]:
    """One problem for each photo whose bytes an earlier one has."""
    first: dict[str, Path] = {}
    problems = []
    for path, photo in examined.items():
        twin = first.setdefault(photo.sha256, path)
        if twin != path:
            fault = f"the same photo as {twin}"
            problems.append(Problem(str(path), None, paths[path], fault, "warning"))
    return problems
