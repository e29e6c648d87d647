"""How a competition wants its CSV: the columns, and how boxes stand in a cell. `submit/profiles/` holds those known."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from evaluate.exceptions import InputError
from evaluate.exchange.names import bare_name

PROFILES = Path(__file__).parent / "profiles"
DEFAULT = "voc-list"
BOXES = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("xmin", "ymin", "width", "height"),
    ("xcenter", "ycenter", "width", "height"),
)
ONLY_CLASS = "object"  # what the class is called where a cell does not say

Unit = Literal["pixels", "pixels-from-0", "pixels-from-1", "shares"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A competition's format; a profile file (TOML) has these keys. Those with a default may be left out.

    The unit says where a box over the ten leftmost pixels of a photo 100 wide begins and ends: `pixels`, edges, 0 to
    10; `pixels-from-0` and `pixels-from-1`, the numbers of its first and last pixel, 0 to 9 and 1 to 10; `shares`, 0
    to 0.1. With the last pixel included a width is one more than the difference.
    """

    header: tuple[str, ...]  # the names of the columns, unless a sample gives them
    image: str  # the column that names the image
    cell: str  # the column that holds its boxes
    number: str = ""  # the column that counts the rows from 1, or has what the sample has there
    image_suffix: str | None = (
        None  # in place of the photo's: "" for 000001, "_image" for 000001_image
    )
    codec: Literal["list", "words"]  # a Python list of a list a box, or words with a blank between
    fields: tuple[
        str, ...
    ]  # of a box, in order: score, class (if it is said), and the names of one of BOXES
    classes: Literal["names", "numbers"] | Mapping[str, str | int] = (
        "names"  # numbers: from 0 in table order
    )
    unit: Unit
    decimals: int  # of boxes; 0 writes integers
    score_decimals: int = 5
    empty: str = ""  # the cell of an image without boxes
    line_end: Literal["\n", "\r\n"] = "\n"

    def __post_init__(self) -> None:
        columns = [self.image, self.cell, *([self.number] if self.number else [])]
        if sorted(columns) != sorted(self.header):
            raise InputError(
                f"header: want {', '.join(columns)} in some order, there is {', '.join(self.header)}"
            )
        box = set(self.fields) - {"class", "score"}
        if (
            len(set(self.fields)) < len(self.fields)
            or "score" not in self.fields
            or box not in map(set, BOXES)
        ):
            formats = " or ".join(" ".join(names) for names in BOXES)
            raise InputError(
                f"fields: want score, class if it is said, and {formats}, there is {' '.join(self.fields)}"
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices and not (
                name == "classes" and isinstance(self.classes, dict)
            ):
                raise InputError(
                    f"{name}: want {' or '.join(map(repr, choices))}, there is {getattr(self, name)!r}"
                )
        if not all(
            type(places) is int and 0 <= places <= 15
            for places in (self.decimals, self.score_decimals)
        ):
            raise InputError("decimals and score_decimals: want whole numbers from 0 to 15")

    @property
    def box(self) -> tuple[str, ...]:
        """The one of BOXES that cells hold."""
        return next(names for names in BOXES if set(names) <= set(self.fields))

    @property
    def quoted(self) -> bool:
        """Whether a list has classes as strings."""
        numbered = isinstance(self.classes, dict) and all(
            type(code) is int for code in self.classes.values()
        )
        return self.codec == "list" and self.classes != "numbers" and not numbered

    @property
    def listed(self) -> tuple[str, ...] | None:
        """The classes there are, where the profile says so."""
        if "class" not in self.fields:
            return (ONLY_CLASS,)
        return tuple(self.classes) if isinstance(self.classes, dict) else None

    def codes(self, classes: Sequence[str]) -> list[str]:
        """What cells call each class, "" where they do not say. Raises InputError where they cannot."""
        if "class" not in self.fields:
            if len(classes) != 1:
                raise InputError(
                    f"cells do not say the class, so want one: there are {', '.join(classes)}"
                )
            return [""]
        if self.classes == "numbers":
            return [str(label) for label in range(len(classes))]
        if not isinstance(self.classes, dict):
            codes = list(map(str, classes))
        elif missing := [name for name in classes if name not in self.classes]:
            raise InputError(
                f"the profile's classes lack {len(missing)}, such as {', '.join(missing[:5])}"
            )
        else:
            codes = [str(self.classes[name]) for name in classes]
        broken = [code for code in codes if self.codec == "words" and code.split() != [code]]
        if broken:
            raise InputError(
                f"class {broken[0]!r} is not one word; give it another under [classes] in a profile file"
            )
        return codes

    def names(self, images: Sequence[str]) -> list[str]:
        """What the CSV calls each image. Raises InputError where two would have one name."""
        if self.image_suffix is None:
            return list(images)
        names = [bare_name(image) + self.image_suffix for image in images]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two images would both be {twice!r} in the CSV")
        return names

    def is_image(self, name: str) -> bool:
        """Whether a row is about an image of ours, by its name."""
        return name.endswith(self.image_suffix or "")


CHOICES: dict[str, tuple[Any, ...]] = {
    "codec": ("list", "words"),
    "classes": ("names", "numbers"),
    "unit": get_args(Unit),
    "line_end": ("\n", "\r\n"),
}


@cache
def load_profile(name: str = DEFAULT) -> Profile:
    """A known profile by its name, or a profile file by its path, which ends in .toml. Raises InputError."""
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    if not name.endswith(".toml") and not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.toml")))
        raise InputError(f"profile {name}: want one of {known}, or a profile file (.toml)")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        _refuse_keys(values)
        lists = {"header": tuple(values["header"]), "fields": tuple(values["fields"].split())}
        return Profile(**values | lists)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path}: {error}") from None


def _refuse_keys(values: dict[str, Any]) -> None:
    """Raise InputError for keys that are missing, unknown or of the wrong type."""
    wanted = {field.name for field in fields(Profile)}
    needed = {field.name for field in fields(Profile) if field.default is MISSING}
    for names, what in ((values.keys() - wanted, "unknown"), (needed - values.keys(), "missing")):
        if names:
            raise InputError(
                f"{what}: {', '.join(sorted(names))}; want {', '.join(sorted(wanted))}"
            )
    texts = [
        values[name]
        for name in ("image", "cell", "number", "image_suffix", "fields", "empty")
        if name in values
    ]
    header, classes = values["header"], values.get("classes", {})
    if not (type(header) is list and all(type(text) is str for text in [*header, *texts])):
        raise InputError(
            "want a list of strings as header, strings for image, cell, number, image_suffix, fields, empty"
        )
    if type(classes) is dict and not all(type(code) in (str, int) for code in classes.values()):
        raise InputError("want a string or a whole number for each class")
