"""One command, `harness VERB`. A verb parses, makes one library call and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0 done; 1 the job failed; 2 wrong usage or wrong
input. Imports stand inside the verbs, so that scoring and submitting start without torch.
"""

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from evaluate.tables import Detections, GroundTruth, InputError
from harness.cli_data import data_app
from harness.cli_options import AsJson, CandidatesMax, Data, Images, KeepMax, Split, Truth, bar
from harness.cli_weights import weights_app
from harness.errors import JobError

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

ROOT = Path(__file__).parents[1]
LEDGER = Path(os.environ.get("HARNESS_LEDGER", "runs/ledger.sqlite"))

app = App(
    name="harness",
    help="A competition harness for object detection: train, predict, sweep, score, submit.",
    help_format="plaintext",
    version_flags=[],
    default_parameter=Parameter(negative=""),
)
app.command(data_app)
app.command(weights_app)


@app.command
def train(
    recipe: Annotated[str, Parameter(help="A shipped recipe, such as v5l, or a .toml file.")],
    /,
    *overrides: Annotated[str, Parameter(help="key=value for any key of the recipe.")],
    data: Annotated[Path, Parameter(help="VOC devkit folder, COCO JSON, YOLO data.yaml, or list file(s).")],
    out: Annotated[Path, Parameter(help="Run folder to write.")],
    images: Images = None,
    train_split: Split = "train",
    val_split: Split = "val",
    resume: Annotated[bool, Parameter(help="Go on with the run in OUT, if there is one.")] = False,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Train a detector; leaves OUT/best.pt, the weights with the best AP50 on the validation split."""
    from harness import train as training
    from harness.config import load_recipe
    from harness.data.dataset import load_split

    settings = load_recipe(recipe, overrides)
    train_set, val_set = (load_split(data, split, images=images) for split in (train_split, val_split))
    for dataset in (train_set, val_set):
        _say_skipped(dataset)
    best = training.train(settings, train_set, val_set, out, device=device, resume=resume)
    print(f"{out / 'best.pt'}: AP50 {best:.4f} on {val_split}")


@app.command
def predict(
    weights: Annotated[str, Parameter(help="Run folder, weight file, or a name of `harness weights list`.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Table of candidates to write (.npz).")],
    data: Data = None,
    split: Split = "val",
    images: Annotated[
        list[Path] | None,
        Parameter(help="Photos or folders to look at; with --data, the folder of its photos.", consume_multiple=True),
    ] = None,
    size: Annotated[int | None, Parameter(help="Long side in pixels; default: as trained.")] = None,
    batch: int = 8,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[
        Literal["float32", "bfloat16"], Parameter(help="Of the trunk; boxes and scores are float32 always.")
    ] = "float32",
    conf_min: Annotated[float, Parameter(help="Keep scores of at least this.")] = 0.001,
    candidates_max: Annotated[int, Parameter(help="Keep this many boxes an image, best first.")] = 3000,
) -> None:
    """Run a detector over photos; writes its candidates before NMS."""
    from harness import checkpoint
    from harness.data.dataset import find_photos, load_photos, open_source
    from harness.photos import Photos
    from harness.predict import pick_device, pick_precision
    from harness.predict import predict as run
    from harness.weights_catalogue import resolve

    if data is not None:
        image_ids, paths = load_photos(data, split, images=images[0] if images else None)
        classes = open_source(data, images[0] if images else None).classes()
    elif images:
        (image_ids, paths), classes = find_photos(images), None
    else:
        raise InputError("predict: want --data DATA --split SPLIT, or --images")
    model, recipe = checkpoint.load_detector(resolve(weights))
    on = pick_device(device)
    with bar(None, desc="predict", total=len(paths), unit="photo") as shown:
        found = run(
            model.to(on),
            Photos(paths, cache_bytes=0),
            image_ids,
            classes=classes,
            size=size or recipe.size,
            batch=batch,
            conf_min=conf_min,
            candidates_max=candidates_max,
            precision=pick_precision(precision, on),
            done=shown.update,
        )
    found.save(out)
    print(f"{out}: {len(found):,} candidates on {len(image_ids):,} images")


@app.command
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


@app.command
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


@app.command
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


@app.command
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


@app.command
def csv(
    detections: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The submission to write (.csv).")],
    sample: Annotated[Path | None, Parameter(help="sample_submission.csv: header, ids and their order.")] = None,
) -> None:
    """Write the competition's CSV: one row an image, its boxes in one cell."""
    from submit.formats import write

    table = Detections.load(detections)
    write(table, out, sample=sample)
    print(f"{out}: {len(table):,} boxes on {len(table.image_ids):,} images")


@app.command(name="check")
def check_csv(
    submission: Path,
    /,
    *,
    sample: Annotated[Path | None, Parameter(help="sample_submission.csv to agree with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a submission the way the grader does; lists every bad row at once."""
    from dataclasses import asdict

    from submit.check import check as run
    from submit.formats import SubmissionError

    try:
        summary = run(submission, sample=sample)
    except SubmissionError as error:
        print("\n".join(error.problems))
        raise
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        print(
            f"{submission}: fine; {summary.rows:,} images, {summary.boxes:,} boxes, {summary.boxes_mean:.1f} an image "
            f"(at most {summary.boxes_max:,}), {summary.images_without_boxes:,} without, {summary.bytes:,} bytes"
        )


@app.command
def leaderboard(
    *,
    html: Annotated[Path | None, Parameter(help="Also write the page.")] = None,
    ledger: Annotated[Path, Parameter(help="Where scores are kept.")] = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Every scored run, best first."""
    from dataclasses import asdict

    from harness.report.leaderboard import board_text, write_board
    from submit.ledger import Ledger

    with Ledger(ledger) as book:
        rows = book.rows()
    if html is not None:
        write_board(rows, html)
    print(json.dumps([asdict(row) for row in rows]) if as_json else board_text(rows))


@app.command
def report(run: Path, /, *, out: Annotated[Path | None, Parameter(help="Default: RUN/report.html.")] = None) -> None:
    """One page about a run: score, curves, sweep, and its detections on real photos."""
    from harness.report.page import write_report

    page = out or run / "report.html"
    headline = write_report(run, page)
    told = f"{headline.metric} {headline.value:.4f} on {headline.on}. " if headline else ""
    print(f"{told}Open {page} in a browser.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. -> its exit status; errors are one line on stderr, or a traceback with --debug."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        _refuse_shadows()
        app(words, exit_on_error=False, print_error=False, result_action="return_none")
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130
    except (CycloptsError, InputError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        return _failed(error, 2, debug)
    except (JobError, OSError) as error:
        return _failed(error, 1, debug)
    return 0


def _failed(error: Exception, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    print(f"harness: {told}", file=sys.stderr)
    return status


def _refuse_shadows() -> None:
    """Other projects have packages named models or evaluate too; importing theirs would fail far from the cause."""
    for name in ("models", "evaluate", "submit"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).parent != ROOT / name:
            raise InputError(
                f"{name}: want {ROOT / name}, but Python finds {spec and spec.origin}; use .venv/bin/harness"
            )


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
    _say_skipped(dataset)
    return dataset.truth


def _say_skipped(dataset: "Dataset") -> None:
    if dataset.skipped:
        first = dataset.skipped[0]
        print(f"{dataset.split}: {len(dataset.skipped)} degenerate boxes left out, such as {first}", file=sys.stderr)


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"{flag} {text}: want numbers with commas between them, such as 0.01,0.05") from None
