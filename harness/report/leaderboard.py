"""The ledger's scores and submissions as one table: for the terminal, as JSON, and as a page."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evaluate.files import written_whole
from harness.report.board_charts import local_against_public, over_time
from harness.report.template import render
from harness.run_folder import Run
from submit.kaggle.standing import Leaderboard
from submit.ledger import ScoreRow, SubmissionRow

COLUMNS = (
    *("rank", "run", "score", "interval", "public", "private", "gap", "stands", "split", "metric"),
    *("conf", "iou", "model", "images", "detections", "revision", "when", "command"),
)
NUMBERS = {
    "rank",
    "score",
    "public",
    "private",
    "gap",
    "stands",
    "conf",
    "iou",
    "images",
    "detections",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A scored table, a submission, or both; None where it is not the one or the other."""

    name: str
    time: str
    path: str
    rank: int | None = None  # among scores by the same metric on the same truth
    split: str | None = None
    metric: str | None = None
    map: float | None = None
    interval: tuple[float, float] | None = None
    truth_sha256: str | None = None
    per_class: dict[str, float | None] | None = None
    images: int | None = None
    detections: int | None = None
    conf: float | None = None
    iou: float | None = None
    model: str | None = None
    recipe: dict[str, Any] | None = None
    command: str | None = None
    revision: str | None = None
    dirty: bool = False
    competition: str | None = None
    ref: int | None = None
    state: str | None = None
    public: float | None = None
    private: float | None = None
    gap: float | None = None  # local - public
    stands: int | None = (
        None  # on the competition's leaderboard, by the public score or else the local one
    )
    medal: str | None = None


def entries(
    scores: Sequence[ScoreRow],
    submissions: Sequence[SubmissionRow],
    theirs: Leaderboard | None = None,
) -> list[Entry]:
    """A row for each score and each submission of it, best first within a split and metric, those without score last.

    Ranks start anew for each metric and truth: other scores do not compare. What never arrived is left out.
    """
    submissions = [submission for submission in submissions if submission.state != "failed"]
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for score in sorted(
        scores, key=lambda row: (row.split, row.truth_sha256, row.metric, -row.map)
    ):
        group = (score.truth_sha256, score.metric)
        seen[group] += 1
        local = replace(_local(score), rank=seen[group])
        sent = [submission for submission in submissions if submission.score_id == score.id]
        rows += [_submitted(local, submission) for submission in sent] or [local]
    for submission in submissions:
        if submission.score_id is None:
            name = "/".join(Path(submission.path).parts[-2:])
            rows.append(
                _submitted(Entry(name=name, time=submission.time, path=submission.path), submission)
            )
    return [_standing(row, theirs) for row in rows] if theirs else rows


def board_text(rows: Sequence[Entry], theirs: Leaderboard | None = None) -> str:
    """An aligned table, and under it the medal lines. No line is longer than its cells need."""
    table = [COLUMNS, *(tuple(_cells(row).values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in table]
    if theirs:
        lines += [
            "",
            f"{theirs.competition} has {len(theirs.scores):,} teams; the last to earn a medal, where it gives any:",
        ]
        lines += [
            f"{medal:<6}  rank {rank:>5,}  score {score:g}"
            for medal, (rank, score) in theirs.lines().items()
        ]
    return "\n".join(lines)


def board_json(rows: Sequence[Entry], theirs: Leaderboard | None = None) -> dict[str, Any]:
    """rows, with every field of `Entry`; leaderboard: teams and medals {name: rank and score}, None when not taken."""
    medals = (
        {medal: {"rank": rank, "score": score} for medal, (rank, score) in theirs.lines().items()}
        if theirs
        else {}
    )
    return {
        "rows": [asdict(row) for row in rows],
        "leaderboard": {"teams": len(theirs.scores), "medals": medals} if theirs else None,
    }


def write_board(rows: Sequence[Entry], out: Path, theirs: Leaderboard | None = None) -> None:
    """Write the same table as a page that sorts, filters and draws it, to `out` whole or not at all."""
    shown = [name for name in COLUMNS if name != "stands" or theirs]
    page = render(
        "board.html",
        script="board.js",
        columns=shown,
        numbers=NUMBERS,
        rows=[
            {"entry": row, "cells": _cells(row), "report": _report(row, out.parent)} for row in rows
        ],
        scatter=local_against_public(rows),
        history=over_time(rows),
        theirs=theirs,
    )
    with written_whole(out) as scratch:
        scratch.write_text(page, encoding="utf-8")


def _local(score: ScoreRow) -> Entry:
    values = asdict(score)
    for name in ("id", "truths", "detections_path", "detections_sha256"):
        del values[name]
    return Entry(**values, path=score.detections_path, model=score.recipe.get("model"))


def _submitted(entry: Entry, submission: SubmissionRow) -> Entry:
    names = ("competition", "ref", "state", "public", "private")
    gap = None if entry.map is None or submission.public is None else entry.map - submission.public
    return replace(entry, gap=gap, **{name: getattr(submission, name) for name in names})


def _standing(entry: Entry, theirs: Leaderboard) -> Entry:
    score = entry.map if entry.public is None else entry.public
    if score is None or entry.competition not in (None, theirs.competition):
        return entry
    rank = theirs.rank(score)
    return replace(entry, stands=rank, medal=theirs.medal(rank))


def _cells(row: Entry) -> dict[str, str]:
    """The row as text, by column; "" for what it does not have."""
    texts = {
        "rank": _text(row.rank),
        "run": row.name,
        "split": row.split or "",
        "metric": row.metric or "",
        "score": _text(row.map, ".4f"),
        "interval": "{:.4f}-{:.4f}".format(*row.interval) if row.interval else "",
        "public": _text(row.public, ".4f") or (row.state if row.state != "complete" else "") or "",
        "private": _text(row.private, ".4f"),
        "gap": _text(row.gap, "+.4f"),
        "stands": f"{row.stands} {row.medal}".rstrip() if row.stands else "",
        "conf": _text(row.conf, "g"),
        "iou": _text(row.iou, "g"),
        "model": row.model or "",
        "images": _text(row.images),
        "detections": _text(row.detections),
        "revision": (row.revision or "")[:7] + ("+" if row.dirty else ""),
        "when": row.time[:16].replace("T", " "),
        "command": row.command or "",
    }
    return {name: texts[name] for name in COLUMNS}


def _text(value: float | None, form: str = "d") -> str:
    return "" if value is None else format(value, form)


def _report(row: Entry, folder: Path) -> str:
    """The address of the run's page as seen from the folder, "" when there is none."""
    page = Run(Path(row.path).parent).page
    return quote(Path(os.path.relpath(page, folder)).as_posix()) if page.is_file() else ""


def _aligned(line: Iterable[str], widths: list[int]) -> Iterable[str]:
    for name, cell, width in zip(COLUMNS, line, widths, strict=True):
        yield cell.rjust(width) if name in NUMBERS else cell.ljust(width)
