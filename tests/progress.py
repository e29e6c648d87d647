"""A progress bar for tests."""

from contextlib import contextmanager


class Tasks:
    """A Progress that remembers its tasks."""

    def __init__(self):
        self.totals, self.done = {}, {}

    @contextmanager
    def __call__(self, task, *, total=None, unit="it", done=0):
        self.totals[task], self.done[task] = total, done

        def advance(units=1, **shown):
            self.done[task] += units

        yield advance
