"""What became of submissions: asked again and again until Kaggle has scored them. Can be cut off and taken up again."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from evaluate.exceptions import KaggleError
from submit.kaggle.client import Kaggle, Remote
from submit.kaggle.submission import same
from submit.ledger import Ledger, SubmissionRow

UNSETTLED = ("sending", "lost", "pending")
LOST_AFTER = timedelta(minutes=30)  # longer than an upload may take and a server may think about it
CLOCKS_DIFFER = timedelta(hours=1)
FAILURES_MAX = 10  # in a row


def back_off() -> Iterator[float]:
    """Seconds to wait: 5, half as much again each time, at most 60."""
    wait = 5.0
    while True:
        yield wait
        wait = min(wait * 1.5, 60.0)


def poll(
    ledger: Ledger,
    kaggle: Kaggle,
    ids: list[int],
    *,
    told: Callable[[SubmissionRow], None] = lambda row: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[SubmissionRow]:
    """Follow submissions until each is complete, error or failed. -> their rows.

    `told` hears of every change. A question that fails is asked again, up to ten times in a row where that may help;
    the others are followed all the same. Raises the first KaggleError in the end; what is known is in the ledger.
    """
    failures, stuck, waits = Counter[int](), dict[int, KaggleError](), back_off()
    while True:
        for row_id in ids:
            row = ledger.submission(row_id)
            if row.state not in UNSETTLED or row_id in stuck:
                continue
            try:
                after = follow(row, ledger, kaggle)
            except KaggleError as error:
                failures[row_id] += 1
                if not error.may_pass or failures[row_id] == FAILURES_MAX:
                    stuck[row_id] = error
                continue
            failures[row_id] = 0
            if after != row:
                told(after)
        rows = [ledger.submission(row_id) for row_id in ids]
        if all(row.state not in UNSETTLED or row.id in stuck for row in rows):
            break
        sleep(next(waits))
    if stuck:
        raise next(iter(stuck.values()))
    return rows


def unsettled(ledger: Ledger) -> list[int]:
    return [row.id for row in ledger.submissions() if row.id is not None and row.state in UNSETTLED]


def follow(row: SubmissionRow, ledger: Ledger, kaggle: Kaggle) -> SubmissionRow:
    """Ask once about an unsettled submission. -> its row as it is now. Raises KaggleError."""
    assert row.id is not None
    is_old = datetime.now(UTC) - datetime.fromisoformat(row.time) > LOST_AFTER
    try:
        remote = kaggle.submission(row.ref) if row.ref else _in_the_list(row, ledger, kaggle)
    except KaggleError as error:
        if error.status != 404 or not row.ref or is_old:
            raise
        remote = None  # right after it was made
    if remote is None:
        return ledger.update(row.id, state="failed", error="it never arrived") if is_old else row
    scores = {"public": remote.public, "private": remote.private, "error": remote.error}
    return ledger.update(row.id, ref=remote.ref, state=remote.state, **scores)


def _in_the_list(row: SubmissionRow, ledger: Ledger, kaggle: Kaggle) -> Remote | None:
    known = {there.ref for there in ledger.submissions(row.competition)}
    since = datetime.fromisoformat(row.time) - CLOCKS_DIFFER
    for remote in kaggle.submissions(row.competition):
        if (
            same(remote, row)
            and remote.ref not in known
            and (remote.time is None or remote.time >= since)
        ):
            return remote
    return None
