"""The commands between a table and a number: score, compare, errors, convert. No torch."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.tables import GroundTruth
from harness.cli.options import (
    AsJson,
    CandidatesMax,
    Data,
    Images,
    KeepMax,
    ProfileName,
    Split,
    Truth,
    load_answers,
)
from submit.csv.profile import DEFAULT, Profile, load_profile

if TYPE_CHECKING:
    from evaluate.exchange.box_txt import Size

LEDGER = Path(os.environ.get("HARNESS_LEDGER", "runs/ledger.sqlite"))


def score(
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
    ledger: Annotated[Path, Parameter(help="Where scores are kept for the leaderboard.")] = LEDGER,
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


def compare(
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


def errors(
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
    result = {"metric": metric, **diagnosis_text.as_dict(found)}
    print(json.dumps(result) if as_json else f"{metric}: {diagnosis_text.as_text(found)}")


def convert(
    source: Annotated[
        Path,
        Parameter(help="Table, submission, COCO .json, folder of text files, or the word truth."),
    ],
    target: Annotated[
        Path, Parameter(help="File or new folder to write; the suffix says the format.")
    ],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Annotated[
        Path | None, Parameter(help="In place of DATA: COCO JSON, list file or .npz table.")
    ] = None,
    to: Annotated[
        Literal["npz", "coco", "csv", "submission", "devkit", "yolo"] | None,
        Parameter(
            name="--format", help="Of TARGET; folders (devkit, yolo) and submissions need it."
        ),
    ] = None,
    profile: Annotated[
        str | None, Parameter(help="Format of a submission: a name, or a profile file (.toml).")
    ] = None,
) -> None:
    """Detections, or the truth of DATA, from and to the files of other tools: COCO, VOC devkit, YOLO, pandas."""
    from evaluate.exceptions import InteropError
    from harness.convert import known_from, read, write

    try:
        known = known_from(
            data, split, images=images, truth=truth, annotated=str(source) == "truth"
        )
        form = load_profile(profile) if profile else None
        table = (
            known.truth
            if known and known.truth and str(source) == "truth"
            else read(source, known, profile=form)
        )
        write(table, target, known, format=to, profile=form, split=split)
    except InteropError as error:
        print("\n".join(error.problems), file=sys.stderr)
        raise InputError(
            f"{source}: bad rows, {len(error.problems)} listed above; nothing was written"
        ) from None
    print(f"{target}: {len(table):,} boxes on {len(table.image_ids):,} images")


def _format(
    profile: str, data: Path | None, split: str, images: Path | None, answers: GroundTruth
) -> tuple[Profile, "list[Size] | None"]:
    """The profile of a submission, and the photos' sizes where its boxes are shares of them."""
    form = load_profile(profile)
    if form.unit != "shares" or data is None:
        return form, None
    from harness.convert import known_from, sizes_for

    return form, sizes_for(form, known_from(data, split, images=images), answers.image_ids)
