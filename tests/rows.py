"""A score and a submission to make others from."""

from submit.ledger import ScoreRow, SubmissionRow

ROW = ScoreRow(
    name="v5l",
    split="val",
    metric="voc-area",
    map=0.7487,
    interval=(0.72, 0.77),
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
SENT = SubmissionRow(
    competition="voc",
    path="runs/v5l/submission.csv",
    file_name="submission.csv",
    sha256="s" * 64,
    bytes=1000,
    message="first [ssssssssssss]",
    summary={"rows": 4950},
    time="2030-01-02T03:04:05+00:00",
)
