"""Boxes and captions painted on a frame, on its luma and chroma planes.

What is painted is the same as `harness.images.drawing.draw_boxes` paints on RGB, only in other
colours: red, green and blue become Y, Cb and Cr, and on the half-resolution planes every position
is halved. Worked example: a line 3 pixels wide from x = 41 is drawn on the luma plane at 41, and
on both chroma planes at 41 // 2 = 20 with a width of (3 + 1) // 2 = 2. Colour can thus reach one
pixel further than the line, never less far.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from av.video.frame import VideoFrame

from evaluate.tables import Array
from evaluate.tracking.video_detections import FrameBoxes, drawn_mask
from harness.images.drawing import captions, outlines
from harness.video.yuv import ColourTags, Planes, frame_planes, planes_to_frame


def annotated_frame(
    planes: Planes, colours: ColourTags, boxes: FrameBoxes, classes: Sequence[str], conf_min: float
) -> VideoFrame:
    """FFmpeg's frame with the boxes of `drawn_mask`, the best on top.

    Each caption names the class and the number of the track, or the score where there is none.
    """
    rows = np.flatnonzero(drawn_mask(boxes, conf_min))
    rows = rows[np.argsort(-boxes.score[rows], kind="stable")]
    texts = [
        f"{classes[boxes.label[row]]} {boxes.track[row] or format(boxes.score[row], '.2f')}"
        for row in rows.tolist()
    ]
    frame = planes_to_frame(planes)
    draw_on_planes(frame_planes(frame), colours, boxes.xyxy[rows], boxes.label[rows], texts)
    return frame


def draw_on_planes(
    planes: Sequence[Array], colours: ColourTags, xyxy: Array, labels: Array, texts: Sequence[str]
) -> None:
    """Paint boxes and captions on Y (h, w), Cb and Cr (h / 2, w / 2), in place."""
    luma, *chroma = planes

    for (x1, y1), (x2, y2), rgb, width in outlines(luma, xyxy, labels):
        bright, *tint = colours.ycbcr(np.array([[rgb]], np.uint8))[0, 0].tolist()
        cv2.rectangle(luma, (x1, y1), (x2, y2), bright, width)
        for plane, value in zip(chroma, tint, strict=True):
            cv2.rectangle(plane, (x1 // 2, y1 // 2), (x2 // 2, y2 // 2), value, (width + 1) // 2)

    for x, y, plate in captions(luma, xyxy, labels, texts):
        # An even place and size, so that the plate covers whole chroma pixels.
        x, y, (h, w) = x // 2, y // 2, (side // 2 for side in plate.shape[:2])
        full = colours.ycbcr(plate[: 2 * h, : 2 * w])  # (2h, 2w, 3)
        halved = cv2.resize(full, (w, h), interpolation=cv2.INTER_AREA)  # (h, w, 3)
        luma[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)] = full[..., 0]
        for channel, plane in enumerate(chroma, start=1):
            plane[y : y + h, x : x + w] = halved[..., channel]
