"""submit.ledger: nothing is lost, nothing is there twice, and a file of any version opens."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evaluate.exceptions import InputError
from submit.ledger import Ledger, ScoreRow, Taken
from tests.rows import ROW, SENT

VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, name TEXT NOT NULL, split TEXT NOT NULL,
    metric TEXT NOT NULL, map REAL NOT NULL, per_class TEXT NOT NULL,
    images INTEGER NOT NULL, truths INTEGER NOT NULL, detections INTEGER NOT NULL,
    conf REAL, iou REAL,
    recipe TEXT NOT NULL, revision TEXT NOT NULL, dirty INTEGER NOT NULL, command TEXT NOT NULL,
    detections_path TEXT NOT NULL, detections_sha256 TEXT NOT NULL, truth_sha256 TEXT NOT NULL
);
CREATE UNIQUE INDEX scored_thing ON scores (
    detections_sha256, truth_sha256, metric, ifnull(conf, -1), ifnull(iou, -1)
);
INSERT INTO scores VALUES (
    1, '2030-01-02T03:04:05+00:00', 'v5l', 'val', 'voc-area', 0.7487,
    '{"cat": 0.7487, "it''s": null}', 1254, 3000, 99, 0.01, 0.55,
    '{"size": 640, "anchors": [[10, 13]]}', 'abc1234', 1, 'harness score x.npz', 'runs/v5l/val.npz',
    'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',
    'tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt'
);
PRAGMA user_version = 1;
"""


def write_two_hundred(path, writer):
    with Ledger(path) as ledger:
        for n in range(200):
            ledger.record(replace(ROW, name=f"{writer}", detections_sha256=f"{writer}/{n}"))


def open_it(path):
    with Ledger(path) as ledger:
        return len(ledger.rows())


def claim(path, sha256):
    with Ledger(path) as ledger:
        try:
            return ledger.claim(replace(SENT, sha256=sha256))
        except Taken:
            return None


@pytest.fixture(scope="module")
def at_once():
    """Runs a function in four processes at once."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield lambda function, arguments: pool.starmap(function, arguments, chunksize=1)
        pool.close()
        pool.join()


def test_a_row_comes_back_as_it_was(tmp_path):
    with Ledger(tmp_path / "new" / "ledger.db") as ledger:
        assert ledger.record(ROW) == 1
        assert ledger.rows() == [replace(ROW, id=1)]
    with Ledger(tmp_path / "new" / "ledger.db") as ledger:
        assert ledger.rows() == [replace(ROW, id=1)]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["ledger.db"]


@pytest.mark.parametrize("thresholds", [{}, {"conf": None, "iou": None}])
def test_scoring_the_same_thing_twice_brings_its_row_up_to_date(tmp_path, thresholds):
    row = replace(ROW, **thresholds)
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.record(row) == ledger.record(replace(row, name="renamed", map=0.5)) == 1
        assert ledger.rows() == [replace(row, name="renamed", map=0.5, id=1)]


def test_another_table_truth_metric_or_threshold_is_another_row(tmp_path):
    others = {"detections_sha256": "x", "truth_sha256": "x", "metric": "coco"}
    others |= {"conf": None, "iou": 0.5}
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record(ROW)
        for name, value in others.items():
            ledger.record(replace(ROW, **{name: value}))
        assert len(ledger.rows()) == 6


def test_rows_are_best_first_and_filtered(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for n, (score, metric, split) in enumerate(
            [(0.1, "coco", "val"), (0.9, "coco", "test"), (0.9, "voc", "val")]
        ):
            ledger.record(
                replace(ROW, map=score, metric=metric, split=split, detections_sha256=str(n))
            )
        assert [row.id for row in ledger.rows()] == [2, 3, 1]
        assert [row.id for row in ledger.rows(metric="coco")] == [2, 1]
        assert [row.id for row in ledger.rows(metric="coco", split="val")] == [1]


def test_the_time_is_now_in_utc_unless_it_is_given():
    values = {
        name: getattr(ROW, name) for name in ROW.__dataclass_fields__ if name not in ("time", "id")
    }
    time = datetime.fromisoformat(ScoreRow(**values).time)
    assert time.tzinfo == UTC and abs((datetime.now(UTC) - time).total_seconds()) < 60


def test_a_score_without_an_interval_comes_back_without(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record(replace(ROW, interval=None))
        assert ledger.rows() == [replace(ROW, interval=None, id=1)]


def test_four_processes_of_two_hundred_writes_lose_nothing(tmp_path, at_once):
    path = tmp_path / "ledger.db"
    at_once(write_two_hundred, [(path, writer) for writer in range(4)])
    with Ledger(path) as ledger:
        expected = sorted(f"{writer}/{n}" for writer in range(4) for n in range(200))
        assert sorted(row.detections_sha256 for row in ledger.rows()) == expected


def test_killed_at_any_moment_it_holds_what_it_said_it_holds(tmp_path):
    path = tmp_path / "ledger.db"
    script = (
        "import sys, pathlib; from tests.test_ledger import *\n"
        "with Ledger(pathlib.Path(sys.argv[1])) as ledger:\n"
        "    n = len(ledger.rows())\n"
        "    while True:\n"
        "        print(ledger.record(replace(ROW, detections_sha256=str(n))), flush=True)\n"
        "        n += 1\n"
    )
    last = 0
    for milliseconds in (0, 3, 20):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert int(writer.stdout.readline()) == last + 1
        time.sleep(milliseconds / 1000)
        os.kill(writer.pid, signal.SIGKILL)
        said = [int(line) for line in writer.communicate()[0].splitlines() if line.isdigit()]
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        before, last = max([last + 1, *said]), open_it(path)
        assert before <= last <= before + 1  # the last write may be there without having been told


def test_a_file_of_version_1_opens_with_all_it_holds(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    with Ledger(path) as ledger:
        assert ledger.rows() == [replace(ROW, interval=None, id=1)]
        assert ledger.record(ROW) == 1  # the same thing, with its interval now
        assert ledger.rows() == [replace(ROW, id=1)]
        assert ledger.claim(replace(SENT, score_id=1)) == 1
    with (
        closing(sqlite3.connect(path)) as old,
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
    ):
        Ledger(tmp_path / "other.db").__exit__(None, None, None)
        new.execute(f"ATTACH '{tmp_path / 'other.db'}' AS made")
        columns = "SELECT name, type FROM pragma_table_info('{}', '{}')"
        for table in ("scores", "submissions"):
            migrated = old.execute(columns.format(table, "main")).fetchall()
            assert migrated == new.execute(columns.format(table, "made")).fetchall()
        assert old.execute("PRAGMA user_version").fetchone() == (2,)


def test_four_processes_may_migrate_at_once(tmp_path, at_once):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    assert at_once(open_it, [(path,)] * 8) == [1] * 8


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1 + "CREATE TABLE submissions (somebody, elses);")
    with pytest.raises(InputError, match="table submissions already exists"):
        Ledger(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert "low" not in [row[1] for row in db.execute("PRAGMA table_info(scores)")]


def test_a_submission_comes_back_as_it_was_and_follows_its_changes(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.claim(SENT) == 1
        assert ledger.submissions() == ledger.submissions("voc") == [replace(SENT, id=1)]
        done = ledger.update(1, state="complete", ref=7, public=0.5)
        assert (
            done == ledger.submission(1) == replace(SENT, id=1, state="complete", ref=7, public=0.5)
        )
        assert ledger.submissions("coco") == []
        with pytest.raises(InputError, match="no submission 2"):
            ledger.submission(2)


def test_a_file_is_claimed_once_for_a_competition_unless_it_failed_to_arrive(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for state in ("sending", "lost", "pending", "complete", "error"):
            row_id = ledger.claim(SENT)
            ledger.update(row_id, state=state)
            with pytest.raises(Taken) as taken:
                ledger.claim(SENT)
            assert taken.value.row == ledger.submission(row_id)
            ledger.update(row_id, state="failed")
        assert ledger.claim(SENT) == 6


def test_one_file_at_a_time_is_sent_to_a_competition(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, other = ledger.claim(SENT), replace(SENT, sha256="o" * 64)
        with pytest.raises(Taken):
            ledger.claim(other)
        assert ledger.claim(replace(other, competition="coco")) == 2
        ledger.update(first, state="lost")
        assert ledger.claim(other) == 3


def test_a_claim_is_released_only_while_nothing_was_sent(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.release(ledger.claim(SENT))
        assert ledger.submissions() == []
        row_id = ledger.claim(SENT)
        ledger.update(row_id, state="pending", ref=1)
        ledger.release(row_id)
        assert len(ledger.submissions()) == 1


def test_of_four_processes_one_gets_the_claim(tmp_path, at_once):
    path = tmp_path / "ledger.db"
    for shas in ("aaaa", "abcd"):
        won = at_once(claim, [(path, sha) for sha in shas])
        assert sum(row_id is not None for row_id in won) == 1
        with Ledger(path) as ledger:
            [row] = ledger.submissions()
            ledger.release(row.id)


def test_a_newer_ledger_and_another_file_are_refused(tmp_path):
    newer, other, text = tmp_path / "newer.db", tmp_path / "other.db", tmp_path / "text.db"
    with Ledger(newer):
        pass
    for path, statement in (
        (newer, "PRAGMA user_version = 3"),
        (other, "CREATE TABLE scores (id)"),
    ):
        with closing(sqlite3.connect(path)) as db:
            db.execute(statement)
    text.write_text("not a database, but long enough to be taken for one " * 20)
    for path, wrong in (
        (newer, "newer.db: want a ledger of scores of version 1 to 2, this is 3"),
        (other, "other.db: want a ledger of scores of version 1 to 2, this is 0"),
        (text, "text.db: want a ledger of scores: file is not a database"),
    ):
        with pytest.raises(InputError, match=wrong):
            Ledger(path)
