"""The commands between a table and a number: score, compare, errors. No torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from evaluate.tables import GroundTruth
from harness.cli.options import (
    LEDGER,
    AsJson,
    CandidatesMax,
    Data,
    Images,
    KeepMax,
    LedgerPath,
    ProfileName,
    Split,
    Truth,
    load_answers,
)
from submit.csv.profile import DEFAULT, Profile, load_profile

if TYPE_CHECKING:
    from evaluate.exchange.box_txt import Size


def score_command(
    detections: Annotated[Path, Parameter(help="A table (.npz) or a submission (.csv).")],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Truth = None,
    metric: Literal["voc-area", "voc-11pt", "coco"] = "voc-area",
    conf: Annotated[float | None, Parameter(help="With --iou: apply this cell first.")] = None,
    iou: Annotated[float | None, Parameter(help="With --conf: apply this cell first.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    profile: ProfileName = DEFAULT,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Score detections exactly as the contest does, and keep the score on the local leaderboard."""
    from harness import scoring

    answers = load_answers(data, split, images, truth)
    reading = scoring.Reading(
        conf, iou, candidates_max, keep_max, *_format(profile, data, split, images, answers)
    )
    name = split if truth is None else truth.name
    result = scoring.score(detections, answers, reading, split=name, metric=metric)
    scoring.record(result, detections, answers, ledger=ledger)
    print(json.dumps(result) if as_json else scoring.as_text(result))


def compare_command(
    before: Annotated[Path, Parameter(help="A table (.npz) or a submission (.csv).")],
    after: Annotated[Path, Parameter(help="Another, over the same images.")],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Truth = None,
    metric: Literal["voc-area", "voc-11pt"] = "voc-area",
    conf: Annotated[
        float | None, Parameter(help="With --iou: apply this cell to both first.")
    ] = None,
    iou: Annotated[
        float | None, Parameter(help="With --conf: apply this cell to both first.")
    ] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    profile: ProfileName = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Whether AFTER is really better than BEFORE: the difference in AP and its interval, by class and in the mean."""
    from harness import scoring

    answers = load_answers(data, split, images, truth)
    reading = scoring.Reading(
        conf, iou, candidates_max, keep_max, *_format(profile, data, split, images, answers)
    )
    result = scoring.compare(before, after, answers, reading, metric=metric)
    print(json.dumps(result) if as_json else scoring.comparison_text(result))


def errors_command(
    detections: Annotated[Path, Parameter(help="A table (.npz) or a submission (.csv).")],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Truth = None,
    metric: Annotated[
        Literal["voc-area", "voc-11pt", "tidecv"],
        Parameter(help="tidecv: matching, 101 recalls, 100 boxes as there."),
    ] = "voc-area",
    conf: Annotated[float | None, Parameter(help="With --iou: apply this cell first.")] = None,
    iou: Annotated[float | None, Parameter(help="With --conf: apply this cell first.")] = None,
    confusion_conf: Annotated[
        float | None, Parameter(help="Lowest score in the confusion; else of best F1.")
    ] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    profile: ProfileName = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What costs AP, by kind, size and class; the best confidence, the classes mixed up, and what scores are worth."""
    from evaluate.diagnosis.diagnose import diagnose
    from evaluate.diagnosis.verdicts import RULES
    from harness import scoring
    from harness.report import diagnosis_text

    answers = load_answers(data, split, images, truth)
    reading = scoring.Reading(
        conf, iou, candidates_max, keep_max, *_format(profile, data, split, images, answers)
    )
    dets = scoring.read(detections, answers, reading)
    found = diagnose(dets, answers, rule=RULES[metric], conf=confusion_conf)
    result = {"metric": metric, **diagnosis_text.diagnosis_json(found)}
    print(
        json.dumps(result) if as_json else f"{metric}: {diagnosis_text.diagnosis_in_words(found)}"
    )


def _format(
    profile: str, data: Path | None, split: str, images: Path | None, answers: GroundTruth
) -> tuple[Profile, "list[Size] | None"]:
    """The profile of a submission, and the photos' sizes where its boxes are shares of them."""
    form = load_profile(profile)
    if form.unit != "shares" or data is None:
        return form, None
    from harness.convert import known_from, sizes_for

    return form, sizes_for(form, known_from(data, split, images=images), answers.image_ids)
