"""The ledger's file, version by version. A version that was ever released stays as it is; a new one goes at the end."""

import sqlite3

SCORES = (
    """
    CREATE TABLE scores (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, name TEXT NOT NULL, split TEXT NOT NULL,
        metric TEXT NOT NULL, map REAL NOT NULL, per_class TEXT NOT NULL,
        images INTEGER NOT NULL, truths INTEGER NOT NULL, detections INTEGER NOT NULL, conf REAL, iou REAL,
        recipe TEXT NOT NULL, revision TEXT NOT NULL, dirty INTEGER NOT NULL, command TEXT NOT NULL,
        detections_path TEXT NOT NULL, detections_sha256 TEXT NOT NULL, truth_sha256 TEXT NOT NULL
    )
    """,
    """
    CREATE UNIQUE INDEX scored_thing ON scores (
        detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)  -- NULLs are never equal
    )
    """,
)
INTERVALS_AND_SUBMISSIONS = (
    "ALTER TABLE scores ADD COLUMN low REAL",
    "ALTER TABLE scores ADD COLUMN high REAL",
    """
    CREATE TABLE submissions (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, competition TEXT NOT NULL, path TEXT NOT NULL,
        file_name TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, message TEXT NOT NULL,
        state TEXT NOT NULL, ref INTEGER UNIQUE, error TEXT, public REAL, private REAL,
        summary TEXT NOT NULL, score_id INTEGER REFERENCES scores (id)
    )
    """,
    "CREATE UNIQUE INDEX sent_once ON submissions (competition, sha256) WHERE state != 'failed'",
    "CREATE UNIQUE INDEX one_at_a_time ON submissions (competition) WHERE state = 'sending'",
)
MIGRATIONS = (SCORES, INTERVALS_AND_SUBMISSIONS)
VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> None:
    """Bring an open ledger to this version, in one transaction; one that is there already is left alone."""
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")  # of two processes the second waits here and finds it done
    try:
        for statements in MIGRATIONS[_version(db) :]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
