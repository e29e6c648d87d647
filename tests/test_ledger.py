"""submit.ledger: nothing is lost, nothing is there twice."""

import multiprocessing
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evaluate.tables import InputError
from submit.ledger import Ledger, ScoreRow

ROW = ScoreRow(
    name="v5l",
    split="val",
    metric="voc-area",
    map=0.7487,
    per_class={"cat": 0.7487, "it's": None},
    images=1254,
    truths=3000,
    detections=99,
    conf=0.01,
    iou=0.55,
    recipe={"size": 640, "anchors": [[10, 13]]},
    revision="abc1234",
    dirty=True,
    command="harness score x.npz",
    detections_path="runs/v5l/val.npz",
    detections_sha256="d" * 64,
    truth_sha256="t" * 64,
    time="2030-01-02T03:04:05+00:00",
)


def write_fifty(path, writer):
    with Ledger(path) as ledger:
        for n in range(50):
            ledger.record(replace(ROW, name=f"{writer}", detections_sha256=f"{writer}/{n}"))


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
    others = {"detections_sha256": "x", "truth_sha256": "x", "metric": "coco", "conf": None, "iou": 0.5}
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record(ROW)
        for name, value in others.items():
            ledger.record(replace(ROW, **{name: value}))
        assert len(ledger.rows()) == 6


def test_rows_are_best_first_and_filtered(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for n, (score, metric, split) in enumerate([(0.1, "coco", "val"), (0.9, "coco", "test"), (0.9, "voc", "val")]):
            ledger.record(replace(ROW, map=score, metric=metric, split=split, detections_sha256=str(n)))
        assert [row.id for row in ledger.rows()] == [2, 3, 1]
        assert [row.id for row in ledger.rows(metric="coco")] == [2, 1]
        assert [row.id for row in ledger.rows(metric="coco", split="val")] == [1]


def test_the_time_is_now_in_utc_unless_it_is_given():
    values = {name: getattr(ROW, name) for name in ROW.__dataclass_fields__ if name not in ("time", "id")}
    time = datetime.fromisoformat(ScoreRow(**values).time)
    assert time.tzinfo == UTC and abs((datetime.now(UTC) - time).total_seconds()) < 60


def test_four_processes_of_fifty_writes_lose_nothing(tmp_path):
    path = tmp_path / "ledger.db"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(write_fifty, [(path, writer) for writer in range(4)])
        pool.close()
        pool.join()
    with Ledger(path) as ledger:
        expected = sorted(f"{writer}/{n}" for writer in range(4) for n in range(50))
        assert sorted(row.detections_sha256 for row in ledger.rows()) == expected


def test_a_newer_ledger_and_another_file_are_refused(tmp_path):
    newer, other, text = tmp_path / "newer.db", tmp_path / "other.db", tmp_path / "text.db"
    with Ledger(newer):
        pass
    for path, statement in ((newer, "PRAGMA user_version = 2"), (other, "CREATE TABLE scores (id)")):
        with closing(sqlite3.connect(path)) as db:
            db.execute(statement)
    text.write_text("not a database, but long enough to be taken for one " * 20)
    for path, wrong in (
        (newer, "newer.db: want a ledger of scores of version 1, this file has version 2"),
        (other, "other.db: want a ledger of scores of version 1, this file has version 0"),
        (text, "text.db: want a ledger of scores: file is not a database"),
    ):
        with pytest.raises(InputError, match=wrong):
            Ledger(path)
