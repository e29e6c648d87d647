"""Questions to Kaggle, asked by a child process that is killed at a deadline (`submit.kaggle.child` says why)."""

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
TOKEN = "make a token at https://www.kaggle.com/settings/api and put it into KAGGLE_API_TOKEN or ~/.kaggle/access_token"
ADVICE = {
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
    code_only: bool
    closed: bool
    today: int  # submissions made
    allowed: int  # more of them


@dataclass(frozen=True)
class Remote:
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
    """The client. Use it in a `with`. Every question raises KaggleError, and a client that failed starts anew."""

    def __init__(self, *, deadline: float = 60, upload_deadline: float = 600) -> None:
        """Deadlines are the seconds that an answer may take."""
        self.deadline, self.upload_deadline = deadline, upload_deadline
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child; another question starts a new one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def competition(self, competition: str) -> tuple[Competition, list[Remote]]:
        """What it would take now, and `submissions`."""
        found = self._ask("competition", competition=competition)
        facts = found["facts"] | {"deadline": _time(found["facts"]["deadline"])}
        return Competition(**facts), list(map(_remote, found["submissions"]))

    def send(self, competition: str, path: Path, message: str) -> int:
        """Upload and submit, once. -> the reference; 0: the server gave none, so whether it took it is unknown."""
        wait = self.upload_deadline
        return int(
            self._ask("send", wait, competition=competition, path=str(path), message=message)
        )

    def submissions(self, competition: str) -> list[Remote]:
        """The team's last hundred, newest first."""
        return list(map(_remote, self._ask("submissions", competition=competition)))

    def submission(self, ref: int) -> Remote:
        return _remote(self._ask("submission", ref=ref))

    def leaderboard(self, competition: str, folder: Path) -> Path:
        """Download the competition's own leaderboard. -> the .zip, in the folder."""
        return Path(self._ask("leaderboard", competition=competition, folder=str(folder)))

    def _ask(self, question: str, wait: float | None = None, **values: Any) -> Any:
        if not re.fullmatch(r"[A-Za-z0-9-]+", values.get("competition", "-")):
            raise InputError(
                f"competition {values['competition']}: want its name, the last part of its address"
            )
        wait = wait or self.deadline
        child = self._child = self._child or subprocess.Popen(
            [sys.executable, "-P", str(CHILD)], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True
        )
        killer, started = Timer(wait, child.kill), time.monotonic()
        killer.start()
        line = ""
        try:
            line = _exchange(child, json.dumps({"ask": question, **values}))
        finally:
            killer.cancel()
            if not line.endswith(
                "\n"
            ):  # killed, or Ctrl-C: a late answer would be taken for that of the next question
                self.close()
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
    """The line that answers the question; without an end where the child ended."""
    assert child.stdin and child.stdout
    try:
        print(question, file=child.stdin, flush=True)
    except BrokenPipeError:
        return ""
    return child.stdout.readline()


def _failure(kind: str, message: str, *, status: int | None = None, at: str = "") -> KaggleError:
    """The exception for what the child says went wrong, and what to do about it."""
    match kind:
        case "credentials":
            message = CREDENTIALS.get(message, message)
        case "http":
            advice = f"; {ADVICE[status]}" if status in ADVICE else ""
            message = f"Kaggle answered {status} to {at}: {message}{advice}"
        case "network":
            message = f"Kaggle could not be reached: {message}{f' at {at}' if at else ''}"
    return KaggleError(kind, message, status=status, request=at)


def _remote(found: dict[str, Any]) -> Remote:
    return Remote(**found | {"time": _time(found["time"])})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
