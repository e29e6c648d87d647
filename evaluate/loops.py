"""Loops that numpy has no word for: interpreted over few rows, compiled by numba over many."""

from collections.abc import Callable
from functools import cache
from typing import Any

FEW = 5_000  # rows that the interpreter walks sooner than numba is imported


def loop(function: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """`function`, compiled when it has many rows to walk. Both round alike: numba's fast maths stays off."""
    return function if rows < FEW else compiled(function)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code, which is kept on disk beside its file. Imports numba."""
    import numba

    machine_code: Callable[..., Any] = numba.njit(cache=True)(function)
    return machine_code
