"""`harness video`: one pass over a video, or two where boxes are steadied with what comes later."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.tracking.tracker import Tracker, steady
from evaluate.tracking.video_table import Footage
from harness.video.inputs import Camera
from harness.video.pipeline import Finder, detected, render, replayed, scan, steadied
from harness.video.source import Source
from harness.video.writer import want_format

KEEP_MIN = 0.05  # score of the boxes that a table keeps: --track and a later --conf start from them

Bar = Callable[
    [str, int | None], AbstractContextManager[Any]
]  # what is done, how many pictures -> a progress bar


@dataclass(frozen=True)
class Film:
    """What came of it."""

    footage: Footage
    damaged: int  # pictures and stretches of the input that were missing or could not be read whole


def film(
    open_source: Callable[[], Source],
    out: Path,
    boxes: Finder | Footage,
    *,
    conf: float,
    track: bool,
    bar: Bar,
) -> Film:
    """Draw what a detector finds, or what a table says, on a video; write it to `out`, whole or not at all.

    A file is tracked in two passes, so that each box knows what comes later; a camera as it goes.
    """
    want_format(out)
    if isinstance(boxes, Footage):
        footage = boxes
    else:
        with _opened(open_source) as source, bar("detect", source.total) as shown:
            steps, classes = detected(source, boxes), boxes.classes
            if not track or source.live:
                if track:
                    steps = steadied(source, steps, Tracker(len(classes), conf))
                footage = render(source, steps, classes, out, conf, shown.update)
                return Film(footage, source.damaged)
            footage = scan(source, steps, classes, shown.update)
    if track:
        footage = steady(footage, conf)
    with _opened(open_source) as source, bar("draw", len(footage.image_ids)) as shown:
        drawn = render(source, replayed(source, footage), footage.classes, out, conf, shown.update)
        return Film(drawn, source.damaged)


@contextmanager
def _opened(open_source: Callable[[], Source]) -> Iterator[Source]:
    """The source, closed at the end; Ctrl-C ends the recording of a camera as if it were a file's end."""
    source = open_source()
    before = signal.getsignal(signal.SIGINT)
    if isinstance(source, Camera):
        camera = source
        signal.signal(signal.SIGINT, lambda number, at: camera.stop())
    try:
        yield source
    finally:
        signal.signal(signal.SIGINT, before)
        source.close()
