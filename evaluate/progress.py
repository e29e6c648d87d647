"""How a long task tells how far it is: one protocol, from a sweep to a download.

A library function takes `progress: Progress = silent` and says what it does, how many units that
is, and each time how many more are done:

    with progress("sweep", total=len(blocks), unit="block") as advance:
        for block in blocks:
            ...
            advance(1)

The command line hands in one that draws a bar; `silent` draws nothing.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Units that are done since the last call, and values to show beside the bar."""

    def __call__(self, units: int = 1, /, **shown: str) -> None: ...


class Progress(Protocol):
    """Starts to show one task. `total` is None where nobody knows it beforehand."""

    def __call__(
        self, task: str, *, total: int | None = None, unit: str = "it", done: int = 0
    ) -> AbstractContextManager[Advance]: ...


@contextmanager
def silent(
    task: str, *, total: int | None = None, unit: str = "it", done: int = 0
) -> Iterator[Advance]:
    """Shows nothing."""

    def advance(units: int = 1, /, **shown: str) -> None:
        pass

    yield advance
