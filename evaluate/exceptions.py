"""What can go wrong, as one tree."""

from collections.abc import Sequence


class InputError(ValueError):
    """Something a person handed over is wrong; the message names it, what was wanted and what was there."""


class InteropError(InputError):
    """Boxes do not fit a table, or a table the other format. `problems` has a line for every offender."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        super().__init__("; ".join(problems[:10]) + more)
