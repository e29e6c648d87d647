"""The two charts of the leaderboard: local against public score, and local score over time.

Both are scatter plots whose points link to their rows. No plotting package is asked: a chart is
worked out here as positions in a drawing of WIDTH x HEIGHT pixels, y growing downwards, and
board.html writes them out as SVG.

    LEFT     x.start ............ x.end   RIGHT
    TOP      +----------------------+  y.end, the highest value
             |   o        o---o     |
             |   o--------+         |     `lines`: a staircase through the points that were
             | o-+                  |     the best when they were made
    BOTTOM   +----------------------+  y.start, the lowest value

Points share a colour (`series`) when they share a metric and a truth, for only those compare.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from harness.report.board import BoardEntry

WIDTH, HEIGHT = 480, 270
LEFT, TOP, RIGHT, BOTTOM = 44, 26, 12, 44  # margins
TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)  # between ticks, times a power of ten
MARGIN = 0.06  # of the range of values, kept free at both ends of an axis

Group = tuple[str, str]  # metric, truth
Series = tuple[int, str]  # number and name


@dataclass(frozen=True)
class ChartPoint:
    x: float
    y: float
    series: int
    row: int  # of the table, from 0
    title: str


@dataclass(frozen=True)
class Chart:
    """A drawing of `width` x `height`. Ticks are (position, text)."""

    title: str
    x_name: str
    y_name: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    points: list[ChartPoint]
    series: list[Series]  # those that have points
    lines: list[tuple[int, str]]  # the best so far of a series, by number, as SVG writes points
    equal: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2, where both axes agree

    width, height, left, top = WIDTH, HEIGHT, LEFT, TOP
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, laid out from position `start` to position `end`."""

    low: float
    high: float
    start: float
    end: float

    def position(self, value: float) -> float:
        """Where the value lies, to a tenth of a pixel."""
        part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and texts of about five round values.

        0.70 to 0.78 in five parts is a rough step of 0.016, so of 0.01, 0.02, 0.025, 0.05 and 0.1
        the step is 0.02: 0.70, 0.72, 0.74, 0.76, 0.78.
        """
        rough_step = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough_step))
        step = next(power * step for step in STEPS if power * step >= rough_step)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        values = [step * n for n in range(first, last + 1)]
        return [(self.position(value), f"{value:.4f}".rstrip("0").rstrip(".")) for value in values]


def local_against_public(entries: Sequence[BoardEntry]) -> Chart | None:
    """A point per submission that has both scores, None when there is none.

    Where the scores agree, points lie on the diagonal `equal`. It is drawn where both axes have
    values.
    """
    x_values, y_values = {}, {}  # by row
    for row, entry in enumerate(entries):
        if entry.map is not None and entry.public is not None:
            x_values[row], y_values[row] = entry.map, entry.public
    if not x_values:
        return None
    x, y = _horizontal(x_values.values()), _vertical(y_values.values())
    series = _series(entries)
    points = _points(entries, x_values, y_values, x, y, series)

    low, high = max(x.low, y.low), min(x.high, y.high)
    corners = x.position(low), y.position(low), x.position(high), y.position(high)
    return Chart(
        title="Local against public score",
        x_name="local score",
        y_name="public score",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(),
        points=points,
        series=_with_points(series, points),
        lines=[],
        equal=corners if low < high else None,
    )


def over_time(entries: Sequence[BoardEntry]) -> Chart | None:
    """A point per local score at the time it was made, None when there is none."""
    times, scores = {}, {}  # by row
    for row, entry in enumerate(entries):
        if entry.map is not None:
            times[row] = datetime.fromisoformat(entry.time).timestamp()
            scores[row] = entry.map
    if not scores:
        return None
    x, y = _horizontal(times.values()), _vertical(scores.values())
    series = _series(entries)
    points = _points(entries, times, scores, x, y, series)
    lines = [
        (number, _best_so_far([point for point in points if point.series == number]))
        for number, _ in series.values()
    ]
    return Chart(
        title="Local score over time",
        x_name="scored on",
        y_name="local score",
        x_ticks=_date_ticks(x, sorted(times.values())),
        y_ticks=y.ticks(),
        points=points,
        series=_with_points(series, points),
        lines=lines,
    )


def _horizontal(values: Iterable[float]) -> Axis:
    return _axis(list(values), LEFT, WIDTH - RIGHT)


def _vertical(values: Iterable[float]) -> Axis:
    return _axis(list(values), HEIGHT - BOTTOM, TOP)


def _axis(values: list[float], start: float, end: float) -> Axis:
    """An axis with a margin; one value alone gets 5 % of itself on either side."""
    margin = MARGIN * (max(values) - min(values)) or max(abs(values[0]) * 0.05, 0.01)
    return Axis(min(values) - margin, max(values) + margin, start, end)


def _points(
    entries: Sequence[BoardEntry],
    x_values: Mapping[int, float],
    y_values: Mapping[int, float],
    x: Axis,
    y: Axis,
    series: Mapping[Group, Series],
) -> list[ChartPoint]:
    """The points of the rows that have values."""
    return [
        ChartPoint(
            x=x.position(x_values[row]),
            y=y.position(y_values[row]),
            series=series[_group(entries[row])][0],
            row=row,
            title=_title(entries[row]),
        )
        for row in x_values
    ]


def _date_ticks(axis: Axis, times: list[float]) -> list[tuple[float, str]]:
    """The first and the last date, with the time of day where both are on one day."""
    first, last = (datetime.fromtimestamp(time, UTC) for time in (times[0], times[-1]))
    form = "%d %b" if first.date() != last.date() else "%d %b %H:%M"
    ticks = {
        f"{first:{form}}": axis.position(times[0]),
        f"{last:{form}}": axis.position(times[-1]),
    }
    return [(position, text) for text, position in ticks.items()]


def _series(entries: Sequence[BoardEntry]) -> dict[Group, Series]:
    """A number and a name for each metric and truth; the truth's hash tells equal names apart."""
    names = {
        _group(entry): f"{entry.metric} on {entry.split}"
        for entry in entries
        if entry.map is not None
    }
    all_names = list(names.values())
    return {
        group: (number, name if all_names.count(name) == 1 else f"{name} ({group[1][:6]})")
        for number, (group, name) in enumerate(names.items())
    }


def _with_points(series: Mapping[Group, Series], points: list[ChartPoint]) -> list[Series]:
    numbers = {point.series for point in points}
    return [(number, name) for number, name in series.values() if number in numbers]


def _group(entry: BoardEntry) -> Group:
    return entry.metric or "", entry.truth_sha256 or ""


def _title(entry: BoardEntry) -> str:
    public = "" if entry.public is None else f", public {entry.public:.4f}"
    return f"{entry.name}: local {entry.map:.4f}{public}"


def _best_so_far(points: list[ChartPoint]) -> str:
    """A staircase through the points that were the best when they were made.

    It goes level to the time of the next better point, then up to it, and from the last one level
    to the newest point: through (0, 9), (2, 5) with a worse point at x = 6 it is "0,9 2,9 2,5 6,5".
    """
    # 1. Of the points in the order of time keep those higher than all before (y grows downwards).
    records: list[ChartPoint] = []
    for point in sorted(points, key=lambda p: (p.x, p.y)):
        if not records or point.y < records[-1].y:
            records.append(point)

    # 2. Two corners per step, then the level end.
    corners = [f"{records[0].x},{records[0].y}"]
    for before, after in pairwise(records):
        corners += [f"{after.x},{before.y}", f"{after.x},{after.y}"]
    newest = max(point.x for point in points)
    return " ".join([*corners, f"{newest},{records[-1].y}"])
