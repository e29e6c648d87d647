"""One command, `harness VERB`. A verb parses, makes one library call and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0 done; 1 the job failed; 2 wrong usage or wrong
input. Imports stand inside the verbs, so that scoring and submitting start without torch.
"""

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from evaluate.exceptions import InputError
from harness.cli.data import data_app
from harness.cli.fuse import fuse
from harness.cli.options import Images, Split, say_skipped
from harness.cli.predict import export, predict
from harness.cli.score import compare, convert, errors, score
from harness.cli.submit import check, csv, leaderboard, poll, submit
from harness.cli.sweep import apply, sweep
from harness.cli.video import video
from harness.cli.weights import weights_app
from harness.errors import JobError

ROOT = Path(__file__).parents[2]

app = App(
    name="harness",
    help="A competition harness for object detection: train, predict, sweep, score, submit.",
    help_format="markdown",
    version_flags=[],
    default_parameter=Parameter(negative=""),
)
app.command(data_app)
app.command(weights_app)
for verb in (predict, export, video, score, compare, errors, sweep, apply, fuse, convert):
    app.command(verb)
for last in (csv, check, submit, poll, leaderboard):
    app.command(last)


@app.command
def train(
    recipe: Annotated[str, Parameter(help="A shipped recipe, such as v5l, or a .toml file.")],
    /,
    *overrides: Annotated[str, Parameter(help="key=value for any key of the recipe.")],
    data: Annotated[
        Path, Parameter(help="VOC devkit folder, COCO JSON, YOLO data.yaml, or list file(s).")
    ],
    out: Annotated[Path, Parameter(help="Run folder to write.")],
    images: Images = None,
    train_split: Split = "train",
    val_split: Split = "val",
    resume: Annotated[bool, Parameter(help="Go on with the run in OUT, if there is one.")] = False,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Train a detector; leaves OUT/best.pt, the weights with the best AP50 on the validation split."""
    from harness.data.dataset import load_split
    from harness.recipe import load_recipe
    from harness.training import train as training

    settings = load_recipe(recipe, overrides)
    train_set, val_set = (
        load_split(data, split, images=images) for split in (train_split, val_split)
    )
    for dataset in (train_set, val_set):
        say_skipped(dataset)
    best = training.train(settings, train_set, val_set, out, device=device, resume=resume)
    print(f"{out / 'best.pt'}: AP50 {best:.4f} on {val_split}")


@app.command
def report(
    run: Path, /, *, out: Annotated[Path | None, Parameter(help="Default: RUN/report.html.")] = None
) -> None:
    """One page about a run: score, curves, sweep, and its detections on real photos and in its video."""
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
    except (
        CycloptsError,
        InputError,
        FileNotFoundError,
        NotADirectoryError,
        IsADirectoryError,
    ) as error:
        return _failed(error, 2, debug)
    except (JobError, OSError) as error:
        return _failed(error, 1, debug)
    return 0


def _failed(error: Exception, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    told = (
        f"{error.filename}: {error.strerror}"
        if isinstance(error, OSError) and error.filename
        else str(error)
    )
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
