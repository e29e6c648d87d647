"""Loops that numpy has no word for, compiled by numba. The one place that imports numba.

Importing numba takes half a second, more than most commands do in all. So compiled functions live
in files of their own, named *_kernel.py, which nothing imports at its start:

    walk = Kernels("evaluate.sweep.walk_kernel")      at the top of a file: costs nothing
    hit = walk.hits(alive, target, truths)            imports numba and the file, then calls

A loop that also pays off over a few rows stays plain Python, and `loop` compiles it only when there
are many. numba keeps machine code on disk, in __pycache__ beside the source.
"""

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

FEW = 5_000  # rows that the interpreter walks sooner than numba is imported


class Kernels:
    """The compiled functions of one file, such as "evaluate.nms_kernel", imported at first use."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by copy, pickle or inspect, which want no kernel
            raise AttributeError(name)
        module = importlib.import_module(self._module)
        _forget_stale(module)
        function = getattr(module, name)
        setattr(self, name, function)  # the next call finds it without coming here
        return function


def _forget_stale(module: ModuleType) -> None:
    """Remove machine code of this file that is older than a kernel file whose functions it calls.

    They are compiled into its own. numba compiles anew when the file itself changes, but does not
    notice when one that it calls does.
    """
    called = {getattr(value, "__module__", None) or "" for value in vars(module).values()}
    files = [sys.modules[name].__file__ for name in called if name.endswith("_kernel")]
    changed = max(os.stat(file).st_mtime for file in files if file)
    folder = Path(str(module.__file__)).parent / "__pycache__"
    for index in folder.glob(module.__name__.rpartition(".")[2] + ".*.nbi"):
        with suppress(FileNotFoundError):  # another process was faster
            if index.stat().st_mtime < changed:
                index.unlink()


def loop(function: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """`function`, compiled if it has many rows to walk. Both give the same bits: no fast maths."""
    return function if rows < FEW else compiled(function)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code. Imports numba."""
    import numba

    machine_code: Callable[..., Any] = numba.njit(cache=True)(function)
    return machine_code
