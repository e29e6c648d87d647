"""The one place that imports `kaggle`: a program that answers questions from stdin on stdout.

Why it is a program, and how it is asked, stands in submit/kaggle/client.py. `{"ask": name, ...}` is
answered by `{"answer": ...}`, or by `{"error": {"kind", "message", "status", "request"}}` with one
of these kinds, after which the next question may follow, except after a crash:

    credentials   there are none, or Kaggle does not know them
    http          Kaggle said no, with a status
    network       Kaggle could not be reached, or the connection broke
    upload        the bytes were not taken, so nothing was submitted
    crash         the kaggle package failed in any other way; this program ends

Nothing of ours is imported here, so that the package finds no module of ours where it expects
another's. Messages are one line, and the tokens and keys that sign requests are cut out of each.
"""

import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

MESSAGE_MAX = 300  # characters; some servers answer with a whole page


class NotSubmitted(Exception):
    """The bytes were not taken, so nothing was submitted."""


def competition(api: Any, competition: str) -> dict[str, Any]:
    """What decides whether a submission would be taken now, and the submissions that were made."""
    with api.build_kaggle_client() as kaggle:
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

        request = ApiGetCompetitionRequest()
        request.competition_name = competition
        page = kaggle.competitions.competition_api_client.get_competition(request)
    limits = api.competition_get_submission_limits(competition)
    # Whoever is not on a team yet is told zero of everything, which would read as "none left".
    unknown = not (limits.num_today or limits.num_total or limits.num_allowed_now)
    facts = {
        "deadline": _utc(page.deadline),
        "entered": page.user_has_entered,
        "code_only": page.is_kernels_submissions_only,
        "closed": page.submissions_disabled,
        "today": limits.num_today,
        "allowed": page.max_daily_submissions if unknown else limits.num_allowed_now,
    }
    return {"facts": facts, "submissions": submissions(api, competition)}


def send(api: Any, competition: str, path: str, message: str) -> int:
    """Upload and submit. -> the reference, 0 when the server gave none."""
    answer = api.competition_submit(path, message, competition, quiet=True)
    if not answer.ref and answer.message == api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        raise NotSubmitted
    return int(answer.ref)


def submissions(api: Any, competition: str) -> list[dict[str, Any]]:
    """The team's last hundred, newest first."""
    page = api.competition_submissions(competition, page_size=100) or []
    return [_as_dict(remote) for remote in page]


def submission(api: Any, ref: int) -> dict[str, Any]:
    with api.build_kaggle_client() as kaggle:
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        request = ApiGetSubmissionRequest()
        request.ref = ref
        return _as_dict(kaggle.competitions.competition_api_client.get_submission(request))


def leaderboard(api: Any, competition: str, folder: str) -> str:
    """-> the path of the .zip, which is left in the folder."""
    api.competition_leaderboard_download(competition, folder)
    return os.path.join(folder, f"{competition}.zip")


def _as_dict(remote: Any) -> dict[str, Any]:
    return {
        "ref": remote.ref,
        "file_name": remote.file_name,
        "message": remote.description,
        "bytes": remote.total_bytes,
        "time": _utc(remote.date),
        "state": remote.status.name.lower(),
        "public": _number(remote.public_score),
        "private": _number(remote.private_score),
        "error": _one_line(remote.error_description or "") or None,
    }


def _utc(time: datetime | None) -> str | None:
    return time.replace(tzinfo=UTC).isoformat() if time else None


def _number(score: str | None) -> float | None:
    """Scores are text, "" while they are not published."""
    try:
        return float(score or "")
    except ValueError:
        return None


def _client() -> Any:
    """An authenticated client. Raises SystemExit when credentials are missing or rejected."""
    import kaggle  # tries to authenticate, and hides whether that worked

    if kaggle.api.CONFIG_NAME_AUTH_METHOD not in kaggle.api.config_values:
        kaggle.api.authenticate()
    return kaggle.api


def _error(error: Exception | SystemExit) -> dict[str, Any]:
    """What went wrong: kind, HTTP status, name of the request, and the server's words."""
    response, request = getattr(error, "response", None), getattr(error, "request", None)
    name = str(getattr(request, "url", "")).split("?")[0].rsplit("/", 1)[-1]
    context: dict[str, Any] = {"status": None, "request": name}
    if isinstance(error, SystemExit):
        return context | {"kind": "credentials", "message": "unknown" if _token() else "none"}
    if isinstance(error, NotSubmitted):
        refusal = "Kaggle did not take the upload; nothing was submitted"
        return context | {"kind": "upload", "message": refusal}
    if response is None:  # its text would name hosts, proxies and signed addresses
        return context | {"kind": "network", "message": type(error).__name__}

    try:
        body = response.json()
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    status, code = response.status_code, body.get("code")
    if status < 400 and isinstance(code, int):  # the client takes both for errors
        status = code
    message = str(body.get("message") or response.reason)
    for secret in _secrets():
        message = message.replace(secret, "***")
    return context | {"kind": "http", "status": status, "message": _one_line(message)}


def _token() -> str | None:
    from kagglesdk.kaggle_env import get_access_token_from_env

    token: str | None = get_access_token_from_env()[0]
    return token


def _secrets() -> list[str]:
    """What no message may hold, longest first: token, key, and the key as its header has it."""
    from kaggle import api

    user, key = api.config_values.get("username"), api.config_values.get("key")
    basic = b64encode(f"{user}:{key}".encode()).decode() if key else None
    return sorted(
        filter(None, {_token(), api.config_values.get("token"), key, basic}), key=len, reverse=True
    )


def _one_line(text: str) -> str:
    """A server's words without line breaks and control characters, cut to a length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MESSAGE_MAX]


QUESTIONS: dict[str, Callable[..., Any]] = {
    question.__name__: question
    for question in (competition, send, submissions, submission, leaderboard)
}


def answer_questions() -> None:
    """Answer line by line until stdin ends."""
    # The package prints to stdout: answers get the real one, and what is printed goes to stderr.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(**content: Any) -> None:
        print(json.dumps(content), file=replies, flush=True)

    sys.excepthook = lambda kind, error, traceback: reply(
        error={"kind": "crash", "message": f"the kaggle package failed with {kind.__name__}"}
    )
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = QUESTIONS[question.pop("ask")](_client(), **question)
        except (OSError, NotSubmitted, SystemExit) as error:  # requests' exceptions are OSErrors
            reply(error=_error(error))
        else:
            reply(answer=answer)


if __name__ == "__main__":
    answer_questions()
