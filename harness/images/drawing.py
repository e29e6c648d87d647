"""Boxes drawn on photos."""

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
Point = tuple[int, int]  # column, row

PALETTE: tuple[
    Colour, ...
] = (  # told apart by colour-blind readers too (Okabe and Ito), then repeated
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
    (240, 228, 66),
)
THIN = 10  # a box's shorter side / the width of its line, at least
DARK, LIGHT = (20, 20, 20), (255, 255, 255)


def draw_boxes(
    image: Image, xyxy: Array, labels: Array, texts: Sequence[str] | None = None
) -> Image:
    """A copy of (h, w, 3) RGB with boxes (N, 4) in the colour of their label, and a caption each where given.

    Outlines come first, the first box on top, then captions: none is crossed by a line. Lines are thinner round what
    is small, so that it can be seen.
    """
    canvas = image.copy()
    for start, end, colour, thick in outlines(image, xyxy, labels):
        cv2.rectangle(canvas, start, end, colour, thick)
    for x, y, plate in captions(image, xyxy, labels, texts or []):
        canvas[y : y + plate.shape[0], x : x + plate.shape[1]] = plate
    return canvas


def outlines(
    image: Image, xyxy: Array, labels: Array
) -> Iterator[tuple[Point, Point, Colour, int]]:
    """First and last pixel, colour and width of the line of each box on (h, w, ...), in the order to draw them."""
    for row in range(len(xyxy))[::-1]:
        start, end = _ends(xyxy[row])
        fitting = max(1, min(end[0] - start[0], end[1] - start[1]) // THIN)
        yield start, end, _colour(labels[row]), min(line_width(image), fitting)


def captions(
    image: Image, xyxy: Array, labels: Array, texts: Sequence[str]
) -> Iterator[tuple[int, int, Image]]:
    """Left, top and pixels of a plate for each text, above its box's top left corner or as near as there is room."""
    for row in range(len(texts))[::-1]:
        (left, top), _ = _ends(xyxy[row])
        plate = _plate(texts[row], _colour(labels[row]), 2 + 7 * line_width(image))[
            : image.shape[0], : image.shape[1]
        ]
        x = max(0, min(left, image.shape[1] - plate.shape[1]))
        yield x, max(0, min(top - len(plate), image.shape[0] - len(plate))), plate


def draw_dashed(image: Image, xyxy: Array) -> Image:
    """A copy of (h, w, 3) RGB with boxes (N, 4) outlined in dashes, light on dark: seen on any photo."""
    canvas = image.copy()
    thick = line_width(image)
    step = 4 * thick
    for box in xyxy:
        (x1, y1), (x2, y2) = start, end = _ends(box)
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
    """Images of one size side by side, `columns` a row, white where there are none."""
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


def _ends(box: Array) -> tuple[Point, Point]:
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
    ink = DARK if np.dot(colour, (0.299, 0.587, 0.114)) > 130 else LIGHT
    PIL.ImageDraw.Draw(plate).text((height // 4, height / 2), text, ink, font, anchor="lm")
    return np.asarray(plate)


@cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont:
    import matplotlib  # OpenCV's own letters are ASCII alone; these know Greek and Cyrillic too

    return PIL.ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size
    )
