"""Frames through detecting, tracking, drawing and encoding, with a thread for each slow part.

The idea. A step is a frame with its boxes, or a packet (a piece of sound or subtitles) that is
copied as it is. Steps come from one generator and pass through others, in the order of the file:

    first pass    detect_frames -> [track_frames] -> write_video, or collect_boxes for a table alone
    second pass   replay_boxes (the boxes of a table)             -> write_video

Three threads work at once, with a queue between each two (harness.video.prefetch):

    decode ──events──> detect ──steps──> draw, encode

FFmpeg, torch and OpenCV let go of Python's lock while they compute, so the three overlap, and the
slowest of them sets the pace. A queue that is full stops the thread before it, so a long video
needs no more memory than a short one. Worked example: with 20 ms to decode, 50 to detect and 30 to
draw and encode, a frame costs 50 ms, not 100; the decoder waits most of the time.

A GPU looks at several frames together. Frames are then held back until a batch is complete, and the
packets between them too: F1 A F2 B F3 with batches of 2 leaves as F1 A F2 | B F3.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.progress import Advance
from evaluate.tracking.tracker import Tracker
from evaluate.tracking.video_detections import FrameBoxes, VideoDetections
from harness.images.letterbox import Image
from harness.video.overlay import annotated_frame
from harness.video.prefetch import prefetch
from harness.video.source import AnyPacket, Event, Frame, VideoSource
from harness.video.writer import VideoWriter, container_format
from harness.video.yuv import planes_to_rgb

Step: TypeAlias = "tuple[Frame, FrameBoxes] | AnyPacket"  # a packet is one of a copied track
Steps: TypeAlias = "Generator[Step, None, None]"

SAME_TIME_MAX = 1e-3  # seconds that a frame may differ from its row in a table
STEPS_AHEAD = 8  # of the drawing


@dataclass(frozen=True)
class FrameDetector:
    """A detector as the pipeline wants it."""

    detect: Callable[[list[Image]], list[FrameBoxes]]  # RGB images of one size -> boxes of each
    classes: tuple[str, ...]
    batch: int  # number of frames it should see together


def detect_frames(source: VideoSource, detector: FrameDetector) -> Steps:
    """Each frame with what the detector says; packets keep their place among the frames."""

    def detected(events: list[Event]) -> Steps:
        images = [_rgb(source, event) for event in events if isinstance(event, Frame)]
        boxes = iter(detector.detect(images) if images else [])
        for event in events:
            yield (event, next(boxes)) if isinstance(event, Frame) else event

    held_back: list[Event] = []
    frames = 0  # among those held back
    with closing(prefetch(source.events(), 4 + 4 * detector.batch)) as events:
        for event in events:
            held_back.append(event)
            frames += isinstance(event, Frame)
            if frames == detector.batch:
                yield from detected(held_back)
                held_back, frames = [], 0
        yield from detected(held_back)


def replay_boxes(source: VideoSource, video: VideoDetections) -> Steps:
    """Each frame with its boxes in the table. Raises InputError for the table of another video."""
    boxes, count = video.frames(), 0
    for event in source.events():
        if not isinstance(event, Frame):
            yield event
            continue
        time = event.seconds(source.time_base)
        if count == len(boxes) or abs(time - video.time[count]) > SAME_TIME_MAX:
            row = f"{video.time[count]:.3f} s" if count < len(boxes) else "nothing"
            raise InputError(
                f"the table is of another video: frame {count} is at {time:.3f} s, "
                f"the table has {row}"
            )
        yield event, boxes[count]
        count += 1
    if count < len(boxes):
        raise InputError(
            f"the table is of another video: it has {len(boxes):,} frames, the video {count:,}"
        )


def track_frames(source: VideoSource, steps: Steps, tracker: Tracker) -> Steps:
    """The same frames with the tracker's boxes."""
    with closing(steps):
        for step in steps:
            if isinstance(step, tuple):
                frame, boxes = step
                time = frame.seconds(source.time_base)
                yield frame, tracker.track(time, frame.shot, boxes)
            else:
                yield step


def collect_boxes(
    source: VideoSource, steps: Steps, classes: Sequence[str], advance: Advance
) -> VideoDetections:
    """The table of all steps; nothing is written. `advance` is called for each frame."""
    record = _Record(source, classes)
    with closing(steps):
        for step in steps:
            if isinstance(step, tuple):
                record.add(*step)
                advance(1)
    return record.table()


def write_video(
    source: VideoSource,
    steps: Steps,
    classes: Sequence[str],
    out: Path,
    conf_min: float,
    advance: Advance,
) -> VideoDetections:
    """Write the video to `out`, whole or not at all, with the boxes of `drawn_mask` on each frame.

    -> the table of all boxes, also those not drawn, clipped to the frame; boxes wholly outside go.
    `advance` is called for each frame.
    """
    record = _Record(source, classes)
    with (
        written_whole(out) as scratch,
        VideoWriter(scratch, source, container_format(out)) as writer,
        closing(prefetch(steps, STEPS_AHEAD)) as ready,
    ):
        for step in ready:
            if isinstance(step, tuple):
                frame, boxes = step[0], _clipped(*step)
                image = annotated_frame(frame.planes, source.colours, boxes, classes, conf_min)
                writer.write_frame(frame, image)
                record.add(frame, boxes)
                advance(1)
            else:
                writer.copy_packet(step)
        source.damaged += writer.refused
    return record.table()


def _rgb(source: VideoSource, frame: Frame) -> Image:
    """Without the padding that makes odd sides even."""
    h, w = frame.size
    return planes_to_rgb(frame.planes, source.colours)[:h, :w]


def _clipped(frame: Frame, boxes: FrameBoxes) -> FrameBoxes:
    h, w = frame.size
    xyxy = boxes.xyxy.clip(0, (w, h, w, h))
    inside = (xyxy[:, 2:] > xyxy[:, :2]).all(1)
    return FrameBoxes(*(column[inside] for column in boxes._replace(xyxy=xyxy)))


class _Record:
    """Collects frames and their boxes for a table."""

    def __init__(self, source: VideoSource, classes: Sequence[str]):
        self._source, self._classes = source, classes
        self._image_ids: list[str] = []
        self._times: list[float] = []
        self._shots: list[int] = []
        self._boxes: list[FrameBoxes] = []

    def add(self, frame: Frame, boxes: FrameBoxes) -> None:
        self._image_ids.append(self._source.image_id(frame.index))
        self._times.append(frame.seconds(self._source.time_base))
        self._shots.append(frame.shot)
        self._boxes.append(boxes)

    def table(self) -> VideoDetections:
        return VideoDetections.from_frames(
            self._image_ids, self._classes, self._times, self._shots, self._boxes
        )
