"""How a competition wants its CSV: which columns there are, and how boxes stand in a cell.

Competitions agree on one thing: a row per image, all its boxes in one cell. Everything else
differs, so it is data, not code: a profile is a TOML file that answers, in this order,

1. which columns there are, and which of them name the image, number the row and hold the boxes;
2. what the CSV calls an image: its id, or its id with another suffix;
3. how a cell spells its boxes: as a Python list or as words, which fields in which order;
4. what it calls a class: by name, by number, or by a code of its own;
5. what the four numbers of a box mean and with how many decimals they are written (coordinates.py).

`submit/csv/profiles/` holds the known ones, each with a line of the file it describes; --profile
also takes a file of your own.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from evaluate.exceptions import InputError
from evaluate.exchange.names import bare_names

PROFILES = Path(__file__).parent / "profiles"
DEFAULT = "voc-list"
BOXES = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("xmin", "ymin", "width", "height"),
    ("xcenter", "ycenter", "width", "height"),
)
ONLY_CLASS = "object"  # what the class is called where a cell does not say

Unit = Literal["pixels", "pixels-from-0", "pixels-from-1", "shares"]
NORMALIZED: Unit = "shares"  # what profile files call normalized coordinates

# the values that a key of a profile file may have
CHOICES: dict[str, tuple[Any, ...]] = {
    "codec": ("list", "words"),
    "classes": ("names", "numbers"),
    "unit": get_args(Unit),
    "line_end": ("\n", "\r\n"),
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A competition's format; a profile file has these keys, and may leave out those with a
    default.

    Raises InputError for values that do not go together.
    """

    # the columns
    header: tuple[str, ...]  # their names, unless a sample gives them
    image: str  # the one that names the image
    cell: str  # the one that holds its boxes
    number: str = ""  # the one that counts the rows from 1, or has what the sample has there

    # in place of the photo's suffix: "" for 000001, "_image" for 000001_image; None: as it is
    image_suffix: str | None = None

    # a cell
    codec: Literal["list", "words"]  # a Python list of lists, or words with a blank between
    fields: tuple[str, ...]  # of a box, in order: score, class (if said), and one of BOXES
    # names; numbers from 0 in table order; or a table of class = code
    classes: Literal["names", "numbers"] | Mapping[str, str | int] = "names"
    unit: Unit
    decimals: int  # of boxes; 0 writes integers
    score_decimals: int = 5
    empty: str = ""  # the cell of an image without boxes

    line_end: Literal["\n", "\r\n"] = "\n"

    def __post_init__(self) -> None:
        columns = [self.image, self.cell, *([self.number] if self.number else [])]
        if sorted(columns) != sorted(self.header):
            wanted, given = ", ".join(columns), ", ".join(self.header)
            raise InputError(f"header: want {wanted} in some order, there is {given}")

        box = set(self.fields) - {"class", "score"}
        twice = len(set(self.fields)) < len(self.fields)
        if twice or "score" not in self.fields or box not in map(set, BOXES):
            wanted, given = " or ".join(" ".join(names) for names in BOXES), " ".join(self.fields)
            raise InputError(
                f"fields: want score, class if it is said, and {wanted}, there is {given}"
            )

        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (name == "classes" and isinstance(value, dict)):
                wanted = " or ".join(map(repr, choices))
                raise InputError(f"{name}: want {wanted}, there is {value!r}")
        for places in (self.decimals, self.score_decimals):
            if type(places) is not int or not 0 <= places <= 15:
                raise InputError("decimals and score_decimals: want whole numbers from 0 to 15")

    @property
    def box(self) -> tuple[str, ...]:
        """The one of BOXES that cells hold."""
        return next(names for names in BOXES if set(names) <= set(self.fields))

    @property
    def normalized(self) -> bool:
        """Whether boxes are normalized coordinates, which take the photos' sizes."""
        return self.unit == NORMALIZED

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
        """What cells call each class, "" where they do not say.

        Raises InputError for classes that cells cannot name.
        """
        if "class" not in self.fields:
            if len(classes) != 1:
                names = ", ".join(classes)
                raise InputError(f"cells do not say the class, so want one: there are {names}")
            return [""]
        if self.classes == "numbers":
            return [str(label) for label in range(len(classes))]

        if not isinstance(self.classes, dict):
            codes = list(map(str, classes))
        else:
            missing = [name for name in classes if name not in self.classes]
            if missing:
                names = ", ".join(missing[:5])
                raise InputError(f"the profile's classes lack {len(missing)}, such as {names}")
            codes = [str(self.classes[name]) for name in classes]
        broken = [code for code in codes if self.codec == "words" and code.split() != [code]]
        if broken:
            raise InputError(
                f"class {broken[0]!r} is not one word; give it another under [classes] in a "
                "profile file"
            )
        return codes

    def names(self, image_ids: Sequence[str]) -> list[str]:
        """What the CSV calls each image. Raises BadRows where two would have one name."""
        if self.image_suffix is None:
            return list(image_ids)
        return list(bare_names(image_ids, self.image_suffix))

    def is_image(self, name: str) -> bool:
        """Whether a row is about an image, by its name. SIIM's sample has rows of studies too."""
        return name.endswith(self.image_suffix or "")


def load_profile(name: str = DEFAULT) -> Profile:
    """A known profile by its name, or a profile file by its path, which ends in .toml.

    Raises InputError naming the known ones, or what is wrong with the file.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    if not name.endswith(".toml") and not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.toml")))
        raise InputError(f"profile {name}: want one of {known}, or a profile file (.toml)")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        _require_keys(values)
        lists = {"header": tuple(values["header"]), "fields": tuple(values["fields"].split())}
        return Profile(**values | lists)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path}: {error}") from None


def _require_keys(values: dict[str, Any]) -> None:
    """Raise InputError for keys that are missing, unknown or of the wrong type."""
    known = {field.name for field in fields(Profile)}
    needed = {field.name for field in fields(Profile) if field.default is MISSING}
    for names, fault in ((values.keys() - known, "unknown"), (needed - values.keys(), "missing")):
        if names:
            raise InputError(
                f"{fault}: {', '.join(sorted(names))}; want {', '.join(sorted(known))}"
            )
    texts = [
        values[name]
        for name in ("image", "cell", "number", "image_suffix", "fields", "empty")
        if name in values
    ]
    header, classes = values["header"], values.get("classes", {})
    if not (type(header) is list and all(type(text) is str for text in [*header, *texts])):
        raise InputError(
            "want a list of strings as header, strings for image, cell, number, image_suffix, "
            "fields, empty"
        )
    if type(classes) is dict and not all(type(code) in (str, int) for code in classes.values()):
        raise InputError("want a string or a whole number for each class")
