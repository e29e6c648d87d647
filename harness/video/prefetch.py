"""Work in a thread of its own, a little ahead of who needs it."""

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread that is up to `depth` of them ahead. What it raises is raised here.

    When the reader leaves early, the thread ends after the item it is at, and `items` is closed.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    left = threading.Event()

    def work() -> None:
        failure = None
        try:
            with contextlib.closing(items):
                for item in items:
                    ready.put(item)
                    if left.is_set():
                        return
        except BaseException as error:
            failure = error
        ready.put(_End(failure))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.failure is not None:
            raise item.failure
    finally:
        left.set()
        while worker.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get_nowait()  # it may be waiting for room
            worker.join(0.01)


class _End:
    def __init__(self, failure: BaseException | None):
        self.failure = failure
