"""What can go wrong: every exception of ours, as one tree.

    ValueError
    └── InputError            somebody handed over something wrong          exit status 2
        └── BadRows           rows of a file or a table; lists all of them
    RuntimeError
    └── JobError              asked for correctly, could not be finished    exit status 1
        ├── DownloadError     a file could not be fetched
        ├── KaggleError       Kaggle said no, or nothing at all
        └── Refused           a submission was not sent, to save one for a better file

Three stand elsewhere. `models.weights.WeightsError` is a ValueError, because models import nothing
of ours. `submit.kaggle.child.NotSubmitted` lives in a process that imports nothing of ours either.
`submit.ledger.Taken`, a JobError, carries a row of the ledger and is caught by the one who claims.

Only harness/cli/main.py turns an exception into an exit status and a line on stderr.
"""

from collections.abc import Sequence
from pathlib import Path

SHOWN = 10  # problems in the message of BadRows; `problems` has them all


class InputError(ValueError):
    """Wrong usage or wrong input. The message names it, what was wanted and what is there."""


class BadRows(InputError):
    """Rows that cannot be used. `problems` has one line for each, the message shows the first ten.

    `file` is named once in front, for problems that do not name theirs. `hint` is added where the
    message leaves problems out: how to see all of them.
    """

    def __init__(
        self, problems: Sequence[str], *, file: Path | None = None, hint: str = ""
    ) -> None:
        self.problems = list(problems)
        lines = self.problems[:SHOWN]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more{hint and f', {hint}'}")
        super().__init__(f"{file}: " * (file is not None) + "; ".join(lines))


def refuse(problems: Sequence[str], *, file: Path | None = None, hint: str = "") -> None:
    """Raise BadRows with these problems; return when there is none."""
    if problems:
        raise BadRows(problems, file=file, hint=hint)


class JobError(RuntimeError):
    """A correct request that could not be finished. The message says what to do about it."""


class DownloadError(JobError):
    """A file could not be fetched. The message has the URL, the reason, how to hand in a copy."""


class KaggleError(JobError):
    """Kaggle said no, or said nothing. The message is one line without credentials.

    `kind` is credentials, http (with `status`), network, upload, silent (past the deadline) or
    crash (of the kaggle package); `request` names the request during which it happened, where
    known.
    """

    def __init__(
        self, kind: str, message: str, *, status: int | None = None, request: str = ""
    ) -> None:
        self.kind, self.status, self.request = kind, status, request
        super().__init__(message)

    @property
    def nothing_sent(self) -> bool:
        """Whether an upload that failed like this surely submitted nothing; else it may have."""
        before_upload = self.request in ("IntrospectToken", "StartSubmissionUpload")
        if self.kind in ("credentials", "upload") or before_upload:
            return True
        said_no = self.status is not None and 400 <= self.status < 500
        return self.kind == "http" and said_no and self.status != 408

    @property
    def may_pass(self) -> bool:
        """Whether asking again later may help."""
        if self.kind in ("network", "silent", "crash"):
            return True
        return (self.status or 0) >= 500 or self.status in (408, 429)


class Refused(JobError):
    """A submission was not sent, for these `reasons`."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("not sent: " + "; ".join(reasons))
