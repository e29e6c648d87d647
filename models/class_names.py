"""Class names, and which names of two vocabularies mean the same thing."""

from collections.abc import Sequence

ALIASES = {  # every spelling -> one of them, all lower case without blanks
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "tvset": "tvmonitor",
    "television": "tvmonitor",
    "bike": "bicycle",
    "automobile": "car",
}


def canonical(name: str) -> str:
    """One spelling of a class name: "Dining Table", "dining_table" and "diningtable" are the same."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return ALIASES.get(plain, plain)


def match_classes(wanted: Sequence[str], offered: Sequence[str]) -> list[int | None]:
    """For each wanted class the index of the offered one that means the same, or None."""
    at = {canonical(name): i for i, name in reversed(list(enumerate(offered)))}
    return [at.get(canonical(name)) for name in wanted]
