"""What was scored and what was submitted: one SQLite file for all runs.

Many processes may write at once and any of them may be killed: what a method returned is in the
file.

    scores        one row per (detections, truth, metric, conf, iou): what they scored, and how the
                  run came about; scoring the same thing again updates its row
    submissions   one row per file and competition; it is written before the upload, then follows
                  what becomes of it (states: submit/kaggle/submission.py); `score_id` is the row
                  of the local score for which it was sent

How this is kept:

1. Every statement is a transaction of its own, so there is nothing half written. Write-ahead
   logging lets readers read while one process writes; writers wait for each other, for a minute at
   most.
2. "Only once" is never checked and then done: unique indexes make the insertion itself fail for the
   second of two processes (submit/migrations.py has the tables, the indexes and their versions).
3. A new file is made aside and linked into place, so nobody sees it half made.
"""

import json
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

from evaluate.exceptions import InputError, JobError
from submit.migrations import VERSION, migrate

# The columns that say what was scored: those of the unique index `scored_thing`.
SCORED_THING = "detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)"
State = Literal["sending", "lost", "pending", "complete", "error", "failed"]


def utc_now() -> str:
    """The time as the ledger writes it, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One scored table, and how it came about."""

    name: str  # of the run
    split: str
    metric: str
    map: float
    interval: tuple[float, float] | None = None  # 95 %, over images
    per_class: dict[str, float | None]
    images: int
    truths: int
    detections: int
    conf: float | None = None  # None: the table was scored as it is
    iou: float | None = None
    recipe: dict[str, Any]
    revision: str
    dirty: bool
    command: str
    detections_path: str
    detections_sha256: str
    truth_sha256: str
    time: str = field(default_factory=utc_now)
    id: int | None = None  # given by the ledger


@dataclass(frozen=True, kw_only=True)
class SubmissionRow:
    """One file on its way to a competition.

    States: `sending`, the upload is about to begin, or was cut off by a kill; `lost`, it may have
    arrived, nobody knows yet; `pending`, Kaggle has it as `ref`; `complete`, it is scored; `error`,
    Kaggle could not score it; `failed`, it never arrived, so it may be sent again.
    """

    competition: str
    path: str
    file_name: str
    sha256: str
    bytes: int
    message: str  # as Kaggle has it
    state: State = "sending"
    ref: int | None = None
    error: str | None = None
    public: float | None = None
    private: float | None = None
    summary: dict[str, Any]  # of submit.csv.check
    score_id: int | None = None  # its local score
    time: str = field(default_factory=utc_now)
    id: int | None = None  # given by the ledger


class Taken(JobError):
    """`row` is in the way: the same file was sent before, or another is being sent there now."""

    def __init__(self, row: SubmissionRow) -> None:
        self.row = row
        super().__init__(f"submission {row.id} of {row.time} is {row.state}")


class Ledger:
    """An open ledger, for use in a `with`. The file is made if it is not there.

    A file of an older version is brought up to this one. Raises InputError when the file is
    something else, or was written by a newer version of this program.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputError(f"{path}: want a ledger of scores, this is a folder")
        if not path.exists():
            _create(path)
        # 1. Without an isolation level each statement is a transaction; writers wait up to 60 s.
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        try:
            # 0 is some other database, or a table that only looks like ours: better not touched.
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if not 1 <= version <= VERSION:
                raise InputError(
                    f"{path}: want a ledger of scores of version 1 to {VERSION}, this is {version}"
                )
            migrate(self._db)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{path}: want a ledger of scores: {error}") from error
        except InputError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def record(self, row: ScoreRow) -> int:
        """Add the row, or update the one that scored the same thing. -> its id."""
        values = _values(row, "per_class", "recipe")
        # The interval is two columns, so that SQL can compare its ends.
        values["low"], values["high"] = values.pop("interval") or (None, None)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        return self._insert(
            "scores", values, f"ON CONFLICT ({SCORED_THING}) DO UPDATE SET {updates}"
        )

    def rows(self, *, metric: str | None = None, split: str | None = None) -> list[ScoreRow]:
        """The scores of one metric and split, or all, best first; of equal ones the older first."""
        rows = self._db.execute(
            "SELECT * FROM scores "
            "WHERE metric = ifnull(:metric, metric) AND split = ifnull(:split, split) "
            "ORDER BY map DESC, id",
            {"metric": metric, "split": split},
        )
        return [_score_row(dict(values)) for values in rows]

    def claim(self, row: SubmissionRow) -> int:
        """Write a submission down before it is sent. -> its id.

        Of two processes at once only one succeeds (2.). Raises Taken in the other.
        """
        while True:
            try:
                return self._insert("submissions", _values(row, "summary"))
            except sqlite3.IntegrityError:
                in_the_way = self.in_the_way(row)
            if in_the_way:
                raise Taken(in_the_way[0])
            # What was in the way was released between the two questions: try again.

    def update(self, row_id: int, **changes: Any) -> SubmissionRow:
        """Change fields of a submission. -> the row as it is now.

        The names are ours, never a person's, so they may go into the statement.
        """
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        self._db.execute(
            f"UPDATE submissions SET {assignments} WHERE id = :id", changes | {"id": row_id}
        )
        return self.submission(row_id)

    def release(self, row_id: int) -> None:
        """Take back a claim on which nothing was sent; any other row stays."""
        self._db.execute("DELETE FROM submissions WHERE id = ? AND state = 'sending'", [row_id])

    def submission(self, row_id: int) -> SubmissionRow:
        """Raises InputError when there is none with that id."""
        values = self._db.execute("SELECT * FROM submissions WHERE id = ?", [row_id]).fetchone()
        if values is None:
            raise InputError(f"the ledger has no submission {row_id}")
        return _submission_row(dict(values))

    def submissions(self, competition: str | None = None) -> list[SubmissionRow]:
        """Those to one competition, or all, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM submissions WHERE competition = ifnull(?, competition) ORDER BY id",
            [competition],
        )
        return [_submission_row(dict(values)) for values in rows]

    def in_the_way(self, row: SubmissionRow) -> list[SubmissionRow]:
        """What forbids a claim: the same file, sent before; then a file that is being sent now."""
        rows = self.submissions(row.competition)
        same = [other for other in rows if other.sha256 == row.sha256 and other.state != "failed"]
        return same + [other for other in rows if other.state == "sending"]

    def _insert(self, table: str, values: dict[str, Any], on_conflict: str = "") -> int:
        columns = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        [(row_id,)] = self._db.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) {on_conflict} RETURNING id", values
        ).fetchall()
        return int(row_id)


def _create(path: Path) -> None:
    """Make a new file aside and link it into place (3.).

    SQLite fails when two processes turn on write-ahead logging of one file at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        scratch = Path(folder, path.name)
        with closing(sqlite3.connect(scratch, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")  # stays with the file
            migrate(db)
        with suppress(FileExistsError):  # another process was first, and its file is as good
            os.link(scratch, path)


def _values(row: ScoreRow | SubmissionRow, *objects: str) -> dict[str, Any]:
    """The row's columns except its id, with `objects` as JSON."""
    values = asdict(row) | {
        name: json.dumps(getattr(row, name), allow_nan=False) for name in objects
    }
    del values["id"]
    return values


def _score_row(values: dict[str, Any]) -> ScoreRow:
    low, high = values.pop("low"), values.pop("high")
    decoded = {name: json.loads(values[name]) for name in ("per_class", "recipe")}
    interval = None if low is None else (low, high)
    return ScoreRow(**values | decoded | {"dirty": bool(values["dirty"]), "interval": interval})


def _submission_row(values: dict[str, Any]) -> SubmissionRow:
    return SubmissionRow(**values | {"summary": json.loads(values["summary"])})
