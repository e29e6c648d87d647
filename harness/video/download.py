"""A video from an address, by yt-dlp."""

import hashlib
import importlib.util
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError, JobError

PAUSES = (1.0, 3.0, 9.0)  # seconds before each further try
UNFINISHED = {".part", ".ytdl", ".temp"}

Progress = Callable[[int, int], None]  # bytes there so far, bytes in all (0 when unknown)


def is_address(text: str) -> bool:
    """Whether this is an address rather than a file."""
    return text.startswith(("http://", "https://"))


def fetch(
    address: str, folder: Path, *, height: int, progress: Progress = lambda done, total: None
) -> Path:
    """The video at an address, in `folder`, with at most `height` lines of picture where there is a choice.

    Its name ends in the height and a hash of the address; one that is there already is not fetched again, one that is
    there in part is gone on with. A server that fails is asked four times. Without the program ffmpeg, sites that
    send sound and picture apart give the best file that has both. Raises InputError for an address that is no video,
    JobError when it cannot be had.
    """
    if importlib.util.find_spec("yt_dlp") is None:
        raise InputError(
            f"{address}: want the package yt-dlp, which is not installed: pip install yt-dlp"
        )
    import yt_dlp

    mark = f"{height}p-{hashlib.sha256(address.encode()).hexdigest()[:10]}"
    there = [path for path in folder.glob(f"*-{mark}.*") if path.suffix not in UNFINISHED]
    if there:
        return there[0]
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "outtmpl": str(folder / f"%(id).60B-{mark}.%(ext)s"),
        "restrictfilenames": True,
        "format": "bestvideo*+bestaudio/best" if shutil.which("ffmpeg") else "best",
        "format_sort": [f"res:{height}"],
        "noplaylist": True,
        "retries": 10,
        "fragment_retries": 10,
        "socket_timeout": 30,
        "logger": _Silence(),
        "noprogress": True,
        "progress_hooks": [lambda state: progress(*_bytes(state))],
    }
    for pause in (*PAUSES, None):
        try:
            with yt_dlp.YoutubeDL(options) as fetcher:
                found = fetcher.extract_info(address)
            break
        except yt_dlp.utils.DownloadError as error:
            failure = _failure(address, error)
            if pause is None or not isinstance(failure, _Passing):
                raise failure from None
            time.sleep(pause)
    if "entries" in found:
        raise InputError(
            f"{address}: want one video, this is a list of {len(list(found['entries']))}"
        )
    return Path(found["requested_downloads"][0]["filepath"])


class _Passing(JobError):
    """What may be over a moment later."""


def _failure(address: str, error: Any) -> Exception:
    """yt-dlp's error in one line that says what to do."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError
    from yt_dlp.utils import GeoRestrictedError, UnsupportedError

    reason = error.exc_info[1] if error.exc_info else error
    causes = [reason, getattr(reason, "cause", None)]
    told = (
        str(reason.args[0] if reason.args else reason)
        .removeprefix("ERROR: ")
        .split("; please report")[0]
    )
    told = told.splitlines()[0]
    if isinstance(reason, UnsupportedError):
        return InputError(f"{address}: want a page with a video, yt-dlp finds none there")
    if isinstance(reason, GeoRestrictedError):
        return JobError(f"{address}: the site does not show this video in your country")
    for cause in causes:
        if isinstance(cause, HTTPError):
            kind = _Passing if cause.status >= 500 or cause.status == 429 else JobError
            return kind(f"{address}: the server says {cause.status} {cause.reason}")
        if isinstance(cause, TransportError):
            return _Passing(f"{address}: no connection, is there a network? {told}")
    if any(
        word in told.lower()
        for word in ("log in", "login", "sign in", "registered users", "cookies")
    ):
        return JobError(
            f"{address}: the site wants a login; fetch the video in a browser and name the file: {told}"
        )
    return JobError(f"{address}: {told}")


def _bytes(state: dict[str, Any]) -> tuple[int, int]:
    total = state.get("total_bytes") or state.get("total_bytes_estimate") or 0
    return int(state.get("downloaded_bytes") or 0), int(total)


class _Silence:
    """yt-dlp's log, which says all that is raised anyway."""

    def debug(self, told: str) -> None: ...
    def info(self, told: str) -> None: ...
    def warning(self, told: str) -> None: ...
    def error(self, told: str) -> None: ...
