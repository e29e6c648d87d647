"""Text files with one thing per line: numbered lines, and lines of a fixed number of words."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from evaluate.exceptions import InputError


class WordLine(NamedTuple):
    """One line, split into words."""

    line: int  # from 1
    words: list[str]


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, stripped, with their numbers from 1.

    Only line feeds (and carriage returns) end a line: a name may hold any other of Unicode's
    separators. Raises InputError for a file that is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: want a text file in UTF-8: {error}") from None
    numbered = enumerate(text.split("\n"), start=1)
    return [(line, stripped) for line, written in numbered if (stripped := written.strip())]


def word_lines(
    path: Path, columns: str, *, spaces: bool = False
) -> tuple[list[WordLine], list[tuple[int, str]]]:
    """The lines of one word per column, and (line, what was wanted) for each of another shape.

    columns: what they hold, one word each; an explanation in brackets may follow. spaces: the first
    column is a name that may hold spaces, so words are counted from the end of the line.
    """
    count = len(columns.partition(" (")[0].split())
    lines, problems = [], []
    for line, text in numbered_lines(path):
        words = text.rsplit(maxsplit=count - 1 if spaces else -1)
        if len(words) == count:
            lines.append(WordLine(line, words))
        else:
            problems.append((line, f"want {columns}, there is {text[:80]!r}"))
    return lines, problems


def shown_numbers(numbers: Iterable[float]) -> str:
    """Numbers with a blank between, with as many digits as bring each float64 back exactly."""
    return " ".join(map(repr, numbers))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines, each with its line feed, in UTF-8 on every system."""
    with open(path, "w", newline="\n", encoding="utf-8") as file:
        file.writelines(lines)
