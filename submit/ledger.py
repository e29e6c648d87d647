"""What was scored and what was submitted: one SQLite file that many processes may write to at once."""

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

SCORED_THING = "detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)"
State = Literal["sending", "lost", "pending", "complete", "error", "failed"]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One scored table. Detections, truth, metric, conf and iou say which; the rest says how it came about."""

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
    time: str = field(default_factory=now)
    id: int | None = None  # given by the ledger


@dataclass(frozen=True, kw_only=True)
class SubmissionRow:
    """One file on its way to a competition. It is written before the upload, and then follows it.

    States: `sending`, this program is about to upload or was killed on the way; `lost`, it may have arrived, nobody
    knows yet; `pending`, Kaggle has it under `ref`; `complete`, it has scores; `error`, Kaggle could not score it;
    `failed`, it never arrived, so it may be sent again.
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
    time: str = field(default_factory=now)
    id: int | None = None  # given by the ledger


class Taken(JobError):
    """`row` is in the way: the same file was sent before, or another one is being sent to that competition."""

    def __init__(self, row: SubmissionRow) -> None:
        self.row = row
        super().__init__(f"submission {row.id} of {row.time} is {row.state}")


class Ledger:
    """The scores and submissions in one file, which is made if it is not there. Use it in a `with`.

    A file of an older version is brought up to this one. Raises InputError when the file is something else, or was
    written by a newer version of this program.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputError(f"{path}: want a ledger of scores, this is a folder")
        if not path.exists():
            _create(path)
        self._db = sqlite3.connect(
            path, timeout=60, isolation_level=None
        )  # each statement is its own transaction
        self._db.row_factory = sqlite3.Row
        try:
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
        at: TracebackType | None,
    ) -> None:
        self._db.close()

    def record(self, row: ScoreRow) -> int:
        """Add the row, or bring the one that scored the same thing up to date. -> its id."""
        values = _values(row, "per_class", "recipe")
        values["low"], values["high"] = values.pop("interval") or (None, None)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        return self._insert(
            "scores", values, f"ON CONFLICT ({SCORED_THING}) DO UPDATE SET {updates}"
        )

    def rows(self, *, metric: str | None = None, split: str | None = None) -> list[ScoreRow]:
        """The scores of one metric and split, or of all, best first; of equals the older first."""
        found = self._db.execute(
            "SELECT * FROM scores WHERE metric = ifnull(:metric, metric) AND split = ifnull(:split, split) "
            "ORDER BY map DESC, id",
            {"metric": metric, "split": split},
        )
        return [_score_row(dict(values)) for values in found]

    def claim(self, row: SubmissionRow) -> int:
        """Write a submission down before it is sent. -> its id. Raises Taken; only one of two at once succeeds."""
        while True:
            try:
                return self._insert("submissions", _values(row, "summary"))
            except sqlite3.IntegrityError:
                in_the_way = self.in_the_way(row)
            if in_the_way:  # else it was released since
                raise Taken(in_the_way[0])

    def update(self, row_id: int, **changes: Any) -> SubmissionRow:
        """Change fields of a submission. -> the row as it is now."""
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        self._db.execute(
            f"UPDATE submissions SET {assignments} WHERE id = :id", changes | {"id": row_id}
        )
        return self.submission(row_id)

    def release(self, row_id: int) -> None:
        """Take back a claim on which nothing was sent."""
        self._db.execute("DELETE FROM submissions WHERE id = ? AND state = 'sending'", [row_id])

    def submission(self, row_id: int) -> SubmissionRow:
        """Raises InputError when there is none with that id."""
        values = self._db.execute("SELECT * FROM submissions WHERE id = ?", [row_id]).fetchone()
        if values is None:
            raise InputError(f"the ledger has no submission {row_id}")
        return _submission_row(dict(values))

    def submissions(self, competition: str | None = None) -> list[SubmissionRow]:
        """Those to one competition, or all, oldest first."""
        found = self._db.execute(
            "SELECT * FROM submissions WHERE competition = ifnull(?, competition) ORDER BY id",
            [competition],
        )
        return [_submission_row(dict(values)) for values in found]

    def _insert(self, table: str, values: dict[str, Any], on_conflict: str = "") -> int:
        columns = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        [(row_id,)] = self._db.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) {on_conflict} RETURNING id", values
        ).fetchall()
        return int(row_id)

    def in_the_way(self, row: SubmissionRow) -> list[SubmissionRow]:
        """What forbids a claim: the same file, sent before; then another one that is being sent there."""
        rows = self.submissions(row.competition)
        same = [there for there in rows if there.sha256 == row.sha256 and there.state != "failed"]
        return same + [there for there in rows if there.state == "sending"]


def _create(path: Path) -> None:
    """Made aside and linked into place, because SQLite fails when two processes turn on WAL at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        scratch = Path(folder, path.name)
        with closing(sqlite3.connect(scratch, isolation_level=None)) as db:
            db.execute(
                "PRAGMA journal_mode = WAL"
            )  # readers and a writer at once; stays with the file
            migrate(db)
        with suppress(FileExistsError):  # another process was first
            os.link(scratch, path)


def _values(row: ScoreRow | SubmissionRow, *objects: str) -> dict[str, Any]:
    """The row's columns but its id, with `objects` as JSON."""
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
