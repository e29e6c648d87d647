"""The leaderboard as a table for the terminal, as JSON, and as a page that sorts and filters."""

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evaluate.files import written_whole
from harness.report.board import Board, BoardEntry
from harness.report.board_charts import local_against_public, over_time
from harness.report.template import render_page
from harness.run_folder import Run

# The columns of the table, for people; `board_json` has every field of an entry.
COLUMNS = (
    *("rank", "run", "score", "interval", "public", "private", "gap", "stands", "split", "metric"),
    *("conf", "iou", "model", "images", "detections", "revision", "when", "command"),
)
# Columns that align to the right and that the page sorts as numbers.
NUMBERS = {
    *("rank", "score", "public", "private", "gap", "stands"),
    *("conf", "iou", "images", "detections"),
}


def board_text(board: Board) -> str:
    """An aligned table, and below it the medals. No line is longer than its cells need."""
    table = [COLUMNS, *(tuple(_cells(entry).values()) for entry in board.entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in table]
    if board.public:
        teams = f"{board.public.competition} has {len(board.public.scores):,} teams"
        lines += ["", f"{teams}; the last rank that earns a medal, if the competition gives any:"]
        lines += [
            f"{medal:<6}  rank {rank:>5,}  score {score:g}"
            for medal, (rank, score) in board.public.medal_bounds().items()
        ]
    return "\n".join(lines)


def board_json(board: Board) -> dict[str, Any]:
    """-> rows: every field of each `BoardEntry`; leaderboard: the competition's number of teams and
    medals {name: rank and score}, or None when it was not downloaded.
    """
    leaderboard = None
    if board.public:
        bounds = board.public.medal_bounds().items()
        medals = {medal: {"rank": rank, "score": score} for medal, (rank, score) in bounds}
        leaderboard = {"teams": len(board.public.scores), "medals": medals}
    return {"rows": [asdict(entry) for entry in board.entries], "leaderboard": leaderboard}


def write_board(board: Board, out: Path) -> None:
    """Write the same table as a page, with charts; `out` appears whole or not at all."""
    page = render_page(
        "board.html",
        script="board.js",
        columns=[name for name in COLUMNS if name != "stands" or board.public],
        numbers=NUMBERS,
        rows=[
            {"cells": _cells(entry), "report": _report_address(entry, out.parent)}
            for entry in board.entries
        ],
        scatter=local_against_public(board.entries),
        history=over_time(board.entries),
        public=board.public,
    )
    with written_whole(out) as scratch:
        scratch.write_text(page, encoding="utf-8")


def _cells(entry: BoardEntry) -> dict[str, str]:
    """The entry as text, by column; "" for what it does not have."""
    # A submission without a score shows how far it got in the place of its score.
    state = "" if entry.state in (None, "complete") else entry.state
    texts = {
        "rank": _number(entry.rank),
        "run": entry.name,
        "split": entry.split or "",
        "metric": entry.metric or "",
        "score": _number(entry.map, ".4f"),
        "interval": "{:.4f}-{:.4f}".format(*entry.interval) if entry.interval else "",
        "public": _number(entry.public, ".4f") or state or "",
        "private": _number(entry.private, ".4f"),
        "gap": _number(entry.gap, "+.4f"),
        "stands": f"{entry.stands} {entry.medal}".rstrip() if entry.stands else "",
        "conf": _number(entry.conf, "g"),
        "iou": _number(entry.iou, "g"),
        "model": entry.model or "",
        "images": _number(entry.images),
        "detections": _number(entry.detections),
        "revision": (entry.revision or "")[:7] + ("+" if entry.dirty else ""),
        "when": entry.time[:16].replace("T", " "),
        "command": entry.command or "",
    }
    return {name: texts[name] for name in COLUMNS}


def _number(value: float | None, form: str = "d") -> str:
    return "" if value is None else format(value, form)


def _report_address(entry: BoardEntry, folder: Path) -> str:
    """A link from `folder` to the page of the entry's run, "" where it has none."""
    page = Run(Path(entry.path).parent).page
    return quote(Path(os.path.relpath(page, folder)).as_posix()) if page.is_file() else ""


def _aligned(line: Iterable[str], widths: list[int]) -> Iterable[str]:
    for name, cell, width in zip(COLUMNS, line, widths, strict=True):
        yield cell.rjust(width) if name in NUMBERS else cell.ljust(width)
