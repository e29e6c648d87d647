"""submit.csv.check: what is in a file that is in order, and what is odd beside the last one."""

import hashlib
from dataclasses import asdict, replace

import pytest

from evaluate.exceptions import BadRows
from submit.csv.check import SubmissionSummary, check_submission, last_good, suspicious_changes
from submit.csv.formats import write_submission
from submit.ledger import Ledger
from tests.oracles import CLASSES, detections
from tests.rows import SENT

SUMMARY = SubmissionSummary(
    rows=100,
    boxes=1000,
    boxes_mean=10.0,
    boxes_max=20,
    images_without_boxes=3,
    boxes_per_class={"cat": 600, "dog": 400},
    bytes=5000,
    sha256="now",
    images_sha256="these",
)


def test_the_summary_of_a_file_in_order(tmp_path):
    path = tmp_path / "s.csv"
    write_submission(
        detections((0, 0, 0.5, 0, 0, 5, 5), (0, 1, 0.5, 0, 0, 5, 5), (0, 1, 0.4, 0, 0, 5, 5)), path
    )
    data = path.read_bytes()
    expected = SubmissionSummary(
        rows=2,
        boxes=3,
        boxes_mean=1.5,
        boxes_max=3,
        images_without_boxes=1,
        boxes_per_class=dict(zip(CLASSES, (1, 2, 0), strict=True)),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        images_sha256=hashlib.sha256(b"a\nb").hexdigest(),
    )
    assert (
        check_submission(path, classes=CLASSES, image_ids=["a", "b"])
        == check_submission(path, classes=CLASSES, sample=path)
        == expected
    )
    assert check_submission(path, image_ids=["b", "a"]).images_sha256 == expected.images_sha256
    assert expected.text().startswith("2 images, 3 boxes, 1.5 per image (at most 3), 1 without, ")


def test_a_file_without_rows_or_boxes_has_a_summary(tmp_path):
    (tmp_path / "s.csv").write_text("id,image_id,prediction_list\n")
    summary = check_submission(tmp_path / "s.csv")
    assert (summary.rows, summary.boxes, summary.boxes_mean, summary.boxes_max) == (0, 0, 0, 0)
    assert suspicious_changes(summary, asdict(summary)) == []


def test_every_bad_row_is_raised(tmp_path):
    (tmp_path / "s.csv").write_text("id,image_id,prediction_list\n1,a,x\n2,b,y\n")
    with pytest.raises(BadRows) as caught:
        check_submission(tmp_path / "s.csv")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "line 2, id 1, image a",
        "line 3, id 2, image b",
    ]


@pytest.mark.parametrize(
    ("before", "odd"),
    [
        ({}, []),
        ({"boxes": 500}, []),  # twice as many is no jump yet
        ({"boxes": 499}, ["1,000 boxes, the last good submission had 499"]),
        ({"boxes": 2001}, ["1,000 boxes, the last good submission had 2,001"]),
        ({"images_without_boxes": 8}, []),  # 5 of 100 images more
        ({"images_without_boxes": 9}, ["3 images without boxes, the last good submission had 9"]),
        (
            {"boxes_per_class": {"cat": 600}},
            ["400 boxes of class dog, the last good submission had none"],
        ),
        (
            {"boxes_per_class": {"cat": 200, "dog": 400}},
            ["600 boxes of class cat, the last good submission had 200"],
        ),
        (
            {"boxes_per_class": {"bird": 9, "cat": 600, "dog": 400}},
            ["no box of class bird, the last good submission had 9"],
        ),
    ],
)
def test_a_jump_in_boxes_empty_images_or_classes_is_odd(before, odd):
    assert suspicious_changes(SUMMARY, asdict(SUMMARY) | before) == odd


def test_the_last_good_submission_was_scored_and_is_of_the_same_images(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert last_good(ledger, SUMMARY) is None
        for n, (state, changes) in enumerate(
            [
                ("complete", {"boxes": 1}),
                ("complete", {"boxes": 2}),
                ("complete", {"images_sha256": "others"}),
                ("error", {}),
                ("pending", {}),
            ]
        ):
            summary = asdict(SUMMARY) | changes
            ledger.claim(replace(SENT, sha256=str(n), state=state, summary=summary))
        ledger.claim(
            replace(SENT, sha256="now", state="complete", summary=asdict(SUMMARY))
        )  # the file itself
        assert last_good(ledger, SUMMARY)["boxes"] == 2
