"""What was scored, when and from what: one SQLite file that many processes may write to at once."""

import json
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from evaluate.tables import InputError

VERSION = 1
SCORED_THING = "detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)"  # NULLs are never equal
SCHEMA = f"""
PRAGMA journal_mode = WAL;  -- readers and a writer at once; stays with the file
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, name TEXT NOT NULL, split TEXT NOT NULL,
    metric TEXT NOT NULL, map REAL NOT NULL, per_class TEXT NOT NULL,
    images INTEGER NOT NULL, truths INTEGER NOT NULL, detections INTEGER NOT NULL, conf REAL, iou REAL,
    recipe TEXT NOT NULL, revision TEXT NOT NULL, dirty INTEGER NOT NULL, command TEXT NOT NULL,
    detections_path TEXT NOT NULL, detections_sha256 TEXT NOT NULL, truth_sha256 TEXT NOT NULL
);
CREATE UNIQUE INDEX scored_thing ON scores ({SCORED_THING});
PRAGMA user_version = {VERSION};
"""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One scored table. Detections, truth, metric, conf and iou say which; the rest says how it came about."""

    name: str  # of the run
    split: str
    metric: str
    map: float
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
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: int | None = None  # given by the ledger


class Ledger:
    """The scores in one file, which is made if it is not there. Use it in a `with`.

    Raises InputError when the file is something else, or was written by a newer version of this program.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputError(f"{path}: want a ledger of scores, this is a folder")
        if not path.exists():
            _create(path)
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)  # each statement is its own transaction
        self._db.row_factory = sqlite3.Row
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{path}: want a ledger of scores: {error}") from error
        if version != VERSION:
            self._db.close()
            raise InputError(f"{path}: want a ledger of scores of version {VERSION}, this file has version {version}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()

    def record(self, row: ScoreRow) -> int:
        """Add the row, or bring the one that scored the same thing up to date. -> its id."""
        values = asdict(row) | {
            name: json.dumps(getattr(row, name), allow_nan=False) for name in ("per_class", "recipe")
        }
        del values["id"]
        columns = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        [(row_id,)] = self._db.execute(
            f"INSERT INTO scores ({columns}) VALUES ({places}) "
            f"ON CONFLICT ({SCORED_THING}) DO UPDATE SET {updates} RETURNING id",
            values,
        ).fetchall()
        return int(row_id)

    def rows(self, *, metric: str | None = None, split: str | None = None) -> list[ScoreRow]:
        """The rows of one metric and split, or of all, best first; of equals the older first."""
        found = self._db.execute(
            "SELECT * FROM scores WHERE metric = ifnull(:metric, metric) AND split = ifnull(:split, split) "
            "ORDER BY map DESC, id",
            {"metric": metric, "split": split},
        )
        return [_score_row(dict(values)) for values in found]


def _create(path: Path) -> None:
    """Made aside and linked into place, because SQLite fails when two processes turn on WAL at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        scratch = Path(folder, path.name)
        with closing(sqlite3.connect(scratch)) as db:
            db.executescript(SCHEMA)
        with suppress(FileExistsError):  # another process was first
            os.link(scratch, path)


def _score_row(values: dict[str, Any]) -> ScoreRow:
    decoded = {name: json.loads(values[name]) for name in ("per_class", "recipe")}
    return ScoreRow(**values | decoded | {"dirty": bool(values["dirty"])})
