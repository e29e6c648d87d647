"""A photo fitted on the canvas that a network sees, and boxes back again."""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluate.tables import Array

Image = Array  # (h, w, 3) uint8 RGB


GREY = 114  # where there is no photo


@dataclass(frozen=True)
class Frame:
    """Where a photo lies on its letterbox canvas. Sizes are (height, width)."""

    photo: tuple[int, int]
    resized: tuple[int, int]
    top: int
    left: int

    def to_photo(self, xyxy: Array) -> Array:
        """Boxes (N, 4) xyxy in pixels of the canvas -> the same in pixels of the photo, clipped to it, float32."""
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


def frame_in(photo: tuple[int, int], size: tuple[int, int]) -> Frame:
    """The largest centred place for a photo (h, w) on a canvas (H, W), aspect kept, in whole pixels."""
    (h, w), (height, width) = photo, size
    ratio = min(height / h, width / w)
    new_h, new_w = max(1, round(h * ratio)), max(1, round(w * ratio))
    return Frame(photo, (new_h, new_w), (height - new_h) // 2, (width - new_w) // 2)


def letterbox(photo: Image, size: tuple[int, int]) -> tuple[Image, Frame]:
    """Fit a photo (h, w, 3) on a grey canvas (H, W, 3), centred, aspect kept, enlarging if need be."""
    frame = frame_in(photo.shape[:2], size)
    new_h, new_w = frame.resized
    canvas = np.full((*size, 3), GREY, np.uint8)
    how = cv2.INTER_AREA if new_h < frame.photo[0] else cv2.INTER_LINEAR
    canvas[frame.top : frame.top + new_h, frame.left : frame.left + new_w] = cv2.resize(
        photo, (new_w, new_h), interpolation=how
    )
    return canvas, frame
