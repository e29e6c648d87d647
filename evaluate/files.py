"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluate.exceptions import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A scratch path to write to. It becomes `path` at the end, and is removed if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A scratch folder to write to. It becomes `folder` at the end, and is removed if that fails.

    Raises InputError when `folder` holds anything: what an earlier run left would pass for results
    of this one.
    """
    folder = folder.resolve()
    scratch = folder.with_name(folder.name + ".part")
    if scratch.exists():
        raise InputError(
            f"{scratch}: left by a run that was cut off? Move or delete it, then try again"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: want a new or an empty folder to write to, something is there")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
