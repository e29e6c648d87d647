"""Scores from the ledger as a table for the terminal and as a page."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from evaluate.tables import written_whole
from harness.report.template import render
from submit.ledger import ScoreRow

COLUMNS = ("rank", "run", "split", "metric", "score", "conf", "iou", "images", "detections", "revision", "when")
NUMBERS = {"rank", "score", "conf", "iou", "images", "detections"}


def board_text(rows: list[ScoreRow]) -> str:
    """An aligned table, best first within a split and metric. No line is longer than its cells need."""
    table = [COLUMNS, *_cells(rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in table)


def write_board(rows: list[ScoreRow], out: Path) -> None:
    """Write the same table as a page that sorts by any column, to `out` whole or not at all."""
    with written_whole(out) as scratch:
        page = render("board.html", script="board.js", columns=COLUMNS, numbers=NUMBERS, rows=_cells(rows))
        scratch.write_text(page, encoding="utf-8")


def _cells(rows: list[ScoreRow]) -> list[tuple[str, ...]]:
    """A row of text for each score. Ranks start anew for each metric and truth: other scores do not compare."""
    ranked = sorted(rows, key=lambda row: (row.split, row.truth_sha256, row.metric, -row.map))
    seen: Counter[tuple[str, ...]] = Counter()
    table: list[tuple[str, ...]] = []
    for row in ranked:
        group = (row.truth_sha256, row.metric)
        seen[group] += 1
        table.append(
            (
                f"{seen[group]}",
                row.name,
                row.split,
                row.metric,
                f"{row.map:.4f}",
                "" if row.conf is None else f"{row.conf:g}",
                "" if row.iou is None else f"{row.iou:g}",
                f"{row.images}",
                f"{row.detections}",
                row.revision[:7] + ("+" if row.dirty else ""),
                row.time[:16].replace("T", " "),
            )
        )
    return table


def _aligned(line: Iterable[str], widths: list[int]) -> Iterable[str]:
    for name, cell, width in zip(COLUMNS, line, widths, strict=True):
        yield cell.rjust(width) if name in NUMBERS else cell.ljust(width)
