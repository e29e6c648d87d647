"""Boxes and captions drawn on photos.

A box (x1, y1, x2, y2) has continuous edges: it covers the pixels x1 to x2 - 1. Its outline is drawn
on the first and the last of these, so that it lies inside the box: (10, 8, 30, 20) is drawn from
pixel (10, 8) to pixel (29, 19).
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from evaluate.files import written_whole
from evaluate.tables import Array
from harness.images.letterbox import Image

Colour = tuple[int, int, int]
Pixel = tuple[int, int]  # column, row

# Colours that colour-blind readers can tell apart too (Okabe and Ito); label 7 has the first again.
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
    (240, 228, 66),
)
THIN = 10  # a box's shorter side is at least this many times the width of its line
DARK, LIGHT = (20, 20, 20), (255, 255, 255)


def draw_boxes(
    image: Image, xyxy: Array, labels: Array, texts: Sequence[str] | None = None
) -> Image:
    """A copy of (h, w, 3) RGB with boxes (N, 4) in their labels' colours, and captions if given.

    Outlines come first, the first box on top, then captions, so that no line crosses one. A small
    box has a thinner line, which leaves its contents visible.
    """
    canvas = image.copy()
    for start, end, colour, thick in outlines(image, xyxy, labels):
        cv2.rectangle(canvas, start, end, colour, thick)
    for x, y, plate in captions(image, xyxy, labels, texts or []):
        canvas[y : y + plate.shape[0], x : x + plate.shape[1]] = plate
    return canvas


def outlines(
    image: Image, xyxy: Array, labels: Array
) -> Iterator[tuple[Pixel, Pixel, Colour, int]]:
    """Each box's first and last pixel, colour and line width, in the order to draw them."""
    # Last box first, so that the first one lies on top.
    for row in range(len(xyxy))[::-1]:
        start, end = _ends(xyxy[row])
        fitting = max(1, min(end[0] - start[0], end[1] - start[1]) // THIN)
        yield start, end, _colour(labels[row]), min(line_width(image), fitting)


def captions(
    image: Image, xyxy: Array, labels: Array, texts: Sequence[str]
) -> Iterator[tuple[int, int, Image]]:
    """Left, top and pixels of each text's plate: above its box's top left, inside the image."""
    height, width = image.shape[:2]
    for row in range(len(texts))[::-1]:
        (left, top), _ = _ends(xyxy[row])
        plate = _plate(texts[row], _colour(labels[row]), 2 + 7 * line_width(image))
        plate = plate[:height, :width]  # a text wider than the image is cut
        x = max(0, min(left, width - plate.shape[1]))
        y = max(0, min(top - len(plate), height - len(plate)))
        yield x, y, plate


def draw_dashed(image: Image, xyxy: Array) -> Image:
    """A copy of (h, w, 3) RGB with boxes (N, 4) in dashes, light on dark: visible on any photo."""
    canvas = image.copy()
    thick = line_width(image)
    step = 4 * thick  # length of a dash, and of the gap after it
    for box in xyxy:
        (x1, y1), (x2, y2) = start, end = _ends(box)
        # A dark outline, then light dashes on it: one of the two stands out on any background.
        cv2.rectangle(canvas, start, end, DARK, thick)
        for x in range(x1, x2, 2 * step):
            for y in (y1, y2):
                cv2.line(canvas, (x, y), (min(x + step, x2), y), LIGHT, thick)
        for y in range(y1, y2, 2 * step):
            for x in (x1, x2):
                cv2.line(canvas, (x, y), (x, min(y + step, y2)), LIGHT, thick)
    return canvas


def line_width(image: Image) -> int:
    """Pixels: 1 for a thumbnail, 3 for a photo of 640, 5 for a video frame of 1920."""
    return max(1, round(math.sqrt(max(image.shape[:2])) / 9))


def grid(images: Sequence[Image], columns: int) -> Image:
    """Images of one size side by side, `columns` per row; the last row is filled up with white."""
    rows = -(-len(images) // columns)
    blank = np.full_like(images[0], 255)
    padded = [*images, *[blank] * (rows * columns - len(images))]
    return np.vstack([np.hstack(padded[r * columns : (r + 1) * columns]) for r in range(rows)])


def jpeg(image: Image, quality: int = 90) -> bytes:
    """(h, w, 3) RGB as the bytes of a JPEG file."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded: Array = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return encoded.tobytes()


def write_jpeg(image: Image, path: Path) -> None:
    """Write (h, w, 3) RGB to `path` whole or not at all."""
    with written_whole(path) as scratch:
        scratch.write_bytes(jpeg(image))


def _ends(box: Array) -> tuple[Pixel, Pixel]:
    """The first and last pixel inside a box, at least one pixel."""
    x1, y1, x2, y2 = (round(float(edge)) for edge in box)
    return (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1))


def _colour(label: int) -> Colour:
    return PALETTE[int(label) % len(PALETTE)]


@lru_cache(1024)
def _plate(text: str, colour: Colour, height: int) -> Image:
    """Text on its colour, (height, w, 3): dark on light colours, light on dark ones."""
    font = _font(round(0.72 * height))
    plate = PIL.Image.new("RGB", (round(font.getlength(text)) + height // 2, height), colour)
    # Luma (BT.601): how light the colour looks.
    ink = DARK if np.dot(colour, (0.299, 0.587, 0.114)) > 130 else LIGHT
    PIL.ImageDraw.Draw(plate).text((height // 4, height / 2), text, ink, font, anchor="lm")
    return np.asarray(plate)


@cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont:
    # matplotlib brings a font that knows Greek and Cyrillic; OpenCV's own letters are ASCII alone.
    import matplotlib

    return PIL.ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size
    )
