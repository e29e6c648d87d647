"""What became of submissions: Kaggle is asked again and again until it has scored them.

Polling can be cut off and taken up again at any time, for all it knows is in the ledger. Each open
row (states: submit/kaggle/submission.py) is followed by one question at a time:

1. A row with a reference asks for that submission: still pending, scored, or not scorable. One that
   is not there yet was made a moment ago; half an hour later it is an error.
2. A row without one, lost or still sending, is looked for in the competition's list: by its marker,
   and it must be new to the ledger and not older than the row. If it is there, it gets its
   reference. If it is still not there when no upload can be under way any more, it failed to
   arrive.

A question that fails is asked again, up to ten times in a row where that may help. One submission
that cannot be asked about does not keep the others waiting.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from evaluate.exceptions import KaggleError
from submit.kaggle.client import Kaggle, RemoteSubmission
from submit.kaggle.marker import is_same_submission
from submit.ledger import Ledger, SubmissionRow

OPEN = ("sending", "lost", "pending")
LOST_AFTER = timedelta(minutes=30)  # longer than an upload may take and a server may think about it
CLOCKS_DIFFER = timedelta(hours=1)  # at most, ours and Kaggle's
FAILURES_MAX = 10  # in a row


def back_off() -> Iterator[float]:
    """Seconds to wait: 5, then half as much again each time, at most 60."""
    wait = 5.0
    while True:
        yield wait
        wait = min(wait * 1.5, 60.0)


def poll(
    ledger: Ledger,
    kaggle: Kaggle,
    ids: list[int],
    *,
    changed: Callable[[SubmissionRow], None] = lambda row: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[SubmissionRow]:
    """Follow submissions until each is complete, error or failed. -> their rows.

    `changed` hears of every change. Raises the first KaggleError that would not pass, once all the
    other submissions are settled.
    """
    failures = Counter[int]()  # in a row, by id
    stuck: dict[int, KaggleError] = {}  # given up, by id
    waits = back_off()
    while True:
        for row_id in ids:
            row = ledger.submission(row_id)
            if row.state not in OPEN or row_id in stuck:
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
                changed(after)
        rows = [ledger.submission(row_id) for row_id in ids]
        if all(row.state not in OPEN or row.id in stuck for row in rows):
            break
        sleep(next(waits))
    if stuck:
        raise next(iter(stuck.values()))
    return rows


def open_submissions(ledger: Ledger) -> list[int]:
    """The ids of those that are not settled yet, oldest first."""
    return [row.id for row in ledger.submissions() if row.id is not None and row.state in OPEN]


def follow(row: SubmissionRow, ledger: Ledger, kaggle: Kaggle) -> SubmissionRow:
    """Ask once about an open submission. -> its row as it is now. Raises KaggleError."""
    assert row.id is not None
    is_old = datetime.now(UTC) - datetime.fromisoformat(row.time) > LOST_AFTER
    try:
        if row.ref:
            remote: RemoteSubmission | None = kaggle.submission(row.ref)  # 1.
        else:
            remote = _in_the_list(row, ledger, kaggle)  # 2.
    except KaggleError as error:
        if error.status != 404 or not row.ref or is_old:
            raise
        remote = None  # made a moment ago
    if remote is None:
        return ledger.update(row.id, state="failed", error="it never arrived") if is_old else row
    scores = {"public": remote.public, "private": remote.private, "error": remote.error}
    return ledger.update(row.id, ref=remote.ref, state=remote.state, **scores)


def _in_the_list(row: SubmissionRow, ledger: Ledger, kaggle: Kaggle) -> RemoteSubmission | None:
    """The row's submission among the competition's, None when it is not there."""
    known = {other.ref for other in ledger.submissions(row.competition)}
    since = datetime.fromisoformat(row.time) - CLOCKS_DIFFER
    for remote in kaggle.submissions(row.competition):
        is_new = remote.ref not in known and (remote.time is None or remote.time >= since)
        if is_new and is_same_submission(remote, row):
            return remote
    return None
