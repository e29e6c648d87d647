"""The one place that imports `kaggle`: a program that answers questions from stdin on stdout, a line each.

The package's imports write files, print, ask the network and may end the process, and none of its calls has a timeout,
so it lives in a child that can be killed. `{"ask": name, ...}` is answered by `{"answer": ...}`, or by `{"error":
{"kind", "status", "at", "message"}}` where kind is credentials, http, network or upload; or crash, after which it ends.
Nothing of ours is imported here, and the tokens and keys that sign the requests are cut out of every message.
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
    """What decides whether a submission would be taken now, and those that were made."""
    with api.build_kaggle_client() as kaggle:
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

        request = ApiGetCompetitionRequest()
        request.competition_name = competition
        found = kaggle.competitions.competition_api_client.get_competition(request)
    limits = api.competition_get_submission_limits(competition)
    unknown = not (
        limits.num_today or limits.num_total or limits.num_allowed_now
    )  # not on a team yet: all zero
    facts = {
        "deadline": _utc(found.deadline),
        "entered": found.user_has_entered,
        "code_only": found.is_kernels_submissions_only,
        "closed": found.submissions_disabled,
        "today": limits.num_today,
        "allowed": found.max_daily_submissions if unknown else limits.num_allowed_now,
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
    return [
        _submission(found)
        for found in api.competition_submissions(competition, page_size=100) or []
    ]


def submission(api: Any, ref: int) -> dict[str, Any]:
    with api.build_kaggle_client() as kaggle:
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        request = ApiGetSubmissionRequest()
        request.ref = ref
        return _submission(kaggle.competitions.competition_api_client.get_submission(request))


def leaderboard(api: Any, competition: str, folder: str) -> str:
    """-> the path of the .zip, which is left in the folder."""
    api.competition_leaderboard_download(competition, folder)
    return os.path.join(folder, f"{competition}.zip")


def _submission(found: Any) -> dict[str, Any]:
    return {
        "ref": found.ref,
        "file_name": found.file_name,
        "message": found.description,
        "bytes": found.total_bytes,
        "time": _utc(found.date),
        "state": found.status.name.lower(),
        "public": _number(found.public_score),
        "private": _number(found.private_score),
        "error": _line(found.error_description or "") or None,
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
    """An authenticated client. Raises SystemExit where there are no credentials, or the server does not know them."""
    import kaggle  # tries to authenticate, and hides whether that worked

    if kaggle.api.CONFIG_NAME_AUTH_METHOD not in kaggle.api.config_values:
        kaggle.api.authenticate()
    return kaggle.api


def _error(error: Exception | SystemExit) -> dict[str, Any]:
    """Kind, HTTP status, the request at which it happened, and what the server said about it."""
    response, request = getattr(error, "response", None), getattr(error, "request", None)
    told: dict[str, Any] = {
        "status": None,
        "at": str(getattr(request, "url", "")).split("?")[0].rsplit("/", 1)[-1],
    }
    if isinstance(error, SystemExit):
        return told | {"kind": "credentials", "message": "unknown" if _token() else "none"}
    if isinstance(error, NotSubmitted):
        return told | {
            "kind": "upload",
            "message": "Kaggle did not take the upload; nothing was submitted",
        }
    if response is None:  # the text of these names hosts, proxies and signed addresses
        return told | {"kind": "network", "message": type(error).__name__}
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
    return told | {"kind": "http", "status": status, "message": _line(message)}


def _token() -> str | None:
    from kagglesdk.kaggle_env import get_access_token_from_env

    token: str | None = get_access_token_from_env()[0]
    return token


def _secrets() -> list[str]:
    """What must not be told, longest first: the token, the key, and the key as its header has it."""
    from kaggle import api

    user, key = api.config_values.get("username"), api.config_values.get("key")
    basic = b64encode(f"{user}:{key}".encode()).decode() if key else None
    return sorted(
        filter(None, {_token(), api.config_values.get("token"), key, basic}), key=len, reverse=True
    )


def _line(text: str) -> str:
    """What a server says, on one line and without what a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[
        :MESSAGE_MAX
    ]


QUESTIONS: dict[str, Callable[..., Any]] = {
    question.__name__: question
    for question in (competition, send, submissions, submission, leaderboard)
}


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the client prints is no answer

    def reply(**told: Any) -> None:
        print(json.dumps(told), file=replies, flush=True)

    sys.excepthook = lambda kind, error, at: reply(
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
    main()
