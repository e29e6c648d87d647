"""A video with its detections drawn on it, in one pass, or in two where tracks can look ahead.

boxes from     tracked   input    passes
a detector     no        any      detect and draw
a detector     yes       camera   detect, track looking back, draw
a detector     yes       file     detect; smooth the tracks of the whole table; draw
a table        no / yes  file     (smooth the tracks;) draw
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluate.progress import Progress, silent
from evaluate.tracking.smoother import smooth_tracks
from evaluate.tracking.tracker import Tracker
from evaluate.tracking.video_detections import VideoDetections
from harness.video.inputs import Camera
from harness.video.pipeline import (
    FrameDetector,
    collect_boxes,
    detect_frames,
    replay_boxes,
    track_frames,
    write_video,
)
from harness.video.source import VideoSource
from harness.video.writer import container_format


@dataclass(frozen=True)
class Annotated:
    """What came of it."""

    video: VideoDetections  # all boxes, also those that are not drawn
    damaged: int  # frames and stretches of the input that were missing or could not be read whole


def annotate(
    open_source: Callable[[], VideoSource],
    out: Path,
    boxes: FrameDetector | VideoDetections,
    *,
    conf_min: float,
    track: bool,
    progress: Progress = silent,
) -> Annotated:
    """Draw a detector's or a table's boxes on a video, written to `out` whole or not at all.

    Boxes scored `conf_min` or more are drawn, and tracked objects. `open_source` is called for each
    pass. Progress counts frames. Raises InputError for an ending of `out` that cannot be written,
    before any work.
    """
    container_format(out)

    if isinstance(boxes, VideoDetections):
        video = boxes
    else:
        with (
            _opened(open_source) as source,
            progress("detect", total=source.total, unit="frame") as advance,
        ):
            steps, classes = detect_frames(source, boxes), boxes.classes
            if not track or source.live:
                if track:
                    steps = track_frames(source, steps, Tracker(len(classes), conf_min))
                drawn = write_video(source, steps, classes, out, conf_min, advance)
                return Annotated(drawn, source.damaged)
            video = collect_boxes(source, steps, classes, advance)

    if track:
        video = smooth_tracks(video, conf_min)
    frames = len(video.image_ids)
    with (
        _opened(open_source) as source,
        progress("draw", total=frames, unit="frame") as advance,
    ):
        steps = replay_boxes(source, video)
        drawn = write_video(source, steps, video.classes, out, conf_min, advance)
        return Annotated(drawn, source.damaged)


@contextmanager
def _opened(open_source: Callable[[], VideoSource]) -> Iterator[VideoSource]:
    """The source, closed at the end. Ctrl-C ends a camera's recording like the end of a file."""
    source = open_source()
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(source, Camera):
        camera = source
        signal.signal(signal.SIGINT, lambda number, frame: camera.stop())
    try:
        yield source
    finally:
        signal.signal(signal.SIGINT, handler)
        source.close()
