"""Loops that numpy has no word for. The one place that imports numba or what needs it.

Importing numba takes half a second, more than most commands do in all. So compiled functions live in
files of their own, named *_kernel.py, which nothing imports at its start:

    walk = Kernels("evaluate.sweep.walk_kernel")      at the top of a file: costs nothing
    hit = walk.hits(alive, target, truths)            imports numba and the file, then calls

A loop that is also worth running over few rows stays plain Python, and `loop` compiles it only when
there are many.
"""

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

FEW = 5_000  # rows that the interpreter walks sooner than numba is imported


class Kernels:
    """The compiled functions of one file, such as "evaluate.nms_kernel", imported at their first use."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        function = getattr(importlib.import_module(self._module), name)
        setattr(self, name, function)  # the next call finds it without coming here
        return function


def loop(function: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """`function`, compiled when it has many rows to walk. Both round alike: numba's fast maths stays off."""
    return function if rows < FEW else compiled(function)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code, which is kept on disk beside its file. Imports numba."""
    import numba

    machine_code: Callable[..., Any] = numba.njit(cache=True)(function)
    return machine_code
