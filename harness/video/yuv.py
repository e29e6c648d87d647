"""Frames as H.264 keeps them: luma for every pixel, colour for every other one in both directions.

A pixel is not stored as red, green and blue but as Y (luma, how bright), Cb (how much bluer than
grey) and Cr (how much redder). The eye sees brightness sharper than colour, so chroma is
subsampled, which is called 4:2:0: each 2 x 2 pixels share one Cb and one Cr. Worked example, a
frame of 4 x 6 pixels:

    Y  (4, 6)   Y Y Y Y Y Y        24 bytes, one per pixel
                Y Y Y Y Y Y
                Y Y Y Y Y Y
                Y Y Y Y Y Y
    Cb (2, 3)   B B B               6 bytes, one per 2 x 2 pixels
                B B B
    Cr (2, 3)   R R R               6 bytes
                R R R

36 bytes instead of the 72 of RGB. They lie one after the other in an array of (4 * 3 / 2, 6),
which is what `Planes` means. How Y, Cb and Cr are computed from RGB differs between files;
ColourTags says.

RGB is made for the detector alone. Boxes are drawn on the planes (harness.video.overlay), so that
the rest of a frame does not go to RGB and back, which would cost time and a little colour.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame

from evaluate.tables import Array
from harness.images.letterbox import Image

Planes = Array  # (h * 3 / 2, w) uint8, h and w even: Y (h, w), then Cb and Cr (h / 2, w / 2)

SCALERS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # H.264's number of a colour matrix -> swscale's
LUMA_WEIGHTS = {  # H.264's number of a colour matrix -> weights of red and blue in luma
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
LUMA_WEIGHTS_ELSE = (0.299, 0.114)
FULL_RANGE = 2


@dataclass(frozen=True)
class ColourTags:
    """H.264's numbers for what the planes mean; 2 is "not specified", and so is a range of 0."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    range: int = 0  # 1: luma uses 16 to 235, chroma 16 to 240; 2: both use 0 to 255

    def ycbcr(self, rgb: Image) -> Array:
        """Y, Cb and Cr (h, w, 3) uint8 of an RGB image (h, w, 3), at full resolution.

        Y is a weighted mean of red, green and blue. Cb is blue - Y and Cr is red - Y, each divided
        by its largest possible value times 2, so that it lies within 0.5 of grey, which is at 128.
        """
        kr, kb = LUMA_WEIGHTS.get(self.matrix, LUMA_WEIGHTS_ELSE)
        luma = np.array([kr, 1 - kr - kb, kb])
        cb, cr = ([0, 0, 1] - luma) / (2 - 2 * kb), ([1, 0, 0] - luma) / (2 - 2 * kr)

        full = self.range == FULL_RANGE
        scale = [1, 1, 1] if full else [219 / 255, 224 / 255, 224 / 255]
        rows = np.array([luma, cb, cr]) * np.array(scale)[:, None]
        offset = [0 if full else 16, 128, 128]
        converted: Array = cv2.transform(rgb, np.column_stack([rows, offset]))
        return converted


def rgb_to_planes(image: Image, colours: ColourTags) -> Planes:
    """(h, w, 3) RGB -> planes. Odd sides get one more row or column, a copy of the last."""
    h, w = image.shape[:2]
    if h % 2 or w % 2:
        image = np.pad(image, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    frame = VideoFrame.from_numpy_buffer(np.ascontiguousarray(image))
    matrix, value_range = SCALERS.get(colours.matrix), colours.range or None
    planes: Planes = frame.to_ndarray(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=value_range, threads=1
    )
    return planes


def planes_to_rgb(planes: Planes, colours: ColourTags) -> Image:
    """-> (h, w, 3) RGB."""
    frame = planes_to_frame(planes)
    frame.colorspace, frame.color_range = colours.matrix, colours.range
    image: Image = frame.to_ndarray(format="rgb24", threads=1)
    return image


def planes_to_frame(planes: Planes) -> VideoFrame:
    """A copy as FFmpeg's frame.

    PyAV's own `from_ndarray` takes two rows too few where the height is not a multiple of four.
    """
    parts = split_planes(planes)
    h, w = parts[0].shape
    frame = VideoFrame(w, h, "yuv420p")
    for source, target in zip(parts, frame_planes(frame), strict=True):
        target[:] = source
    return frame


def frame_planes(frame: VideoFrame) -> list[Array]:
    """Writable views of Y (h, w), Cb and Cr (h / 2, w / 2) of FFmpeg's frame."""
    views = []
    for plane in frame.planes:
        buffer: Any = plane
        rows = np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)  # padded on the right
        views.append(rows[: plane.height, : plane.width])
    return views


def split_planes(planes: Planes) -> list[Array]:
    """Views of Y (h, w), Cb and Cr (h / 2, w / 2)."""
    w = planes.shape[1]
    h = planes.shape[0] * 2 // 3
    luma, cb, cr = np.split(planes.reshape(-1), [h * w, h * w * 5 // 4])
    return [luma.reshape(h, w), cb.reshape(h // 2, w // 2), cr.reshape(h // 2, w // 2)]
