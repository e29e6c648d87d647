"""The tables of the ledger's file, version by version.

SQLite keeps a number of ours in the file, `user_version`: how many of the MIGRATIONS were applied.
A new file has 0 and gets them all, a file of version 1 gets those from the second on, in one
transaction: a file is never between two versions. What was ever released stays as it is; a change
is a new migration at the end.

The unique indexes are what keeps promises when several processes write at once:

    scored_thing    a table has one score per truth, metric and cell; scoring again updates the row
    sent_once       a file is sent once to a competition, unless it failed to arrive
    one_at_a_time   one file at a time is being sent to a competition

NULL equals nothing, not even NULL, so a table that was scored as it is (conf and iou NULL) would
never be there already: the index has -1 for it, which no threshold is.
"""

import sqlite3

# Version 1.
SCORES = (
    """
    CREATE TABLE scores (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, name TEXT NOT NULL, split TEXT NOT NULL,
        metric TEXT NOT NULL, map REAL NOT NULL, per_class TEXT NOT NULL,
        images INTEGER NOT NULL, truths INTEGER NOT NULL, detections INTEGER NOT NULL,
        conf REAL, iou REAL,
        recipe TEXT NOT NULL, revision TEXT NOT NULL, dirty INTEGER NOT NULL, command TEXT NOT NULL,
        detections_path TEXT NOT NULL, detections_sha256 TEXT NOT NULL, truth_sha256 TEXT NOT NULL
    )
    """,
    """
    CREATE UNIQUE INDEX scored_thing ON scores (
        detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)
    )
    """,
)
# Version 2. Columns are added, never made anew, so that the rows of before stay.
INTERVALS_AND_SUBMISSIONS = (
    "ALTER TABLE scores ADD COLUMN low REAL",
    "ALTER TABLE scores ADD COLUMN high REAL",
    """
    CREATE TABLE submissions (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, competition TEXT NOT NULL, path TEXT NOT NULL,
        file_name TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
        message TEXT NOT NULL, state TEXT NOT NULL,
        ref INTEGER UNIQUE, error TEXT, public REAL, private REAL,
        summary TEXT NOT NULL, score_id INTEGER REFERENCES scores (id)
    )
    """,
    "CREATE UNIQUE INDEX sent_once ON submissions (competition, sha256) WHERE state != 'failed'",
    "CREATE UNIQUE INDEX one_at_a_time ON submissions (competition) WHERE state = 'sending'",
)
MIGRATIONS = (SCORES, INTERVALS_AND_SUBMISSIONS)
VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> None:
    """Bring an open ledger to this version; one that has it already is left alone."""
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")  # of two processes the second waits here, then finds it done
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
