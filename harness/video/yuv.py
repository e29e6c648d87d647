"""Pictures as H.264 keeps them: brightness of every pixel, colour of every other one in both directions.

Boxes are drawn on these planes, so that what lies beside a box is not turned into RGB and back, which would cost time
and a little colour. RGB is made for the detector alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np

from evaluate.tables import Array
from harness.images.drawing import captions, outlines
from harness.images.letterbox import Image

Planes = Array  # (h * 3 / 2, w) uint8, h and w even: brightness (h, w), then blueness and redness (h / 2, w / 2)

SCALERS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # H.264's number of a colour matrix -> swscale's
WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}  # of red and blue in brightness
WEIGHTS_ELSE = (0.299, 0.114)


@dataclass(frozen=True)
class Colours:
    """H.264's numbers for what the planes mean; 2 is "not said", a range of 0 too, 2 is full."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    range: int = 0

    def of(self, rgb: Image) -> Array:
        """Brightness, blueness and redness (h, w, 3) uint8 of an RGB image."""
        kr, kb = WEIGHTS.get(self.matrix, WEIGHTS_ELSE)
        light = np.array([kr, 1 - kr - kb, kb])
        blueness, redness = ([0, 0, 1] - light) / (2 - 2 * kb), ([1, 0, 0] - light) / (2 - 2 * kr)
        full = self.range == 2
        scale = [1, 1, 1] if full else [219 / 255, 224 / 255, 224 / 255]
        rows = np.array([light, blueness, redness]) * np.array(scale)[:, None]
        planes: Array = cv2.transform(rgb, np.column_stack([rows, [0 if full else 16, 128, 128]]))
        return planes


def from_rgb(image: Image, colours: Colours) -> Planes:
    """Odd sides get one more row or column, a copy of the last."""
    h, w = image.shape[:2]
    if h % 2 or w % 2:
        image = np.pad(image, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image))
    matrix, full = SCALERS.get(colours.matrix), colours.range or None
    planes: Planes = frame.to_ndarray(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=full, threads=1
    )
    return planes


def to_rgb(planes: Planes, colours: Colours) -> Image:
    """-> (h, w, 3)."""
    frame = as_frame(planes)
    frame.colorspace, frame.color_range = colours.matrix, colours.range
    image: Image = frame.to_ndarray(format="rgb24", threads=1)
    return image


def as_frame(planes: Planes) -> Any:
    """A copy for FFmpeg. PyAV's own way takes two rows too few where the height is no multiple of four."""
    light, *_ = parts = split(planes)
    frame = av.VideoFrame(light.shape[1], light.shape[0], "yuv420p")
    for part, place in zip(parts, of_frame(frame), strict=True):
        place[:] = part
    return frame


def of_frame(frame: Any) -> list[Array]:
    """Views of brightness (h, w), blueness and redness (h / 2, w / 2) of FFmpeg's frame."""
    rows = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    return [
        part[: plane.height, : plane.width] for part, plane in zip(rows, frame.planes, strict=True)
    ]


def split(planes: Planes) -> list[Array]:
    """Views of brightness (h, w), blueness and redness (h / 2, w / 2)."""
    w = planes.shape[1]
    h = planes.shape[0] * 2 // 3
    light, blueness, redness = np.split(planes.reshape(-1), [h * w, h * w * 5 // 4])
    return [light.reshape(h, w), blueness.reshape(h // 2, w // 2), redness.reshape(h // 2, w // 2)]


def draw(
    parts: Sequence[Array], colours: Colours, xyxy: Array, labels: Array, texts: Sequence[str]
) -> None:
    """Boxes and captions on brightness and tints, in place, as `harness.images.drawing.draw_boxes` draws them on RGB."""
    light, *tints = parts
    for (x1, y1), (x2, y2), colour, thick in outlines(light, xyxy, labels):
        bright, *tinted = colours.of(np.array([[colour]], np.uint8))[0, 0].tolist()
        cv2.rectangle(light, (x1, y1), (x2, y2), bright, thick)
        for tint, value in zip(tints, tinted, strict=True):
            cv2.rectangle(tint, (x1 // 2, y1 // 2), (x2 // 2, y2 // 2), value, (thick + 1) // 2)
    for x, y, plate in captions(light, xyxy, labels, texts):
        x, y, (h, w) = x // 2, y // 2, (side // 2 for side in plate.shape[:2])
        large = colours.of(plate[: 2 * h, : 2 * w])
        small = cv2.resize(large, (w, h), interpolation=cv2.INTER_AREA)
        light[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)] = large[..., 0]
        for channel, tint in enumerate(tints, start=1):
            tint[y : y + h, x : x + w] = small[..., channel]
