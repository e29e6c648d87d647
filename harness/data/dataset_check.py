"""What the doctor of a data set says: counts per split, and every problem with its place."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.data.records import Problem

COUNTS = ("photos", "without_objects", "objects", "difficult", "small", "medium", "large")


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds. Boxes that the loader skips are not counted."""

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
class DatasetCheck:
    """A data set, examined. A problem of severity "error" keeps its split from being used; one of
    severity "warning" does not.
    """

    data: Path
    classes: tuple[str, ...]
    splits: dict[str, SplitSummary]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for one JSON object."""
        counts = {"errors": len(self.errors), "warnings": len(self.problems) - len(self.errors)}
        return {**asdict(self), "data": str(self.data), "classes": list(self.classes), **counts}

    def lines(self) -> list[str]:
        """The same for people: a table, one column per split, then every problem, errors first."""
        summaries = list(self.splits.values())
        rows = [["", *self.splits]]
        for name in COUNTS:
            rows.append([name.replace("_", " "), *(str(getattr(s, name)) for s in summaries)])
        rows.append(
            ["median box", *(f"{s.median_width:.0f} x {s.median_height:.0f}" for s in summaries)]
        )
        for name in self.classes:
            rows.append([f"  {name}", *(str(s.per_class[name]) for s in summaries)])

        ranked = sorted(self.problems, key=lambda problem: problem.severity != "error")
        warnings = len(self.problems) - len(self.errors)
        return [
            *_aligned(rows),
            *(f"{problem.severity}: {problem}" for problem in ranked),
            f"{self.data}: {len(self.errors)} errors, {warnings} warnings",
        ]


def _aligned(rows: list[list[str]]) -> Iterable[str]:
    """One line per row: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells])
