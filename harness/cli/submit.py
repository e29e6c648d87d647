"""From a table to a counted submission: csv, check, submit, poll. No torch.

What only sending takes (a database, child processes) is imported where a file is sent.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from evaluate.exceptions import BadRows, JobError
from harness.cli.options import LEDGER, AsJson, Data, Images, LedgerPath, ProfileName, Split
from submit.csv.profile import DEFAULT, load_profile
from submit.kaggle.send_rules import DEFAULT_RULES, SendRules

if TYPE_CHECKING:
    from submit.csv.check import SubmissionSummary
    from submit.ledger import SubmissionRow

SubmissionFile = Annotated[Path, Parameter(help="The submission (.csv).")]
Sample = Annotated[
    Path | None, Parameter(help="sample_submission.csv: header, ids and their order.")
]
Slug = Annotated[
    str, Parameter(name="--competition", help="The last part of the competition's address.")
]


def csv_command(
    detections: Annotated[Path, Parameter(help="A table (.npz).")],
    /,
    *,
    out: Annotated[Path, Parameter(help="The submission to write (.csv).")],
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    data: Data = None,
    split: Split = "test",
    images: Images = None,
) -> None:
    """Write the competition's CSV: one row per image, its boxes in one cell.

    DATA gives the photos' sizes, for profiles whose boxes are in normalized coordinates.
    """
    from evaluate.tables import Detections
    from submit.csv.formats import write_submission

    form, table, sizes = load_profile(profile), Detections.load(detections), None
    if data is not None:
        from harness.convert import find_vocabulary, sizes_for

        sizes = sizes_for(form, find_vocabulary(data, split, images=images), table.image_ids)
    write_submission(table, out, profile=form, sample=sample, sizes=sizes)
    print(f"{out}: {len(table):,} boxes on {len(table.image_ids):,} images")


def check_command(
    submission: SubmissionFile,
    /,
    *,
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Read a submission as the grader does. Lists every bad row, and what looks odd beside the last
    submission that was scored.
    """
    summary, warnings = _check(submission, profile, sample, ledger)
    if as_json:
        print(json.dumps(asdict(summary) | {"warnings": warnings}))
    else:
        print(_summary_text(f"{submission}: fine; {summary.text()}", warnings))


def submit_command(
    submission: SubmissionFile,
    /,
    *,
    competition: Slug,
    message: Annotated[str, Parameter(help="Description of the submission.")],
    rules: Annotated[SendRules, Parameter(name="*")] = DEFAULT_RULES,
    profile: ProfileName = DEFAULT,
    sample: Sample = None,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Check a CSV, ask Kaggle whether it would count, send it once and wait for its score."""
    from submit.kaggle.client import Kaggle
    from submit.kaggle.submission import submit_and_wait
    from submit.ledger import Ledger

    summary, warnings = _check(submission, profile, sample, ledger)
    print(_summary_text(f"{submission}: {summary.text()}", warnings), file=sys.stderr)
    with Ledger(ledger) as book, Kaggle() as kaggle:
        row = submit_and_wait(
            submission,
            summary,
            competition,
            message,
            book,
            kaggle,
            rules,
            sent=_print_sent,
            changed=_print_change,
        )
    print(json.dumps(asdict(row)) if as_json else _row_text(row))
    if row.state in ("error", "failed"):
        raise JobError(f"{submission}: {row.error}")


def poll_command(*, ledger: LedgerPath = LEDGER, as_json: AsJson = False) -> None:
    """Go on waiting for scores, and find out what became of submissions that were cut off."""
    from submit.kaggle.client import Kaggle
    from submit.kaggle.poll import open_submissions, poll
    from submit.ledger import Ledger

    with Ledger(ledger) as book, Kaggle() as kaggle:
        rows = poll(book, kaggle, open_submissions(book), changed=_print_change)
    if as_json:
        print(json.dumps({"submissions": [asdict(row) for row in rows]}))
    else:
        print("\n".join(map(_row_text, rows)) or "no submission is waiting")


def _check(
    submission: Path, profile: str, sample: Path | None, ledger: Path
) -> tuple["SubmissionSummary", list[str]]:
    """The summary of a good file, and its warnings.

    Of a bad file it prints every bad row to stdout, then raises BadRows.
    """
    from submit.csv.check import check_submission, last_good, suspicious_changes
    from submit.ledger import Ledger

    try:
        summary = check_submission(submission, profile=load_profile(profile), sample=sample)
    except BadRows as error:
        print("\n".join(error.problems))
        raise
    if not ledger.exists():
        return summary, []
    with Ledger(ledger) as book:
        before = last_good(book, summary)
    return summary, suspicious_changes(summary, before) if before else []


def _summary_text(heading: str, warnings: list[str]) -> str:
    return "\n".join([heading, *(f"warning: {line}" for line in warnings)])


def _print_sent(row: "SubmissionRow") -> None:
    _print_change(row)
    print("waiting for the score; may be cut off, `harness poll` goes on", file=sys.stderr)


def _print_change(row: "SubmissionRow") -> None:
    print(_row_text(row), file=sys.stderr)


def _row_text(row: "SubmissionRow") -> str:
    """What the ledger knows about a submission, in one line."""
    state = "would be sent" if row.id is None else row.state
    ref = f", ref {row.ref}" if row.ref else ""
    scores = "".join(
        f", {name} {score:g}"
        for name, score in (("public", row.public), ("private", row.private))
        if score is not None
    )
    error = f"; {row.error}" if row.error else ""
    return f"{row.path} to {row.competition}: {state}{ref}{scores}{error}"
