"""Work in a thread of its own, a few items ahead of whoever needs it.

    items ──put──> queue of at most `depth` items ──get──> reader

Both ends block: the worker while the queue is full, the reader while it is empty, so memory stays
bounded. The end, and an exception of the worker, travel through the queue too, behind the last
item: the reader sees all that was ready before the failure.
"""

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """The same items, produced by a thread that runs up to `depth` of them ahead.

    What `items` raises is raised here. When the reader leaves early, the thread ends after the item
    it is working on, and `items` is closed.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    reader_left = threading.Event()

    def work() -> None:
        failure = None
        try:
            with contextlib.closing(items):
                for item in items:
                    ready.put(item)
                    if reader_left.is_set():
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
        reader_left.set()
        while worker.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get_nowait()  # the worker may be waiting for room
            worker.join(0.01)


class _End:
    """No more items; `failure` is what the worker raised, if anything."""

    def __init__(self, failure: BaseException | None):
        self.failure = failure
