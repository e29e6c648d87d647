"""From a table to the board: csv, check, submit, poll, leaderboard. No torch."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from evaluate.exceptions import BadRows, JobError
from evaluate.tables import Detections
from harness.cli.options import LEDGER, AsJson, Data, Images, LedgerPath, ProfileName, Split
from submit.csv.profile import DEFAULT, load_profile

if TYPE_CHECKING:
    from submit.csv.check import Summary
    from submit.ledger import SubmissionRow

Sample = Annotated[
    Path | None, Parameter(help="sample_submission.csv: header, ids and their order.")
]
Slug = Annotated[
    str, Parameter(name="--competition", help="The last part of the competition's address.")
]


def csv_command(
    detections: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The submission to write (.csv).")],
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    data: Data = None,
    split: Split = "test",
    images: Images = None,
) -> None:
    """Write the competition's CSV: one row an image, its boxes in one cell. DATA is for boxes as shares of photos."""
    from submit.csv.formats import write

    form, table, sizes = load_profile(profile), Detections.load(detections), None
    if data is not None:
        from harness.convert import known_from, sizes_for

        sizes = sizes_for(form, known_from(data, split, images=images), table.image_ids)
    write(table, out, profile=form, sample=sample, sizes=sizes)
    print(f"{out}: {len(table):,} boxes on {len(table.image_ids):,} images")


def check_command(
    submission: Path,
    /,
    *,
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Read a submission the way the grader does; lists every bad row, and what is odd beside the last good one."""
    summary, odd = _checked(submission, profile, sample, ledger)
    if as_json:
        print(json.dumps(asdict(summary) | {"warnings": odd}))
    else:
        print(
            "\n".join(
                [f"{submission}: fine; {summary.text()}", *(f"warning: {line}" for line in odd)]
            )
        )


def submit_command(
    submission: Path,
    /,
    *,
    competition: Slug,
    message: Annotated[str, Parameter(help="Description of the submission.")],
    min_gain: Annotated[
        float, Parameter(help="How much more than the best submitted the local score must be.")
    ] = 0.0,
    force: Annotated[bool, Parameter(help="Whatever the local score is, or without one.")] = False,
    reserve: Annotated[int, Parameter(help="Submissions of today to keep.")] = 0,
    dry_run: Annotated[bool, Parameter(help="Do everything but the upload.")] = False,
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Check a CSV, ask Kaggle whether it would count, send it once and wait for its score."""
    from submit.kaggle.client import Kaggle
    from submit.kaggle.poll import poll
    from submit.kaggle.submission import submit as run
    from submit.ledger import Ledger

    summary, odd = _checked(submission, profile, sample, ledger)
    print(
        "\n".join([f"{submission}: {summary.text()}", *(f"warning: {line}" for line in odd)]),
        file=sys.stderr,
    )
    with Ledger(ledger) as book, Kaggle() as kaggle:
        row = run(
            submission,
            summary,
            competition,
            message,
            book,
            kaggle,
            min_gain=min_gain,
            force=force,
            reserve=reserve,
            dry_run=dry_run,
        )
        if row.id is not None:
            _tell(row)
            print("waiting for the score; may be cut off, `harness poll` goes on", file=sys.stderr)
            [row] = poll(book, kaggle, [row.id], told=_tell)
    print(json.dumps(asdict(row)) if as_json else _told(row))
    if row.state in ("error", "failed"):
        raise JobError(f"{submission}: {row.error}")


def poll_command(*, ledger: LedgerPath = LEDGER, as_json: AsJson = False) -> None:
    """Go on waiting for the scores of submissions, and find out about those that were cut off."""
    from submit.kaggle.client import Kaggle
    from submit.kaggle.poll import poll as run
    from submit.kaggle.poll import unsettled
    from submit.ledger import Ledger

    with Ledger(ledger) as book, Kaggle() as kaggle:
        rows = run(book, kaggle, unsettled(book), told=_tell)
    if as_json:
        print(json.dumps({"submissions": [asdict(row) for row in rows]}))
    else:
        print("\n".join(map(_told, rows)) or "no submission is waiting")


def _checked(
    submission: Path, profile: str, sample: Path | None, ledger: Path
) -> tuple["Summary", list[str]]:
    """The summary of a good file and its warnings. Prints every bad row of another, then raises BadRows."""
    from submit.csv import check
    from submit.ledger import Ledger

    try:
        summary = check.check(submission, profile=load_profile(profile), sample=sample)
    except BadRows as error:
        print("\n".join(error.problems))
        raise
    if not ledger.exists():
        return summary, []
    with Ledger(ledger) as book:
        before = check.last_good(book, summary)
    return summary, check.warnings(summary, before) if before else []


def _tell(row: "SubmissionRow") -> None:
    print(_told(row), file=sys.stderr)


def _told(row: "SubmissionRow") -> str:
    """What there is to know about a submission, in a line."""
    scores = "".join(
        f", {name} {score:g}"
        for name, score in (("public", row.public), ("private", row.private))
        if score is not None
    )
    state = "would be sent" if row.id is None else row.state
    ref = f", ref {row.ref}" if row.ref else ""
    return f"{row.path} to {row.competition}: {state}{ref}{scores}{f'; {row.error}' if row.error else ''}"
