"""One file from the network: resumed where it stopped, checked, there whole or not at all."""

import hashlib
import os
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from evaluate.exceptions import DownloadError
from evaluate.progress import Progress, silent

CHUNK = 1 << 18  # bytes
TIMEOUT = 30  # seconds without a byte
PAUSE = 2.0  # seconds between two tries
TRIES = 5  # in a row that bring nothing


def download(
    url: str,
    path: Path,
    *,
    md5: str = "",
    sha256: str = "",
    by_hand: str = "",
    progress: Progress = silent,
) -> None:
    """Make `path` the file at `url`, unless a file with the right hash is there already.

    The bytes go to `path`.part, where a later call goes on. A connection that drops is taken up
    again. Raises DownloadError when none can be made, when the fifth try in a row brings nothing,
    when the server refuses, and for a wrong hash; it ends in `by_hand`, what to do with a copy from
    elsewhere (without it: the place to put one).
    """
    by_hand = by_hand or f"a copy placed at {path} is used instead"
    kind, wanted = ("md5", md5) if md5 else ("sha256", sha256)
    if path.exists():
        if wanted and _digest(path, kind) != wanted:
            raise DownloadError(
                f"{path}: {kind} is {_digest(path, kind)}, want {wanted}; remove the file to fetch "
                "it"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.touch()

    # A file of hundreds of megabytes seldom comes in one go. Each try asks for the bytes that
    # `part` lacks; only tries that bring nothing count, so a line that breaks often still ends.
    idle, came = 0, False  # tries in a row without a byte; whether this call has had any
    while True:
        before = part.stat().st_size
        try:
            if _fetch(url, part, progress):
                break
            failure = OSError("the connection ended early")
        except HTTPError as error:
            raise DownloadError(
                f"{url}: the server says {error.code} {error.reason}; {by_hand}"
            ) from None
        except HTTPException as error:
            failure = OSError(f"not HTTP: {error!r}")
        except OSError as error:
            failure = error
        more = part.stat().st_size > before
        idle, came = 0 if more else idle + 1, came or more
        if idle == TRIES or isinstance(failure, URLError) and not came:  # the latter: no network
            raise DownloadError(f"{url}: {failure}; {by_hand}")
        time.sleep(PAUSE)

    if wanted and (digest := _digest(part, kind)) != wanted:
        part.unlink()  # a next call starts over
        raise DownloadError(f"{url}: {kind} of what came is {digest}, want {wanted}; {by_hand}")
    os.replace(part, path)


def _fetch(url: str, part: Path, progress: Progress) -> bool:
    """Append what `part` lacks; True when it is whole, False when the connection ended before."""
    have = part.stat().st_size
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:
            raise
        # 416: nothing lies beyond what we have, so it is whole, unless the file there is another
        whole: bool = error.headers.get("Content-Range") == f"bytes */{have}"
        if not whole:
            os.truncate(part, 0)  # of another file
        return whole
    with response, open(part, "ab") as file:
        if response.status != 206:  # the server sends the file from its start
            have = 0
            file.truncate(0)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None  # None: the server does not say
        with progress("fetch", total=total, unit="B", done=have) as advance:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                advance(len(chunk))
    return total is None or have == total


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
