"""The two charts of the board, as positions that its template draws: every point is a link to its row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.leaderboard import Entry

WIDTH, HEIGHT = 480, 270
LEFT, TOP, RIGHT, BOTTOM = 44, 26, 12, 44  # margins
TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    series: int
    row: int  # of the table
    title: str


@dataclass(frozen=True)
class Chart:
    """A drawing of WIDTH x HEIGHT. Ticks are (position, text); lines are the best so far, points as SVG has them."""

    title: str
    x_name: str
    y_name: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    points: list[Point]
    series: list[tuple[int, str]]  # number and name
    lines: list[tuple[int, str]]
    equal: tuple[float, float, float, float] | None = None  # where both axes agree: x1, y1, x2, y2

    width, height, left, top = WIDTH, HEIGHT, LEFT, TOP
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """Values to positions, with room for a margin at both ends."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return round(
            self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1
        )

    def ticks(self) -> list[tuple[float, str]]:
        """About five round values."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * step for step in STEPS if power * step >= rough)
        values = [
            step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        ]
        return [(self.at(value), f"{value:.4f}".rstrip("0").rstrip(".")) for value in values]


def local_against_public(rows: Sequence["Entry"]) -> Chart | None:
    """Where local and public scores agree, points lie on the diagonal. None without a submission that has both."""
    both = {
        number: row
        for number, row in enumerate(rows)
        if row.map is not None and row.public is not None
    }
    if not both:
        return None
    x = _axis([row.map or 0 for row in both.values()], LEFT, WIDTH - RIGHT)
    y = _axis([row.public or 0 for row in both.values()], HEIGHT - BOTTOM, TOP)
    series = _series(rows)
    points = [
        Point(
            x.at(row.map or 0), y.at(row.public or 0), series[_group(row)][0], number, _title(row)
        )
        for number, row in both.items()
    ]
    low, high = max(x.low, y.low), min(x.high, y.high)
    equal = (x.at(low), y.at(low), x.at(high), y.at(high)) if low < high else None
    names = ("Local against public score", "local score", "public score")
    return Chart(*names, x.ticks(), y.ticks(), points, _keys(series, points), [], equal)


def over_time(rows: Sequence["Entry"]) -> Chart | None:
    """Local scores by when they were made, and the best so far of each metric and truth. None without a score."""
    scored = {number: row for number, row in enumerate(rows) if row.map is not None}
    if not scored:
        return None
    times = {number: datetime.fromisoformat(row.time).timestamp() for number, row in scored.items()}
    x = _axis(list(times.values()), LEFT, WIDTH - RIGHT)
    y = _axis([row.map or 0 for row in scored.values()], HEIGHT - BOTTOM, TOP)
    series = _series(rows)
    points = [
        Point(x.at(times[number]), y.at(row.map or 0), series[_group(row)][0], number, _title(row))
        for number, row in scored.items()
    ]
    lines = [
        (number, _best_so_far([p for p in points if p.series == number]))
        for number, _ in series.values()
    ]
    names = ("Local score over time", "scored on", "local score")
    return Chart(
        *names, _dates(x, sorted(times.values())), y.ticks(), points, _keys(series, points), lines
    )


def _axis(values: list[float], start: float, end: float) -> Axis:
    margin = 0.06 * (max(values) - min(values)) or max(abs(values[0]) * 0.05, 0.01)
    return Axis(min(values) - margin, max(values) + margin, start, end)


def _dates(axis: Axis, times: list[float]) -> list[tuple[float, str]]:
    """The first and the last, with the hour where they are of one day."""
    first, last = (datetime.fromtimestamp(time, UTC) for time in (times[0], times[-1]))
    form = "%d %b" if first.date() != last.date() else "%d %b %H:%M"
    ticks = {f"{first:{form}}": axis.at(times[0]), f"{last:{form}}": axis.at(times[-1])}
    return [(position, text) for text, position in ticks.items()]


def _series(rows: Sequence["Entry"]) -> dict[tuple[str, str], tuple[int, str]]:
    """A number and a name for each metric and truth."""
    groups = {_group(row): f"{row.metric} on {row.split}" for row in rows if row.map is not None}
    names = list(groups.values())
    return {
        group: (number, name if names.count(name) == 1 else f"{name} ({group[1][:6]})")
        for number, (group, name) in enumerate(groups.items())
    }


def _keys(
    series: dict[tuple[str, str], tuple[int, str]], points: list[Point]
) -> list[tuple[int, str]]:
    """Only the series that have points."""
    return [key for key in series.values() if key[0] in {point.series for point in points}]


def _group(row: "Entry") -> tuple[str, str]:
    return row.metric or "", row.truth_sha256 or ""


def _title(row: "Entry") -> str:
    public = "" if row.public is None else f", public {row.public:.4f}"
    return f"{row.name}: local {row.map:.4f}{public}"


def _best_so_far(points: list[Point]) -> str:
    """A staircase through the points that were the best when they were made."""
    path: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, p.y)):
        if not path or point.y < path[-1].y:
            path.append(point)
    corners = [f"{path[0].x},{path[0].y}"]
    for before, after in pairwise(path):
        corners += [f"{after.x},{before.y}", f"{after.x},{after.y}"]
    return " ".join([*corners, f"{max(point.x for point in points)},{path[-1].y}"])
