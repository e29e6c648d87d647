"""From a CSV to a submission, without wasting one: everything that can be known is asked before the upload.

The file goes up as a copy, so that what was checked is what is sent. Its hash goes into the description, so that a
submission whose reply was lost is known again in the competition's list, also from another machine or by a team mate.
"""

import hashlib
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluate.exceptions import InputError, KaggleError, Refused
from submit.csv.check import Summary
from submit.kaggle.client import Competition, Kaggle, Remote
from submit.ledger import Ledger, ScoreRow, SubmissionRow, Taken

ROUNDING = 1e-9


def submit(
    path: Path,
    summary: Summary,
    competition: str,
    message: str,
    ledger: Ledger,
    kaggle: Kaggle,
    *,
    min_gain: float = 0.0,
    force: bool = False,
    reserve: int = 0,
    dry_run: bool = False,
) -> SubmissionRow:
    """Send a checked file. -> its row in the ledger: `pending`, or `lost` where nobody knows whether it arrived.

    Refused unless its local score beats the best one submitted by `min_gain` (`force` sends it all the same), it was
    never sent there before, the competition would take it, and `reserve` submissions are left today afterwards.
    A dry run does all that and returns the row as it would be written. Raises Refused, KaggleError, InputError.
    """
    mine, best = local_scores(ledger, path, summary.sha256, competition)
    row = SubmissionRow(
        competition=competition,
        path=str(path),
        file_name=path.name,
        sha256=summary.sha256,
        bytes=summary.bytes,
        message=f"{message} {marker(summary.sha256)}",
        summary=asdict(summary),
        score_id=mine.id if mine else None,
    )
    reasons = [_taken(there) for there in ledger.in_the_way(row)[:1]]
    reasons += [] if force else _no_gain(path, mine, best, min_gain)
    if reasons:
        raise Refused(reasons)
    if dry_run:
        _ask_first(row, kaggle, reserve)
        return row
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(path, Path(folder, path.name)))
        if hashlib.sha256(copy.read_bytes()).hexdigest() != summary.sha256:
            raise InputError(f"{path}: it was changed since it was checked")
        try:
            row_id = ledger.claim(row)
        except Taken as taken:
            raise Refused([_taken(taken.row)]) from None
        try:
            _ask_first(row, kaggle, reserve)
        except BaseException:
            ledger.release(row_id)
            raise
        return _send(row_id, row, copy, ledger, kaggle)


def local_scores(
    ledger: Ledger, path: Path, sha256: str, competition: str
) -> tuple[ScoreRow | None, ScoreRow | None]:
    """The file's local score and the best one submitted, on the same truth by the same metric where there are two.

    The local score is that of the file itself, else the best of its run folder: the test set's truth is seldom known,
    so what counts is what the same run reached on validation.
    """
    scores = ledger.rows()
    own = [score for score in scores if score.detections_sha256 == sha256]
    own = own or [
        score for score in scores if score.name.partition("/")[0] == path.resolve().parent.name
    ]
    sent = {
        row.score_id
        for row in ledger.submissions(competition)
        if row.state not in ("failed", "error")
    }
    rivals = [score for score in scores if score.id in sent]
    for mine in own:
        for rival in rivals:
            if (rival.truth_sha256, rival.metric) == (mine.truth_sha256, mine.metric):
                return mine, rival
    return (own[0] if own else None), (rivals[0] if rivals else None)


def marker(sha256: str) -> str:
    """What a description ends with."""
    return f"[{sha256[:12]}]"


def same(remote: Remote, row: SubmissionRow) -> bool:
    """Whether a submission in the competition's list is this one."""
    return (
        marker(row.sha256) in (remote.message or "")
        and remote.file_name in (row.file_name, None)
        and remote.bytes in (row.bytes, None)
    )


def _no_gain(
    path: Path, mine: ScoreRow | None, best: ScoreRow | None, min_gain: float
) -> list[str]:
    if mine is None:
        return [
            f"no local score of {path} or of its run is in the ledger (`harness score`, or --force)"
        ]
    if best is None:
        return []
    if (mine.metric, mine.truth_sha256) != (best.metric, best.truth_sha256):
        return [
            f"its local score is by {mine.metric} on {mine.split}, the best submitted by {best.metric} on {best.split}"
        ]
    gain = mine.map - best.map
    if gain > 0 and gain >= min_gain - ROUNDING:
        return []
    wanted = f", want {min_gain:g} more" if min_gain else ""
    return [
        f"its local score is {mine.map:.4f} ({mine.name}), the best submitted {best.map:.4f} ({best.name}){wanted}"
    ]


def _taken(row: SubmissionRow) -> str:
    if row.state == "sending":
        return f"a file is being sent there since {row.time}; if that was cut off, `harness poll` clears it up"
    if row.state == "lost":
        return (
            f"the same file was sent on {row.time} and may have arrived; `harness poll` finds out"
        )
    return f"the same file was sent on {row.time}, ref {row.ref}, {row.state}"


def _ask_first(row: SubmissionRow, kaggle: Kaggle, reserve: int) -> None:
    """Raises Refused with every reason why the competition would not take the file."""
    competition, made = kaggle.competition(row.competition)
    reasons = _closed(competition, reserve)
    there = [remote for remote in made if marker(row.sha256) in (remote.message or "")]
    reasons += [
        f"the same file is there already, ref {remote.ref}, {remote.state}" for remote in there[:1]
    ]
    if reasons:
        raise Refused(reasons)


def _closed(competition: Competition, reserve: int) -> list[str]:
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
        kept = f", {reserve} are to be kept" if reserve else ""
        reasons.append(
            f"{competition.allowed} submissions are left today, {competition.today} made{kept}"
        )
    return reasons


def _send(
    row_id: int, row: SubmissionRow, copy: Path, ledger: Ledger, kaggle: Kaggle
) -> SubmissionRow:
    try:
        ref = kaggle.send(row.competition, copy, row.message)
    except KaggleError as error:
        if error.nothing_sent:
            ledger.update(row_id, state="failed", error=str(error))
            raise
        return ledger.update(row_id, state="lost", error=str(error))
    except BaseException:
        ledger.update(row_id, state="lost", error="interrupted while sending")
        raise
    if ref <= 0:
        return ledger.update(row_id, state="lost", error="Kaggle gave no reference")
    return ledger.update(row_id, state="pending", ref=ref)
