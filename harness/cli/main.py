"""One command, `harness VERB`. A verb parses its options, makes one library call and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0, done; 1, the job failed; 2,
wrong usage or wrong input (evaluate/exceptions.py says which exception is which).

Each file beside this one holds a group of verbs. They import what they call inside their functions,
so that `harness --help`, scoring and submitting start without torch.
"""

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

from evaluate.exceptions import InputError, JobError
from harness.cli.convert import convert_command
from harness.cli.data import data_app
from harness.cli.fuse import fuse_command
from harness.cli.predict import export_command, predict_command
from harness.cli.report import leaderboard_command, report_command
from harness.cli.score import compare_command, errors_command, score_command
from harness.cli.submit import check_command, csv_command, poll_command, submit_command
from harness.cli.sweep import apply_command, sweep_command
from harness.cli.train import train_command
from harness.cli.video import video_command
from harness.cli.weights import weights_app

ROOT = Path(__file__).parents[2]
WRONG_INPUT = (  # exit status 2
    *(CycloptsError, InputError),
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
)

app = App(
    name="harness",
    help="A competition harness for object detection: train, predict, sweep, score, submit.",
    help_format="markdown",
    version_flags=[],
    default_parameter=Parameter(negative=""),
)
# In the order of the flow, which is how the files beside this one are read too; help sorts them.
app.command(data_app)
app.command(weights_app)
app.command(train_command, name="train")
app.command(predict_command, name="predict")
app.command(export_command, name="export")
app.command(video_command, name="video")
app.command(sweep_command, name="sweep")
app.command(apply_command, name="apply")
app.command(fuse_command, name="fuse")
app.command(score_command, name="score")
app.command(compare_command, name="compare")
app.command(errors_command, name="errors")
app.command(convert_command, name="convert")
app.command(csv_command, name="csv")
app.command(check_command, name="check")
app.command(submit_command, name="submit")
app.command(poll_command, name="poll")
app.command(leaderboard_command, name="leaderboard")
app.command(report_command, name="report")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. -> its exit status.

    An error is one line on stderr; with --debug, which any command takes, the traceback comes
    first.
    """
    # --debug belongs to no verb and may stand anywhere, so it is taken out before the parser.
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        _refuse_shadows()
        app(words, exit_on_error=False, print_error=False, result_action="return_none")
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        # Python flushes stdout once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130
    except WRONG_INPUT as error:
        return _fail(error, 2, debug)
    except (JobError, OSError) as error:
        return _fail(error, 1, debug)
    return 0


def _fail(error: Exception, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    message = str(error)
    if isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    print(f"harness: {message}", file=sys.stderr)
    return status


def _refuse_shadows() -> None:
    """Raise InputError when another project's package stands in for one of ours.

    `models` and `evaluate` are names that others use too; importing theirs would fail far from the
    cause.
    """
    for name in ("models", "evaluate", "submit"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).parent != ROOT / name:
            raise InputError(
                f"{name}: want {ROOT / name}, but Python finds {spec and spec.origin}; "
                "use .venv/bin/harness"
            )
