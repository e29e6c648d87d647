"""From a source to a film: decoding, detecting, and drawing with encoding, each in a thread of its own."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.tables import Array
from evaluate.tracking.tracker import Tracker
from evaluate.tracking.video_table import Footage, Found, gather
from harness.images.letterbox import Image
from harness.video.prefetch import ahead
from harness.video.source import AnyPacket, Event, Picture, Source
from harness.video.writer import Writer, want_format
from harness.video.yuv import Colours, Planes, as_frame, draw, of_frame, to_rgb

Step: TypeAlias = "tuple[Picture, Found] | AnyPacket"  # a packet is one of a copied track
Steps: TypeAlias = "Generator[Step, None, None]"
Done = Callable[[int], object]  # is told the number of pictures that were finished

SAME_TIME = 1e-3  # seconds


@dataclass(frozen=True)
class Finder:
    """A detector."""

    find: Callable[[list[Image]], list[Found]]  # pictures of one size -> what is on each
    classes: tuple[str, ...]
    batch: int  # pictures it likes to see together


def detected(source: Source, finder: Finder) -> Steps:
    """Each picture with what is found on it, some looked at together; packets keep their place."""

    def answered(events: list[Event]) -> Steps:
        images = [_rgb(source, event) for event in events if isinstance(event, Picture)]
        found = iter(finder.find(images) if images else [])
        for event in events:
            yield (event, next(found)) if isinstance(event, Picture) else event

    waiting: list[Event] = []
    pictures = 0
    with closing(ahead(source.events(), 4 + 4 * finder.batch)) as events:
        for event in events:
            waiting.append(event)
            pictures += isinstance(event, Picture)
            if pictures == finder.batch:
                yield from answered(waiting)
                waiting, pictures = [], 0
        yield from answered(waiting)


def replayed(source: Source, footage: Footage) -> Steps:
    """Each picture with what the table says. Raises InputError when the table is of another video."""
    pictures, count = footage.pictures(), 0
    for event in source.events():
        if not isinstance(event, Picture):
            yield event
            continue
        time = _time(source, event)
        if count == len(pictures) or abs(time - footage.time[count]) > SAME_TIME:
            there = f"{footage.time[count]:.3f} s" if count < len(pictures) else "nothing"
            raise InputError(
                f"the table is of another video: picture {count} is at {time:.3f} s, the table has {there}"
            )
        yield event, pictures[count]
        count += 1
    if count < len(pictures):
        raise InputError(
            f"the table is of another video: it has {len(pictures):,} pictures, the video {count:,}"
        )


def steadied(source: Source, steps: Steps, tracker: Tracker) -> Steps:
    """The same pictures with the tracker's boxes."""
    with closing(steps):
        for step in steps:
            if isinstance(step, tuple):
                picture, found = step
                yield picture, tracker.see(_time(source, picture), picture.shot, found)
            else:
                yield step


def scan(source: Source, steps: Steps, classes: Sequence[str], done: Done) -> Footage:
    """The table of all steps; nothing is written."""
    record = _Record(source, classes)
    with closing(steps):
        for step in steps:
            if isinstance(step, tuple):
                record.add(*step)
                done(1)
    return record.table()


def render(
    source: Source, steps: Steps, classes: Sequence[str], out: Path, conf: float, done: Done
) -> Footage:
    """Write the film to `out`, whole or not at all, with what `shown` leaves of each picture.

    -> the table of all boxes, cut to the picture; those wholly outside go.
    """
    record = _Record(source, classes)
    with (
        written_whole(out) as scratch,
        Writer(scratch, source, want_format(out)) as writer,
        closing(ahead(steps, 8)) as coming,
    ):
        for step in coming:
            if isinstance(step, tuple):
                picture, found = step[0], _inside(*step)
                writer.show(picture, drawn(picture.planes, source.colours, found, classes, conf))
                record.add(picture, found)
                done(1)
            else:
                writer.copy(step)
        source.damaged += writer.refused
    return record.table()


def shown(boxes: Footage | Found, conf: float) -> Array:
    """Which boxes are drawn: objects, and those with a score of at least `conf`. -> (n,) bool."""
    chosen: Array = (boxes.track > 0) | (boxes.score >= np.float32(conf))
    return chosen


def drawn(
    planes: Planes, colours: Colours, found: Found, classes: Sequence[str], conf: float
) -> Any:
    """FFmpeg's frame of the picture with its boxes, the best on top, each captioned with class and score or track."""
    rows = np.flatnonzero(shown(found, conf))
    rows = rows[np.argsort(-found.score[rows], kind="stable")]
    texts = [
        f"{classes[found.label[row]]} {found.track[row] or format(found.score[row], '.2f')}"
        for row in rows.tolist()
    ]
    frame = as_frame(planes)
    draw(of_frame(frame), colours, found.xyxy[rows], found.label[rows], texts)
    return frame


def _rgb(source: Source, picture: Picture) -> Image:
    h, w = picture.size
    return to_rgb(picture.planes, source.colours)[:h, :w]


def _inside(picture: Picture, found: Found) -> Found:
    h, w = picture.size
    xyxy = found.xyxy.clip(0, (w, h, w, h))
    keep = (xyxy[:, 2:] > xyxy[:, :2]).all(1)
    return Found(*(column[keep] for column in found._replace(xyxy=xyxy)))


class _Record:
    """Steps that become a table."""

    def __init__(self, source: Source, classes: Sequence[str]):
        self._source, self._classes = source, classes
        self._image_ids: list[str] = []
        self._times: list[float] = []
        self._shots: list[int] = []
        self._found: list[Found] = []

    def add(self, picture: Picture, found: Found) -> None:
        self._image_ids.append(self._source.image_id(picture.index))
        self._times.append(_time(self._source, picture))
        self._shots.append(picture.shot)
        self._found.append(found)

    def table(self) -> Footage:
        return gather(self._image_ids, self._classes, self._times, self._shots, self._found)


def _time(source: Source, picture: Picture) -> float:
    """Seconds."""
    return float(picture.pts * source.time_base)
