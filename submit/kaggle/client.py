"""Questions to Kaggle, each answered by a deadline.

Importing `kaggle` writes files, prints, asks the network and may end the process, and none of its
calls has a timeout. So it lives in a process of its own (submit/kaggle/child.py), and here is the
other end:

    client                                      child
    ------                                      -----
    {"ask": "submission", "ref": 501}    -->    calls the kaggle package, which asks the network
                                         <--    {"answer": {"ref": 501, "state": "pending", ...}}
                                         or     {"error": {"kind": "http", "status": 403, ...}}

One question is one line of JSON on the child's stdin, one answer one line on its stdout.

1. Start the child if there is none, and a timer that kills it at the deadline.
2. Write the question and block until there is a line, or the end of the stream.
3. A line that ends in a newline is the answer. Without one the child was killed by the timer
   (silent), or died by itself (crash).
4. A child that did not answer in full, whatever the reason, Ctrl-C included, is ended: a late
   answer would be taken for that of the next question. The next question starts a new one.
"""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE
from threading import Timer
from types import TracebackType
from typing import Any, Self

from evaluate.exceptions import InputError, KaggleError

CHILD = Path(__file__).with_name("child.py")
TOKEN = (
    "make a token at https://www.kaggle.com/settings/api "
    "and put it into KAGGLE_API_TOKEN or ~/.kaggle/access_token"
)
ADVICE = {  # by HTTP status
    401: TOKEN,
    403: "have you accepted the rules on the competition's page?",
    404: "a competition's name is the last part of its address",
    429: "wait a minute, then try again",
}
CREDENTIALS = {
    "none": f"no Kaggle credentials: {TOKEN}",
    "unknown": f"Kaggle does not know the token: {TOKEN}",
}


@dataclass(frozen=True)
class Competition:
    """Whether it would take a submission now."""

    deadline: datetime | None
    entered: bool  # the rules are accepted
    code_only: bool  # it takes notebooks, no files
    closed: bool
    today: int  # submissions made
    allowed: int  # submissions left


@dataclass(frozen=True)
class RemoteSubmission:
    """A submission as Kaggle has it."""

    ref: int
    file_name: str | None
    message: str | None
    bytes: int | None
    time: datetime | None
    state: str  # pending, complete or error
    public: float | None  # None while it is not published
    private: float | None
    error: str | None


class Kaggle:
    """The client, for use in a `with`. Questions raise KaggleError; the next one works again."""

    def __init__(self, *, deadline: float = 60, upload_deadline: float = 600) -> None:
        """Deadlines: the seconds that an answer may take."""
        self.deadline, self.upload_deadline = deadline, upload_deadline
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child; another question starts a new one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def competition(self, competition: str) -> tuple[Competition, list[RemoteSubmission]]:
        """What the competition would take now, and its `submissions`."""
        answer = self._ask("competition", competition=competition)
        facts = answer["facts"] | {"deadline": _time(answer["facts"]["deadline"])}
        return Competition(**facts), list(map(_remote, answer["submissions"]))

    def send(self, competition: str, path: Path, message: str) -> int:
        """Upload and submit, once. -> the reference, or 0.

        0: the server gave none, so nobody knows whether it took the file.
        """
        values = {"competition": competition, "path": str(path), "message": message}
        return int(self._ask("send", self.upload_deadline, **values))

    def submissions(self, competition: str) -> list[RemoteSubmission]:
        """The team's last hundred, newest first."""
        return list(map(_remote, self._ask("submissions", competition=competition)))

    def submission(self, ref: int) -> RemoteSubmission:
        return _remote(self._ask("submission", ref=ref))

    def leaderboard(self, competition: str, folder: Path) -> Path:
        """Download the competition's leaderboard. -> the .zip, in the folder."""
        return Path(self._ask("leaderboard", competition=competition, folder=str(folder)))

    def _ask(self, question: str, wait: float | None = None, **values: Any) -> Any:
        """The answer. Raises KaggleError without one, InputError for a competition's address."""
        if not re.fullmatch(r"[A-Za-z0-9-]+", values.get("competition", "-")):
            raise InputError(
                f"competition {values['competition']}: want its name, the last part of its address"
            )
        wait = wait or self.deadline

        # 1. The child, which lives as long as it answers, and its deadline.
        child = self._child = self._child or subprocess.Popen(
            [sys.executable, "-P", str(CHILD)], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True
        )
        killer, started = Timer(wait, child.kill), time.monotonic()
        killer.start()

        # 2. Question and answer.
        line = ""
        try:
            line = _exchange(child, json.dumps({"ask": question, **values}))
        finally:
            killer.cancel()
            if not line.endswith("\n"):  # 4.
                self.close()

        # 3. What the line says.
        if not line.endswith("\n"):
            if time.monotonic() - started >= wait:
                raise KaggleError("silent", f"Kaggle gave no answer within {wait:g} s")
            raise KaggleError("crash", "the kaggle package ended without an answer")
        reply = json.loads(line)
        if "answer" in reply:
            return reply["answer"]
        if reply["error"]["kind"] == "crash":
            self.close()
        raise _failure(**reply["error"])


def _exchange(child: "subprocess.Popen[str]", question: str) -> str:
    """The line that answers the question; without its newline when the child ended."""
    assert child.stdin and child.stdout
    try:
        print(question, file=child.stdin, flush=True)
    except BrokenPipeError:
        return ""
    return child.stdout.readline()


def _failure(
    kind: str, message: str, *, status: int | None = None, request: str = ""
) -> KaggleError:
    """The exception for what the child says went wrong, with advice."""
    match kind:
        case "credentials":
            message = CREDENTIALS.get(message, message)
        case "http":
            advice = f"; {ADVICE[status]}" if status in ADVICE else ""
            message = f"Kaggle answered {status} to {request}: {message}{advice}"
        case "network":
            during = f" at {request}" if request else ""
            message = f"Kaggle could not be reached: {message}{during}"
    return KaggleError(kind, message, status=status, request=request)


def _remote(values: dict[str, Any]) -> RemoteSubmission:
    return RemoteSubmission(**values | {"time": _time(values["time"])})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
