"""What every format's reader hands over, before it becomes columns: one Record per photo, one
Object per box.

A reader never stops at the first fault: it goes on, and returns what it could not use as Problems.
The loader then refuses all of them in one message, and the doctor lists them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from PIL import Image, UnidentifiedImageError

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.lines import numbered_lines
from evaluate.exchange.rows import Size
from harness.images.photo_files import upright_size

VOC_CLASSES = tuple(
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor".split()
)

XYXY = tuple[float, float, float, float]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data set; as a string, one line."""

    file: str  # to open
    line: int | None  # from 1
    image_id: str  # "" when no single photo is concerned
    what: str  # what is wrong; a key of `harness data check --json`
    severity: str = "error"  # "error": the split cannot be used; "warning": it can

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class Object(NamedTuple):
    name: str  # class
    xyxy: XYXY  # pixels of the photo, continuous edges, nothing clipped or checked
    difficult: bool
    line: int | None  # of the record's file
    written: str  # the box as the file has it, for messages


class Record(NamedTuple):
    image_id: str
    objects: list[Object]
    file: str  # holds the objects
    declared_size: Size | None = None  # what the file says, true or not
    declared_name: str | None = None  # what the file calls its photo, true or not


class AnnotationReader(Protocol):
    """A data set in one format, opened: its layout is known, its annotations are not read yet."""

    def splits(self) -> tuple[str, ...]:
        """Names of its splits."""

    def classes(self) -> tuple[str, ...]:
        """Names in label order, the same for every split."""

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        """image_id -> photo, in the order of the split, missing photos included. Reads no
        annotations.
        """

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        """The annotation of each of `photos` that has a readable one.

        `sizes` are those of the photos that can be read.
        """


def refuse_split(problems: Iterable[Problem], data: Path) -> None:
    """Raise BadRows for the problems of a split; return when there is none."""
    refuse([str(problem) for problem in problems], hint=f"`harness data check {data}` lists them")


def from_inclusive(xmin: float, ymin: float, xmax: float, ymax: float) -> XYXY:
    """VOC's 1-based inclusive corners -> xyxy: (xmin - 1, ymin - 1, xmax, ymax).

    Corners that coincide (xmin = xmax) are a stray click, not an object one pixel wide: the box
    gets no extent there.
    """
    return (xmin - (xmax > xmin), ymin - (ymax > ymin), xmax, ymax)


def read_classes(path: Path) -> tuple[str, ...]:
    """The names in a classes.txt, one per line. Raises InputError if it is empty or lists one
    twice.
    """
    names = [name for _, name in numbered_lines(path)]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"{path}: want one class per line, each once; found {', '.join(names) or 'none'}"
        )
    return tuple(names)


def measure(photos: Mapping[str, Path]) -> tuple[dict[str, Size], list[Problem]]:
    """image_id -> (height, width) from the files' headers; a problem for each that is no photo.

    A missing photo is passed over: the reader has named it.
    """
    sizes, problems = {}, []
    for image_id, path in photos.items():
        try:
            sizes[image_id] = upright_size(path)
        except FileNotFoundError:
            pass
        except UnidentifiedImageError:
            problems.append(Problem(str(path), None, image_id, "not a photo"))
        except (OSError, Image.DecompressionBombError) as error:
            problems.append(Problem(str(path), None, image_id, f"photo cannot be read: {error}"))
    return sizes, problems


def unusable(xyxy: XYXY, size: tuple[float, float]) -> str:
    """Why a box cannot be a truth in a photo of (height, width), or ""."""
    x1, y1, x2, y2 = xyxy
    height, width = size
    if not all(abs(edge) < 1e9 for edge in xyxy):  # NaN compares false
        return "has NaN or infinity"
    if x2 <= x1 or y2 <= y1:
        return "has no area"
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        return f"lies outside the photo of {width} x {height}"
    return ""
