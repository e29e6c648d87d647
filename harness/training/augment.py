"""Photos and boxes -> what a network sees: letterbox, and random augmentation in two steps.

`draw` takes every random number of a sample into one small record; `render` is plain geometry after that, so the
record can be stored, replayed, or rendered on another device. Sizes are in pixels. Positions and boxes are
continuous: (0, 0) is the top left corner of the first pixel, whose centre is (0.5, 0.5).

Mosaic: four photos meet at a random point of a canvas of twice the output, are scaled, moved and turned together,
and cut to the output. Source: https://github.com/ultralytics/yolov5 (the published recipe; the code is our own).
Differs: scaling, placement, motion and flip are one matrix, so each photo is resampled once and boxes follow exactly;
a photo is not cut at the edge of the canvas, so zooming out shows more photo and less grey; the two halves of a mixup
have colours and flips of their own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.images.letterbox import GREY, Image, frame_in

Sample = tuple[Image, Array, Array]  # photo; labels (T,); boxes (T, 4) xyxy in its pixels


@dataclass(frozen=True)
class Augment:
    """Probabilities and half-ranges. The default changes nothing: a plain letterbox."""

    mosaic: float = 0.0  # probability of four photos in place of one
    mixup: float = 0.0  # probability that a mosaic is blended with a second one
    scale: float = 0.0  # zoom by 1 +- scale
    translate: float = 0.0  # move by +- translate of the output's side
    degrees: float = 0.0  # turn by +- degrees
    shear: float = 0.0  # slant by +- shear degrees along each axis
    hsv_h: float = 0.0  # hue, saturation and value times 1 +- their range
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    flip: float = 0.0  # probability of left for right
    flip_ud: float = 0.0  # probability of upside down

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            most = {"degrees": 180.0, "shear": 45.0, "scale": 0.95}.get(name, 1.0)
            if not 0 <= value <= most:
                raise InputError(
                    f"augmentation: want {name} between 0 and {most:g}, it is {value:g}"
                )


NO_AUGMENT = Augment()


@dataclass(frozen=True, eq=False)
class Draw:
    """Every random number of one sample."""

    photos: tuple[int, ...]  # one photo, or four: top left, top right, bottom left, bottom right
    corner: Array  # (2,) x, y where four photos meet, in pixels from the middle of the canvas
    affine: Array  # (2, 3) pixels from the middle of the canvas -> pixels of the output
    hsv: Array  # (3,) factors on hue, saturation, value
    partner: "Draw | None" = None  # a second sample to blend in
    share: float = 1.0  # this sample's part of the blend


def draw(rng: np.random.Generator, index: int, n: int, augment: Augment, size: int) -> Draw:
    """The random numbers of a sample of `size` x `size` pixels around photo `index` of `n`."""
    photos, corner = (index,), np.zeros(2)
    partner, share = None, 1.0
    if rng.random() < augment.mosaic:
        photos = tuple(rng.permutation([index, *rng.integers(n, size=3)]).tolist())
        corner = rng.uniform(-size / 2, size / 2, 2)
        if rng.random() < augment.mixup:
            partner = draw(
                rng, int(rng.integers(n)), n, replace(augment, mosaic=1.0, mixup=0.0), size
            )
            share = rng.beta(32, 32)
    hsv = 1 + rng.uniform(-1, 1, 3) * (augment.hsv_h, augment.hsv_s, augment.hsv_v)
    return Draw(photos, corner, _draw_affine(rng, augment, size), hsv, partner, share)


def _draw_affine(rng: np.random.Generator, augment: Augment, size: int) -> Array:
    """(2, 3): turn, zoom, slant, move, flip, in this order."""
    zoom = rng.uniform(1 - augment.scale, 1 + augment.scale)
    turn = math.radians(rng.uniform(-augment.degrees, augment.degrees))
    slant_x, slant_y = np.tan(np.radians(rng.uniform(-augment.shear, augment.shear, 2)))
    middle = rng.uniform(0.5 - augment.translate, 0.5 + augment.translate, 2) * size
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    affine = np.column_stack([zoom * np.array([[1, slant_x], [slant_y, 1]]) @ rotation, middle])
    for axis, chance in enumerate((augment.flip, augment.flip_ud)):
        if rng.random() < chance:
            affine[axis] *= -1
            affine[axis, 2] += size
    return affine


def render(drawn: Draw, sample: Callable[[int], Sample], out: Image) -> tuple[Array, Array]:
    """Paint what was drawn into `out` (S, S, 3). -> labels (T,) int64; boxes (T, 4) xyxy float32 in pixels of `out`.

    `sample(i)` is photo i with its truth. A box becomes the upright hull of its four moved corners, cut to `out`. It
    is dropped when that leaves 2 pixels or less on a side, under a tenth of its area, or a side 100 times the other.
    """
    out[:] = GREY
    size = len(out)
    labels, kept = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for place, index in enumerate(drawn.photos):
        photo, label, xyxy = sample(index)
        matrix = _then(_placement(photo.shape[:2], place, drawn, size), drawn.affine)
        moved = hull(xyxy, _paint(photo, matrix, out))
        cut = moved.clip(0, size)
        keep = _worth_keeping(moved, cut)
        labels.append(label[keep])
        kept.append(cut[keep].astype(np.float32))
    if not np.all(drawn.hsv == 1):
        _recolour(out, drawn.hsv)
    if drawn.partner is not None:
        other = np.empty_like(out)
        found = render(drawn.partner, sample, other)
        cv2.addWeighted(out, drawn.share, other, 1 - drawn.share, 0, dst=out)
        labels.append(found[0])
        kept.append(found[1])
    return np.concatenate(labels).astype(np.int64), np.concatenate(kept)


def hull(xyxy: Array, matrix: Array) -> Array:
    """Boxes (N, 4) moved by a (2, 3) matrix -> the upright boxes (N, 4) xyxy float64 around their moved corners."""
    corners = xyxy[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def _placement(photo: tuple[int, int], place: int, drawn: Draw, size: int) -> Array:
    """(2, 3) from pixels of a photo (h, w) to pixels from the middle of the canvas."""
    if len(drawn.photos) == 1:
        matrix = frame_in(photo, (size, size)).to_canvas()
        matrix[:, 2] -= size / 2
        return matrix
    h, w = photo
    ratio = size / max(h, w)
    x, y = drawn.corner
    below, right = divmod(place, 2)
    return np.array(
        [[ratio, 0, x if right else x - ratio * w], [0, ratio, y if below else y - ratio * h]]
    )


def _then(first: Array, second: Array) -> Array:
    """The (2, 3) matrix that does `first`, then `second`."""
    return np.column_stack(
        [second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]]
    )


def _paint(photo: Image, matrix: Array, out: Image) -> Array:
    """Draw a photo on `out` where the (2, 3) matrix puts it, leave the pixels beside it. -> the matrix really used.

    Without turn and slant, cut and place are rounded to whole pixels: a resize then does the work of a warp in a fifth
    of the time.
    """
    if matrix[0, 1] or matrix[1, 0]:
        _warp(photo, matrix, out)
        return matrix
    (h, w), side = photo.shape[:2], len(out)
    columns, across, zoom_x, shift_x = _snap(matrix[0, 0], matrix[0, 2], w, side)
    rows, down, zoom_y, shift_y = _snap(matrix[1, 1], matrix[1, 2], h, side)
    place = out[down, across]
    if place.size:
        # Below a half bilinear skips pixels; above it, averaging as letterbox does costs six times as much.
        how = cv2.INTER_LINEAR if abs(matrix[0, 0]) >= 0.5 else cv2.INTER_AREA
        cv2.resize(photo[rows, columns], place.shape[1::-1], dst=place, interpolation=how)
        for axis, zoom in enumerate((zoom_y, zoom_x)):
            if zoom < 0:
                cv2.flip(place, axis, dst=place)
    return np.array([[zoom_x, 0, shift_x], [0, zoom_y, shift_y]])


def _snap(zoom: float, shift: float, length: int, side: int) -> tuple[slice, slice, float, float]:
    """One axis of an upright placement in whole pixels: part of the photo, part of the output, zoom and shift between.

    The output's pixels are those whose centre the photo covers; none leaves an empty slice.
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
    """Draw a photo on `out` by any (2, 3) matrix, bilinear, its edge blended with what is there."""
    h, w = photo.shape[:2]
    x1, y1, x2, y2 = hull(np.array([[0, 0, w, h]]), matrix)[0].clip(0, len(out)).round().astype(int)
    place = out[y1:y2, x1:x2]
    if not place.size:
        return
    zoom = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if zoom < 0.5:  # bilinear would skip pixels
        small = max(1, round(w * zoom)), max(1, round(h * zoom))
        photo = cv2.resize(photo, small, interpolation=cv2.INTER_AREA)
        matrix = matrix * [w / small[0], h / small[1], 1]
    centred = matrix.copy()
    centred[:, 2] += (
        matrix[:, :2].sum(1) / 2 - 0.5 - (x1, y1)
    )  # OpenCV counts from the centre of the first pixel
    cv2.warpAffine(photo, centred, place.shape[1::-1], dst=place, borderMode=cv2.BORDER_TRANSPARENT)


def _worth_keeping(moved: Array, cut: Array) -> Array:
    """Which boxes (N, 4) still show enough of themselves after the cut. -> (N,) bool."""
    before, after = moved[:, 2:] - moved[:, :2], cut[:, 2:] - cut[:, :2]
    long, short = after.max(1), after.min(1)
    keep: Array = (short > 2) & (after.prod(1) >= 0.1 * before.prod(1)) & (long <= 100 * short)
    return keep


def _recolour(image: Image, hsv: Array) -> None:
    """Multiply hue (round the circle), saturation and value (up to full) in place."""
    levels = np.arange(256)[:, None] * hsv
    levels[:, 0] %= 180  # OpenCV's hue is in units of 2 degrees
    table = levels.clip(0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    cv2.cvtColor(image, cv2.COLOR_RGB2HSV, dst=image)
    cv2.LUT(image, table, dst=image)
    cv2.cvtColor(image, cv2.COLOR_HSV2RGB, dst=image)
