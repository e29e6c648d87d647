"""The commands between a table and a number: score, compare, errors, sweep, apply, convert. No torch."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from evaluate.tables import Detections, GroundTruth, InputError
from harness.cli_options import AsJson, CandidatesMax, Data, Images, KeepMax, Split, Truth, bar, say_skipped

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
    ledger: Annotated[Path, Parameter(help="Where scores are kept for the leaderboard.")] = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Score detections exactly as the contest does, and keep the score on the local leaderboard."""
    from harness import scoring

    answers = _truth(data, split, images, truth)
    result = scoring.score(
        detections,
        answers,
        split=split if truth is None else truth.name,
        metric=metric,
        conf=conf,
        iou=iou,
        candidates_max=candidates_max,
        keep_max=keep_max,
    )
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
    conf: Annotated[float | None, Parameter(help="With --iou: apply this cell to both first.")] = None,
    iou: Annotated[float | None, Parameter(help="With --conf: apply this cell to both first.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    as_json: AsJson = False,
) -> None:
    """Whether AFTER is really better than BEFORE: the difference in AP and its interval, by class and in the mean."""
    from harness import scoring

    answers = _truth(data, split, images, truth)
    caps = {"candidates_max": candidates_max, "keep_max": keep_max}
    result = scoring.compare(before, after, answers, metric=metric, conf=conf, iou=iou, **caps)
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
        Literal["voc-area", "voc-11pt", "tidecv"], Parameter(help="tidecv: matching, 101 recalls, 100 boxes as there.")
    ] = "voc-area",
    conf: Annotated[float | None, Parameter(help="With --iou: apply this cell first.")] = None,
    iou: Annotated[float | None, Parameter(help="With --conf: apply this cell first.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    as_json: AsJson = False,
) -> None:
    """What costs AP: localisation, class, both, duplicate, background, missed; in all, by size and by class."""
    from evaluate.errors import TIDECV, VOC, Rule
    from evaluate.errors import errors as run
    from harness import error_text, scoring

    answers = _truth(data, split, images, truth)
    rule = {"voc-area": VOC, "voc-11pt": Rule(recall_points=11), "tidecv": TIDECV}[metric]
    found = run(scoring.read(detections, answers, conf, iou, candidates_max, keep_max), answers, rule=rule)
    result = {"metric": metric, **error_text.as_dict(found)}
    print(json.dumps(result) if as_json else f"{metric}: {error_text.as_text(found)}")


def sweep(
    candidates: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The grid to write (.csv).")],
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Truth = None,
    conf: Annotated[str | None, Parameter(help="Comma-separated confidences.")] = None,
    iou: Annotated[str | None, Parameter(help="Comma-separated IoUs.")] = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
    as_json: AsJson = False,
) -> None:
    """Score every pair of confidence and NMS IoU; the best cell is what `harness apply` takes."""
    from dataclasses import asdict

    from evaluate.sweep import CONFS, IOUS, best, write_csv
    from evaluate.sweep import sweep as run

    cells = run(
        Detections.load(candidates),
        _truth(data, split, images, truth),
        confs=_numbers("--conf", conf) if conf else CONFS,
        ious=_numbers("--iou", iou) if iou else IOUS,
        candidates_max=candidates_max,
        keep_max=keep_max,
        progress=lambda ious: bar(ious, desc="sweep"),
    )
    write_csv(cells, out)
    top = best(cells)
    if as_json:
        print(json.dumps({"best": asdict(top), "cells": [asdict(cell) for cell in cells]}))
    else:
        print(f"{out}: best AP50 {top.map:.4f} at conf {top.conf:g} iou {top.iou:g}, {top.boxes:,} boxes")


def apply(
    candidates: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The table of detections to write (.npz).")],
    sweep: Annotated[Path | None, Parameter(help="Take the best cell of this grid.")] = None,
    conf: float | None = None,
    iou: float | None = None,
    candidates_max: CandidatesMax = 3000,
    keep_max: KeepMax = 3000,
) -> None:
    """NMS and confidence threshold: candidates become detections."""
    from evaluate.sweep import apply as run
    from evaluate.sweep import best, read_csv

    if sweep is not None:
        cell = best(read_csv(sweep))
        conf, iou = cell.conf, cell.iou
    if conf is None or iou is None:
        raise InputError("apply: want --sweep sweep.csv, or --conf and --iou")
    kept = run(Detections.load(candidates), conf, iou, candidates_max=candidates_max, keep_max=keep_max)
    kept.save(out)
    print(f"{out}: {len(kept):,} detections on {len(kept.image_ids):,} images at conf {conf:g} iou {iou:g}")


def convert(
    source: Annotated[Path, Parameter(help="Table, submission, COCO .json, folder of text files, or the word truth.")],
    target: Annotated[Path, Parameter(help="File or new folder to write; the suffix says the format.")],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Annotated[Path | None, Parameter(help="In place of DATA: COCO JSON, list file or .npz table.")] = None,
    to: Annotated[
        Literal["npz", "coco", "csv", "submission", "devkit", "yolo"] | None,
        Parameter(name="--format", help="Of TARGET; folders (devkit, yolo) and submissions need it."),
    ] = None,
) -> None:
    """Detections, or the truth of DATA, from and to the files of other tools: COCO, VOC devkit, YOLO, pandas."""
    from evaluate.interop import InteropError
    from harness.convert import known_from, read, write

    try:
        known = known_from(data, split, images=images, truth=truth, annotated=str(source) == "truth")
        table = known.truth if known and known.truth and str(source) == "truth" else read(source, known)
        write(table, target, known, format=to, split=split)
    except InteropError as error:
        print("\n".join(error.problems), file=sys.stderr)
        raise InputError(f"{source}: bad rows, {len(error.problems)} listed above; nothing was written") from None
    print(f"{target}: {len(table):,} boxes on {len(table.image_ids):,} images")


def _truth(data: Path | None, split: str, images: Path | None, truth: Path | None) -> GroundTruth:
    if (data is None) == (truth is None):
        raise InputError("want either --data DATA --split SPLIT or --truth LIST.txt|X.npz")
    if truth is not None and truth.suffix == ".npz":
        return GroundTruth.load(truth)
    from harness.data.dataset import load_split, load_truth

    if truth is not None:
        return load_truth(truth)
    assert data is not None
    dataset = load_split(data, split, images=images)
    say_skipped(dataset)
    return dataset.truth


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"{flag} {text}: want numbers with commas between them, such as 0.01,0.05") from None
