"""A photo fitted on the canvas that a network sees, and boxes mapped between the two.

The photo keeps its aspect, becomes as large as fits and lies in the middle; the rest is grey. The
arithmetic, for a VOC photo of 375 x 500 (height x width) on a canvas of 640 x 640:

    ratio      min(640 / 375, 640 / 500) = 1.28    the long side fills the canvas
    resized    (375 * 1.28, 500 * 1.28) = (480, 640), each rounded to whole pixels
    top, left  ((640 - 480) // 2, (640 - 640) // 2) = (80, 0) pixels of grey before the photo

    photo -> canvas   x * 640 / 500 + 0     y * 480 / 375 + 80
    canvas -> photo   (x - 0) * 500 / 640   (y - 80) * 375 / 480

So the box (100, 50, 200, 150) of the photo is (128, 144, 256, 272) on the canvas. Each axis has its
own factor, because rounding may stretch one of them by up to half a pixel.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluate.tables import Array

Image = Array  # (h, w, 3) uint8 RGB

GREY = 114  # of the canvas beside the photo


@dataclass(frozen=True)
class Letterbox:
    """Where a photo lies on its canvas. Sizes are (height, width)."""

    photo: tuple[int, int]
    resized: tuple[int, int]  # the photo's size on the canvas
    top: int
    left: int

    def to_photo(self, xyxy: Array) -> Array:
        """Boxes (N, 4) on the canvas -> in pixels of the photo, clipped to it, float32."""
        (h, w), (new_h, new_w) = self.photo, self.resized
        moved = (xyxy - np.array([self.left, self.top] * 2, np.float64)) * (
            [w / new_w, h / new_h] * 2
        )
        clipped: Array = np.clip(moved, 0, [w, h, w, h]).astype(np.float32)
        return clipped

    def to_canvas(self) -> Array:
        """Matrix (2, 3) from pixels of the photo to pixels of the canvas."""
        (h, w), (new_h, new_w) = self.photo, self.resized
        return np.array([[new_w / w, 0, self.left], [0, new_h / h, self.top]])


def place_letterbox(photo: tuple[int, int], size: tuple[int, int]) -> Letterbox:
    """The largest centred place for a photo (h, w) on a canvas (H, W), in whole pixels."""
    (h, w), (height, width) = photo, size
    ratio = min(height / h, width / w)
    new_h, new_w = max(1, round(h * ratio)), max(1, round(w * ratio))
    return Letterbox(photo, (new_h, new_w), (height - new_h) // 2, (width - new_w) // 2)


def letterbox(photo: Image, size: tuple[int, int]) -> tuple[Image, Letterbox]:
    """Paint a photo (h, w, 3) on a grey canvas (H, W, 3), enlarging it if need be."""
    place = place_letterbox(photo.shape[:2], size)
    new_h, new_w = place.resized
    canvas = np.full((*size, 3), GREY, np.uint8)

    # Shrinking averages all pixels that fall together; bilinear would read two and skip the rest.
    interpolation = cv2.INTER_AREA if new_h < place.photo[0] else cv2.INTER_LINEAR
    canvas[place.top : place.top + new_h, place.left : place.left + new_w] = cv2.resize(
        photo, (new_w, new_h), interpolation=interpolation
    )
    return canvas, place
