"""The commands between a table and a number: score, compare, errors. No torch."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from harness.cli.options import (
    LEDGER,
    READING,
    TRUTH,
    AsJson,
    LedgerPath,
    ReadingOption,
    TruthOption,
)

TableFile = Annotated[Path, Parameter(help="A table (.npz) or a submission (.csv).")]


def score_command(
    detections: TableFile,
    /,
    *,
    source: TruthOption = TRUTH,
    metric: Literal["voc-area", "voc-11pt", "coco"] = "voc-area",
    reading: ReadingOption = READING,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Score detections exactly as the contest does, and keep the score on the local leaderboard."""
    from harness import scoring

    truth = source.load()
    result = scoring.score_file(
        detections, truth, reading.reader(source, truth), split=source.name, metric=metric
    )
    scoring.record_score(result, detections, truth, ledger=ledger)
    print(json.dumps(result) if as_json else scoring.score_text(result))


def compare_command(
    before: TableFile,
    after: Annotated[Path, Parameter(help="Another, over the same images.")],
    /,
    *,
    source: TruthOption = TRUTH,
    metric: Literal["voc-area", "voc-11pt"] = "voc-area",
    reading: ReadingOption = READING,
    as_json: AsJson = False,
) -> None:
    """Whether AFTER is really better than BEFORE: the difference in AP with its interval, for each
    class and for the mean.

    --conf and --iou apply to both files.
    """
    from harness import scoring

    truth = source.load()
    reader = reading.reader(source, truth)
    result = scoring.compare_files(before, after, truth, reader, metric=metric)
    print(json.dumps(result) if as_json else scoring.comparison_text(result))


def errors_command(
    detections: TableFile,
    /,
    *,
    source: TruthOption = TRUTH,
    metric: Annotated[
        Literal["voc-area", "voc-11pt", "tidecv"],
        Parameter(help="tidecv: its matching, 101 recall points, 100 boxes per image."),
    ] = "voc-area",
    reading: ReadingOption = READING,
    confusion_conf: Annotated[
        float | None,
        Parameter(help="Lowest score in the confusion matrix; default: where F1 is highest."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What costs AP, by kind of error, size and class; the best confidence, the classes mixed up,
    and how far scores can be trusted.
    """
    from evaluate.diagnosis.diagnose import diagnose
    from evaluate.diagnosis.verdicts import RULES
    from harness.report.diagnosis_text import diagnosis_in_words, diagnosis_json

    truth = source.load()
    dets = reading.reader(source, truth).read(detections, truth)
    diagnosis = diagnose(dets, truth, rule=RULES[metric], conf=confusion_conf)
    result = {"metric": metric, **diagnosis_json(diagnosis)}
    print(json.dumps(result) if as_json else f"{metric}: {diagnosis_in_words(diagnosis)}")
