"""submit.check: what is in a file that is in order."""

import hashlib

import pytest

from submit.check import Summary, check
from submit.formats import SubmissionError, write
from tests.oracles import CLASSES, detections


def test_the_summary_of_a_file_in_order(tmp_path):
    path = tmp_path / "s.csv"
    write(detections((0, 0, 0.5, 0, 0, 5, 5), (0, 1, 0.5, 0, 0, 5, 5), (0, 1, 0.4, 0, 0, 5, 5)), path)
    data = path.read_bytes()
    expected = Summary(
        rows=2,
        boxes=3,
        boxes_mean=1.5,
        boxes_max=3,
        images_without_boxes=1,
        classes_without_boxes=("bird",),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    assert check(path, classes=CLASSES, image_ids=["a", "b"]) == check(path, classes=CLASSES, sample=path) == expected


def test_a_file_without_rows_or_boxes_has_a_summary(tmp_path):
    (tmp_path / "s.csv").write_text("id,image_id,prediction_list\n")
    summary = check(tmp_path / "s.csv")
    assert (summary.rows, summary.boxes, summary.boxes_mean, summary.boxes_max) == (0, 0, 0, 0)


def test_every_bad_row_is_raised(tmp_path):
    (tmp_path / "s.csv").write_text("id,image_id,prediction_list\n1,a,x\n2,b,y\n")
    with pytest.raises(SubmissionError) as caught:
        check(tmp_path / "s.csv")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "line 2, id 1, image a",
        "line 3, id 2, image b",
    ]
