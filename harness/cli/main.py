"""One command, `harness VERB`. A verb parses its options, makes one library call and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0, done; 1, the job failed; 2,
wrong usage or wrong input (evaluate/exceptions.py says which exception is which).

Each file beside this one holds a group of verbs and is imported when one of them runs. What is slow
to import (torch, OpenCV, Matplotlib, PyAV) they import inside their functions, so that `harness
--help`, scoring and submitting start without it.
"""

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

from evaluate.exceptions import InputError, JobError

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

# Each verb, where it is defined. A verb's file is imported when the verb runs, so that nobody waits
# for another verb's packages; only `harness --help` imports all of them, for their first lines.
VERBS = {
    "data": "harness.cli.data:data_app",
    "weights": "harness.cli.weights:weights_app",
    "train": "harness.cli.train:train_command",
    "predict": "harness.cli.predict:predict_command",
    "export": "harness.cli.predict:export_command",
    "video": "harness.cli.video:video_command",
    "sweep": "harness.cli.sweep:sweep_command",
    "apply": "harness.cli.sweep:apply_command",
    "fuse": "harness.cli.fuse:fuse_command",
    "score": "harness.cli.score:score_command",
    "compare": "harness.cli.score:compare_command",
    "errors": "harness.cli.score:errors_command",
    "convert": "harness.cli.convert:convert_command",
    "csv": "harness.cli.submit:csv_command",
    "check": "harness.cli.submit:check_command",
    "submit": "harness.cli.submit:submit_command",
    "poll": "harness.cli.submit:poll_command",
    "leaderboard": "harness.cli.report:leaderboard_command",
    "report": "harness.cli.report:report_command",
}
for verb, place in VERBS.items():
    app.command(place, name=verb)


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
        if not words or words[0] not in VERBS:
            for verb in VERBS:
                app[verb]  # imports it: the list of verbs shows the first line of each
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
