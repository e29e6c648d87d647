"""The geometric half of augmentation: sampled numbers and photos -> pixels and boxes.

Positions and boxes are continuous and in pixels: (0, 0) is the top left corner of the first pixel,
whose centre is (0.5, 0.5). An output of S x S pixels comes about in four steps:

1. Place each photo on a canvas whose origin is its middle. One photo alone is letterboxed to S x S.
   Of a mosaic's four, each is scaled until its long side is S, and all meet at `corner`.
2. Move the canvas by `affine`, the same for all photos, and cut it to the output. Steps 1 and 2 are
   one matrix per photo, so its pixels are resampled once.
3. Move each box by the matrix that its photo was painted with; drop those that show too little.
4. Change the colours, then blend with the partner of a mixup.

Steps 1 to 3 by hand, for S = 640, a photo of 375 x 500 at the top left of a mosaic, corner (50,
-20) and an affine that zooms by 1.2 and leaves the middle in the middle, (320, 320):

    place     ratio 640 / 500 = 1.28: the photo is 640 x 480 pixels wide and high, and its bottom
              right corner lies at (50, -20), so its top left one at (50 - 640, -20 - 480)
              x, y -> 1.28 x - 590, 1.28 y - 500
    move      1.2 (1.28 x - 590) + 320 = 1.536 x - 388        and 1.536 y - 280 likewise
    boxes     (300, 200, 400, 300) -> (72.8, 27.2, 226.4, 180.8)    inside: kept
              (0, 0, 100, 100)     -> (-388, -280, -234.4, -126.4)  outside: dropped
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from evaluate.tables import Array
from harness.images.letterbox import GREY, Image, place_letterbox
from harness.training.augment import SampledAugment

LabelledPhoto = tuple[Image, Array, Array]  # photo; labels (T,); boxes (T, 4) xyxy in its pixels


def paint_sample(
    sampled: SampledAugment, load: Callable[[int], LabelledPhoto], out: Image
) -> tuple[Array, Array]:
    """Paint `out` (S, S, 3) -> labels (T,) int64; boxes (T, 4) xyxy float32 in pixels of `out`.

    `load(i)` is photo i with its truth. A box becomes the upright hull of its four moved corners,
    cut to `out`. It is dropped when that leaves 2 pixels or less on a side, under a tenth of its
    area, or a side 100 times the other.
    """
    out[:] = GREY
    size = len(out)
    labels, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for place, index in enumerate(sampled.photos):
        photo, label, xyxy = load(index)

        # Steps 1 and 2: one matrix from the photo to the output.
        matrix = _then(_placement(photo.shape[:2], place, sampled, size), sampled.affine)
        painted = _paint(photo, matrix, out)

        # Step 3: boxes follow what was really painted.
        moved = hull(xyxy, painted)
        cut = moved.clip(0, size)
        keep = _worth_keeping(moved, cut)
        labels.append(label[keep])
        boxes.append(cut[keep].astype(np.float32))

    # Step 4: colours, then the partner, which has colours of its own.
    if not np.all(sampled.hsv == 1):
        _recolour(out, sampled.hsv)
    if sampled.partner is not None:
        other = np.empty_like(out)
        other_labels, other_boxes = paint_sample(sampled.partner, load, other)
        cv2.addWeighted(out, sampled.blend, other, 1 - sampled.blend, 0, dst=out)
        labels.append(other_labels)
        boxes.append(other_boxes)
    return np.concatenate(labels).astype(np.int64), np.concatenate(boxes)


def hull(xyxy: Array, matrix: Array) -> Array:
    """Boxes (N, 4) moved by a (2, 3) matrix -> the upright boxes (N, 4) float64 around them."""
    corners = xyxy[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)  # (N, 4 corners, x and y)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def _placement(photo: tuple[int, int], place: int, sampled: SampledAugment, size: int) -> Array:
    """Step 1: (2, 3) from pixels of a photo (h, w) to pixels from the middle of the canvas."""
    if len(sampled.photos) == 1:
        matrix = place_letterbox(photo, (size, size)).to_canvas()
        matrix[:, 2] -= size / 2
        return matrix
    h, w = photo
    ratio = size / max(h, w)  # the long side becomes S
    x, y = sampled.corner
    below, right = divmod(place, 2)  # places 0, 1 lie above the corner, 1 and 3 to its right
    return np.array(
        [[ratio, 0, x if right else x - ratio * w], [0, ratio, y if below else y - ratio * h]]
    )


def _then(first: Array, second: Array) -> Array:
    """The (2, 3) matrix that does `first`, then `second`."""
    return np.column_stack(
        [second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]]
    )


def _paint(photo: Image, matrix: Array, out: Image) -> Array:
    """Paint a photo where the (2, 3) matrix puts it, leave other pixels. -> the matrix really used.

    Without turn and slant, both the part of the photo and its place are rounded to whole pixels: a
    resize then does the work of a warp in a fifth of the time.
    """
    if matrix[0, 1] or matrix[1, 0]:
        _warp(photo, matrix, out)
        return matrix
    (h, w), side = photo.shape[:2], len(out)
    # Each axis on its own: part of the photo, part of the output, and the exact map between them.
    columns, across, zoom_x, shift_x = _snap(matrix[0, 0], matrix[0, 2], w, side)
    rows, down, zoom_y, shift_y = _snap(matrix[1, 1], matrix[1, 2], h, side)
    place = out[down, across]
    if place.size:
        # Below a half, bilinear skips pixels; above it, averaging as letterbox does costs six times
        # as much.
        interpolation = cv2.INTER_LINEAR if abs(matrix[0, 0]) >= 0.5 else cv2.INTER_AREA
        cv2.resize(photo[rows, columns], place.shape[1::-1], dst=place, interpolation=interpolation)
        for axis, zoom in enumerate((zoom_y, zoom_x)):
            if zoom < 0:  # resize cannot mirror
                cv2.flip(place, axis, dst=place)
    return np.array([[zoom_x, 0, shift_x], [0, zoom_y, shift_y]])


def _snap(zoom: float, shift: float, length: int, side: int) -> tuple[slice, slice, float, float]:
    """One axis in whole pixels: part of the photo, part of the output, zoom and shift between them.

    The output's pixels are those whose centre the photo covers; where it covers none, the slice is
    empty. For zoom 1.5, shift 10.3, a photo 100 pixels long and an output of 200:

        the photo spans 10.3 to 160.3; it covers the centres 10.5, ..., 159.5: pixels 10 to 160
        back in the photo these are (10 - 10.3) / 1.5 = -0.2 to (160 - 10.3) / 1.5 = 99.8,
        rounded and cut to the photo: 0 to 100
        used: zoom (160 - 10) / (100 - 0) = 1.5, shift 10 - 1.5 * 0 = 10
    """
    low, high = (
        min(max(math.ceil(x - 0.5), 0), side) for x in sorted((shift, shift + zoom * length))
    )
    start, stop = (round(x) for x in sorted(((low - shift) / zoom, (high - shift) / zoom)))
    start = min(max(start, 0), length - 1)
    stop = max(min(stop, length), start + 1)
    used = math.copysign((high - low) / (stop - start), zoom)
    return slice(start, stop), slice(low, high), used, (low if zoom > 0 else high) - used * start


def _warp(photo: Image, matrix: Array, out: Image) -> None:
    """Paint a photo by any (2, 3) matrix, bilinear, its edge blended with what `out` shows."""
    h, w = photo.shape[:2]
    # Only the part of the output that the photo may reach is warped.
    x1, y1, x2, y2 = hull(np.array([[0, 0, w, h]]), matrix)[0].clip(0, len(out)).round().astype(int)
    place = out[y1:y2, x1:x2]
    if not place.size:
        return
    zoom = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if zoom < 0.5:  # bilinear would skip pixels: shrink by averaging first
        small = max(1, round(w * zoom)), max(1, round(h * zoom))
        photo = cv2.resize(photo, small, interpolation=cv2.INTER_AREA)
        matrix = matrix * [w / small[0], h / small[1], 1]

    # OpenCV counts from the centre of the first pixel, we from its corner, half a pixel before.
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5 - (x1, y1)
    cv2.warpAffine(photo, centred, place.shape[1::-1], dst=place, borderMode=cv2.BORDER_TRANSPARENT)


def _worth_keeping(moved: Array, cut: Array) -> Array:
    """Which boxes (N, 4) still show enough of themselves after the cut. -> (N,) bool."""
    before, after = moved[:, 2:] - moved[:, :2], cut[:, 2:] - cut[:, :2]  # (N, 2) width, height
    long, short = after.max(1), after.min(1)
    # A sliver teaches nothing: too thin, too little of the object, or too long for its width.
    keep: Array = (short > 2) & (after.prod(1) >= 0.1 * before.prod(1)) & (long <= 100 * short)
    return keep


def _recolour(image: Image, hsv: Array) -> None:
    """Multiply hue (round the circle), saturation and value (up to full), in place."""
    # Every channel has 256 levels, so a table of 256 rows says what each becomes.
    levels = np.arange(256)[:, None] * hsv  # (256, 3)
    levels[:, 0] %= 180  # OpenCV's hue is in units of 2 degrees
    table = levels.clip(0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    cv2.cvtColor(image, cv2.COLOR_RGB2HSV, dst=image)
    cv2.LUT(image, table, dst=image)
    cv2.cvtColor(image, cv2.COLOR_HSV2RGB, dst=image)
