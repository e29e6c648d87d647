"""A video from an address, by yt-dlp.

A file is fetched once: its name ends in the height and a hash of the address. What an earlier try
left in part is continued, and a server that fails for the moment (no connection, 429, 5xx) is asked
again after each of PAUSES. All that yt-dlp has to say comes back as one line that says what to do.
"""

import hashlib
import importlib.util
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError, JobError
from evaluate.progress import Advance, Progress, silent

PAUSES = (1.0, 3.0, 9.0)  # seconds before each further try
UNFINISHED = {".part", ".ytdl", ".temp"}
LOGIN_WORDS = ("log in", "login", "sign in", "registered users", "cookies")


def is_address(text: str) -> bool:
    """Whether this is an address rather than a file."""
    return text.startswith(("http://", "https://"))


def fetch(address: str, folder: Path, *, height_max: int, progress: Progress = silent) -> Path:
    """The file with the video at an address, in `folder`.

    It has at most `height_max` lines where the site gives a choice. Sites that send images and
    sound apart need the program ffmpeg; without it, their best file that holds both is taken.
    Progress counts bytes. Raises InputError for an address without a video, JobError when it
    cannot be had.
    """
    if importlib.util.find_spec("yt_dlp") is None:
        raise InputError(
            f"{address}: want the package yt-dlp, which is not installed: pip install yt-dlp"
        )
    mark = f"{height_max}p-{hashlib.sha256(address.encode()).hexdigest()[:10]}"
    for path in folder.glob(f"*-{mark}.*"):
        if path.suffix not in UNFINISHED:
            return path
    folder.mkdir(parents=True, exist_ok=True)

    with ExitStack() as bars:
        options = {
            "outtmpl": str(folder / f"%(id).60B-{mark}.%(ext)s"),
            "restrictfilenames": True,
            "format": "bestvideo*+bestaudio/best" if shutil.which("ffmpeg") else "best",
            "format_sort": [f"res:{height_max}"],
            "noplaylist": True,
            "retries": 10,
            "fragment_retries": 10,
            "socket_timeout": 30,
            "logger": _Silence(),
            "noprogress": True,
            "progress_hooks": [_ByteCounter(progress, bars)],
        }
        details = _with_retries(address, options)
    if "entries" in details:
        count = len(list(details["entries"]))
        raise InputError(f"{address}: want one video, this is a list of {count}")
    return Path(details["requested_downloads"][0]["filepath"])


def _with_retries(address: str, options: dict[str, Any]) -> dict[str, Any]:
    """yt-dlp's details of what it fetched."""
    import yt_dlp  # takes half a second, and a command on a file does not need it

    for pause in (*PAUSES, None):
        try:
            with yt_dlp.YoutubeDL(options) as downloader:
                details: dict[str, Any] = downloader.extract_info(address)
            return details
        except yt_dlp.utils.DownloadError as error:
            failure = _failure(address, error)
            if pause is None or not isinstance(failure, _TemporaryError):
                raise failure from None
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


class _TemporaryError(JobError):
    """A failure that may be over a moment later."""


def _failure(address: str, error: Any) -> Exception:
    """yt-dlp's error as one of ours, in one line that says what to do."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError
    from yt_dlp.utils import GeoRestrictedError, UnsupportedError

    reason = error.exc_info[1] if error.exc_info else error
    text = str(reason.args[0] if reason.args else reason).removeprefix("ERROR: ")
    message = text.split("; please report")[0].splitlines()[0]

    if isinstance(reason, UnsupportedError):
        return InputError(f"{address}: want a page with a video, yt-dlp finds none there")
    if isinstance(reason, GeoRestrictedError):
        return JobError(f"{address}: the site does not show this video in your country")
    for cause in (reason, getattr(reason, "cause", None)):
        if isinstance(cause, HTTPError):
            temporary = cause.status >= 500 or cause.status == 429
            kind = _TemporaryError if temporary else JobError
            return kind(f"{address}: the server says {cause.status} {cause.reason}")
        if isinstance(cause, TransportError):
            return _TemporaryError(f"{address}: no connection, is there a network? {message}")
    if any(word in message.lower() for word in LOGIN_WORDS):
        return JobError(
            f"{address}: the site wants a login; "
            f"fetch the video in a browser and name the file: {message}"
        )
    return JobError(f"{address}: {message}")


class _ByteCounter:
    """Turns what yt-dlp reports, the bytes of a file so far, into a task of Progress per file."""

    def __init__(self, progress: Progress, bars: ExitStack) -> None:
        self._progress, self._bars = progress, bars
        self._advance: dict[str, Advance] = {}  # by file name
        self._bytes: dict[str, int] = {}

    def __call__(self, report: dict[str, Any]) -> None:
        file, done = str(report.get("filename")), int(report.get("downloaded_bytes") or 0)
        if file not in self._advance:
            total = report.get("total_bytes") or report.get("total_bytes_estimate")
            task = self._progress("fetch", total=int(total) if total else None, unit="B", done=done)
            self._advance[file], self._bytes[file] = self._bars.enter_context(task), done
        # Less than before when a server does not continue a file and begins it anew.
        self._advance[file](done - self._bytes[file])
        self._bytes[file] = done


class _Silence:
    """yt-dlp's log, which says nothing that is not raised anyway."""

    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...
