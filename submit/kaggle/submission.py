"""From a CSV to a submission, without wasting one of the few that a day allows.

Two things must never happen: a file is sent twice, or a submission is lost sight of. But a program
may be killed at any moment, and a reply may get lost after the request was carried out. So the
ledger says what is about to be done before it is done, as a row that is in one of these states:

              harness submit              |                harness poll
                                          |
    (no row) <-- 2 release --+            |
       |                     |            |
       +--- 1 claim ----> sending         |
                             |            |
                             +-- 3 reference --> pending --- scored ------------> complete
                             |            |         +------- cannot be scored --> error
                             |            |
                             +-- 3 no clear reply --> lost -- listed by Kaggle --> pending
                             |            |             +----- not for 30 min ----> failed
                             |            |
                             +-- 3 surely not taken ------------------------------> failed

The numbers are the steps of `submit` below. A claim is released when Kaggle would not take the
file. `sending`, `lost` and `pending` are open: `harness poll` moves them on
(submit/kaggle/poll.py), and treats a row that is still `sending` like a lost one. Only a `failed`
file may be sent again. Two unique indexes of the ledger (submit/migrations.py) let just one of two
programs claim a file, and let just one file at a time be `sending` to a competition.

Killed between claim and upload:

    12:00  submit writes row 7, `sending`, and the machine loses power before the upload
    12:05  submit, of this file or another: refused, "a file is being sent there since 12:00"
    12:10  poll: Kaggle lists no submission with the file's marker; but the upload may still be
           under way in another process, so the row stays
    12:31  poll: still none, after longer than an upload can take: `failed`, free to be sent again

A lost reply:

    12:00  Kaggle makes submission 501, but the connection drops before it says so: `lost`
    12:05  submit: refused, "may have arrived"
    12:10  poll: the list has 501 with the file's marker (submit/kaggle/marker.py): `pending`,
           ref 501, and from here on like any other. Nothing was sent twice.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluate.exceptions import InputError, KaggleError, Refused
from submit.csv.check import SubmissionSummary
from submit.kaggle.client import Competition, Kaggle
from submit.kaggle.marker import has_marker, marker
from submit.kaggle.poll import poll
from submit.kaggle.send_rules import DEFAULT_RULES, SendRules
from submit.ledger import Ledger, ScoreRow, SubmissionRow, Taken

NOT_SCORED = ("failed", "error")  # states of submissions that no score came of
ROUNDING = 1e-9  # a gain of 0.05 may come out a little less in floating point


def submit_and_wait(
    path: Path,
    summary: SubmissionSummary,
    competition: str,
    message: str,
    ledger: Ledger,
    kaggle: Kaggle,
    rules: SendRules = DEFAULT_RULES,
    *,
    sent: Callable[[SubmissionRow], None] = lambda row: None,
    changed: Callable[[SubmissionRow], None] = lambda row: None,
) -> SubmissionRow:
    """`submit`, then `poll` until the file is scored. -> its row.

    `sent` hears of the row when the file is on its way, `changed` whenever its state changes after
    that.
    """
    row = submit(path, summary, competition, message, ledger, kaggle, rules)
    if row.id is None:  # a dry run
        return row
    sent(row)
    [row] = poll(ledger, kaggle, [row.id], changed=changed)
    return row


def submit(
    path: Path,
    summary: SubmissionSummary,
    competition: str,
    message: str,
    ledger: Ledger,
    kaggle: Kaggle,
    rules: SendRules = DEFAULT_RULES,
) -> SubmissionRow:
    """Send a checked file once. -> its row: `pending`, or `lost` if nobody knows what came of it.

    Raises Refused unless its local score beats the best one submitted (or it is forced), it was
    never sent there before, the competition would take it, and as many submissions would be left
    today as are to be kept. A dry run asks all that and returns the row as it would be written,
    without an id. Raises KaggleError when Kaggle surely took nothing, InputError when the file
    changed since the check.
    """
    own, best = local_scores(ledger, path, summary.sha256, competition)
    row = _new_row(path, summary, competition, message, own)

    # What the ledger alone can tell comes first: it costs no question to Kaggle.
    reasons = [_in_the_way(other) for other in ledger.in_the_way(row)[:1]]
    reasons += [] if rules.force else _no_gain(path, own, best, rules.min_gain)
    if reasons:
        raise Refused(reasons)
    if rules.dry_run:
        _ask_kaggle(row, kaggle, rules.reserve)
        return row

    with _checked_copy(path, summary.sha256) as copy:
        # 1. Claim, before Kaggle is asked: of two programs only one goes on to ask and to send.
        try:
            row_id = ledger.claim(row)
        except Taken as taken:
            raise Refused([_in_the_way(taken.row)]) from None

        # 2. Ask. Nothing was sent so far, so the claim can be taken back.
        try:
            _ask_kaggle(row, kaggle, rules.reserve)
        except BaseException:
            ledger.release(row_id)
            raise

        # 3. Send.
        return _send(row_id, row, copy, ledger, kaggle)


def _new_row(
    path: Path, summary: SubmissionSummary, competition: str, message: str, own: ScoreRow | None
) -> SubmissionRow:
    """What will be written down before anything is sent."""
    return SubmissionRow(
        competition=competition,
        path=str(path),
        file_name=path.name,
        sha256=summary.sha256,
        bytes=summary.bytes,
        message=f"{message} {marker(summary.sha256)}",
        summary=asdict(summary),
        score_id=own.id if own else None,
    )


@contextmanager
def _checked_copy(path: Path, sha256: str) -> Iterator[Path]:
    """A copy that nobody writes to while it is sent: what was checked is what goes up.

    Raises InputError when the file is not the checked one any more.
    """
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(path, Path(folder, path.name)))
        if hashlib.sha256(copy.read_bytes()).hexdigest() != sha256:
            raise InputError(f"{path}: it changed since it was checked; check it again")
        yield copy


def _send(
    row_id: int, row: SubmissionRow, copy: Path, ledger: Ledger, kaggle: Kaggle
) -> SubmissionRow:
    """Upload, and write down how it went. Whatever is not clear is `lost`, Ctrl-C included."""
    try:
        ref = kaggle.send(row.competition, copy, row.message)
    except KaggleError as error:
        if error.nothing_sent:
            ledger.update(row_id, state="failed", error=str(error))
            raise
        return ledger.update(row_id, state="lost", error=str(error))
    except BaseException:  # Ctrl-C may have come after Kaggle took the file
        ledger.update(row_id, state="lost", error="interrupted while sending")
        raise
    if ref <= 0:  # Kaggle said yes without saying which
        return ledger.update(row_id, state="lost", error="Kaggle gave no reference")
    return ledger.update(row_id, state="pending", ref=ref)


def local_scores(
    ledger: Ledger, path: Path, sha256: str, competition: str
) -> tuple[ScoreRow | None, ScoreRow | None]:
    """The file's local score, and the best local score of what was submitted before.

    The truth of the test set is seldom known, so what counts is what the same run reached on
    validation: the file's own score if it has one, else the best of its run folder. Scores compare
    only by one metric on one truth, so a pair that shares both is looked for, best first; without
    one, the best of each.
    """
    scores = ledger.rows()  # best first

    # 1. Candidates for the file's own score.
    own = [score for score in scores if score.detections_sha256 == sha256]
    run = path.resolve().parent.name
    own = own or [score for score in scores if score.name.partition("/")[0] == run]

    # 2. Scores for which something was submitted.
    sent = [row for row in ledger.submissions(competition) if row.state not in NOT_SCORED]
    submitted_ids = {row.score_id for row in sent}
    submitted = [score for score in scores if score.id in submitted_ids]

    # 3. The best pair that compares.
    for score in own:
        for rival in submitted:
            if (rival.truth_sha256, rival.metric) == (score.truth_sha256, score.metric):
                return score, rival
    return (own[0] if own else None), (submitted[0] if submitted else None)


def _no_gain(path: Path, own: ScoreRow | None, best: ScoreRow | None, min_gain: float) -> list[str]:
    """Why the local score is no reason to send the file; [] when it is one."""
    if own is None:
        return [
            f"no local score of {path} or of its run is in the ledger (`harness score`, or --force)"
        ]
    if best is None:
        return []
    if (own.metric, own.truth_sha256) != (best.metric, best.truth_sha256):
        return [
            f"its local score is by {own.metric} on {own.split}, "
            f"the best submitted by {best.metric} on {best.split}"
        ]
    gain = own.map - best.map
    if gain > 0 and gain >= min_gain - ROUNDING:
        return []
    wanted = f", want {min_gain:g} more" if min_gain else ""
    return [
        f"its local score is {own.map:.4f} ({own.name}), "
        f"the best submitted {best.map:.4f} ({best.name}){wanted}"
    ]


def _in_the_way(row: SubmissionRow) -> str:
    """Why this row of the ledger forbids another one."""
    if row.state == "sending":
        return (
            f"a file is being sent there since {row.time}; "
            f"if that was cut off, `harness poll` clears it up"
        )
    if row.state == "lost":
        return (
            f"the same file was sent on {row.time} and may have arrived; `harness poll` finds out"
        )
    return f"the same file was sent on {row.time}, ref {row.ref}, {row.state}"


def _ask_kaggle(row: SubmissionRow, kaggle: Kaggle, reserve: int) -> None:
    """Raises Refused with every reason why the competition would not take the file now."""
    competition, submissions = kaggle.competition(row.competition)
    reasons = _closed(competition, reserve)
    same = [remote for remote in submissions if has_marker(remote, row.sha256)]
    reasons += [
        f"the same file is there already, ref {remote.ref}, {remote.state}" for remote in same[:1]
    ]
    if reasons:
        raise Refused(reasons)


def _closed(competition: Competition, reserve: int) -> list[str]:
    """Why the competition takes no file now, or none but the `reserve`."""
    reasons = []
    if competition.deadline and competition.deadline < datetime.now(UTC):
        reasons.append(f"the deadline was {competition.deadline:%Y-%m-%d %H:%M} UTC")
    if not competition.entered:
        reasons.append("the rules are not accepted: join on the competition's page")
    if competition.code_only:
        reasons.append("the competition takes notebooks only, no files")
    if competition.closed:
        reasons.append("the competition takes no submissions now")
    if competition.allowed <= reserve:
        kept = f", {reserve} to be kept" if reserve else ""
        left = f"{competition.allowed} submission{'' if competition.allowed == 1 else 's'}"
        reasons.append(f"{left} left today, {competition.today} made{kept}")
    return reasons
