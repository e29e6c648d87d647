"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluate.exceptions import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A scratch path beside `path` to write to; it takes the place of `path` at the end, or goes if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A scratch folder to write to; it takes the place of `folder` at the end, or goes if that fails.

    Raises InputError when `folder` holds anything: what an earlier run left would pass for results of this one.
    """
    folder = folder.resolve()
    scratch = folder.with_name(folder.name + ".part")
    if scratch.exists():
        raise InputError(f"{scratch}: left by a run that was cut off, or yours? want it moved away")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: want a new or an empty folder to write to, something is there")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
