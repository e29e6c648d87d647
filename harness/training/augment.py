"""The random half of augmentation: every random number of one training sample, in a small record.

`sample_augment` draws the numbers; `paint_sample` in harness/training/painting.py turns them into
pixels and boxes by plain geometry. So a record can be stored, replayed, or painted elsewhere.

Source: https://github.com/ultralytics/yolov5 (the published recipe; the code is our own). Differs:
scaling, placement, motion and flip are one matrix, so each photo is resampled once and its boxes
follow exactly; a photo is not cut at the edge of the mosaic's canvas, so zooming out shows more
photo and less grey; the two halves of a mixup have colours and flips of their own.
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.recipe import Recipe


@dataclass(frozen=True)
class Augment:
    """Probabilities and half-ranges. The default changes nothing: a plain letterbox.

    Each field is the recipe's key of the same name.
    """

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
            # A zoom of 0 has no photo left, and a slant of 90 degrees has no end.
            highest = {"degrees": 180.0, "shear": 45.0, "scale": 0.95}.get(name, 1.0)
            if not 0 <= value <= highest:
                raise InputError(
                    f"augmentation: want {name} between 0 and {highest:g}, it is {value:g}"
                )


def augment_at(recipe: Recipe, epoch: int) -> Augment:
    """The recipe's augmentation in an epoch (from 0): no mosaic in the last `mosaic_off_epochs`.

    A mosaic teaches much, but no photo that is predicted looks like one; the last epochs see photos
    as they will be. Raises InputError for a probability or range that makes no sense.
    """
    augment = Augment(**{field.name: getattr(recipe, field.name) for field in fields(Augment)})
    whole_photos = epoch >= recipe.epochs - recipe.mosaic_off_epochs
    return replace(augment, mosaic=0.0) if whole_photos else augment


@dataclass(frozen=True, eq=False)
class SampledAugment:
    """Every random number of one sample. Photos are placed on a canvas first, then moved."""

    photos: tuple[int, ...]  # one photo, or four: top left, top right, bottom left, bottom right
    corner: Array  # (2,) x, y where four photos meet, in pixels from the middle of the canvas
    affine: Array  # (2, 3) pixels from the middle of the canvas -> pixels of the output
    hsv: Array  # (3,) factors on hue, saturation, value
    partner: "SampledAugment | None" = None  # a second sample to blend in
    blend: float = 1.0  # how much of the blend this sample is; the partner is the rest


def sample_augment(
    rng: np.random.Generator, index: int, n: int, augment: Augment, size: int
) -> SampledAugment:
    """The random numbers of a sample of `size` x `size` pixels around photo `index` of `n`.

    The order in which numbers are taken from `rng` is part of a run's result: another order would
    train the same seed to other weights.
    """
    photos, corner = (index,), np.zeros(2)
    partner, blend = None, 1.0
    if rng.random() < augment.mosaic:
        # Photo `index` is one of the four in any place, the other three are any photos.
        photos = tuple(rng.permutation([index, *rng.integers(n, size=3)]).tolist())
        corner = rng.uniform(-size / 2, size / 2, 2)  # anywhere in the middle S x S of the canvas
        if rng.random() < augment.mixup:
            other = replace(augment, mosaic=1.0, mixup=0.0)
            partner = sample_augment(rng, int(rng.integers(n)), n, other, size)
            blend = rng.beta(32, 32)  # near a half: 95 % lie between 0.38 and 0.62
    # Colours and motion are the same for all photos of a mosaic.
    hsv = 1 + rng.uniform(-1, 1, 3) * (augment.hsv_h, augment.hsv_s, augment.hsv_v)
    affine = _sample_affine(rng, augment, size)
    return SampledAugment(photos, corner, affine, hsv, partner, blend)


def _sample_affine(rng: np.random.Generator, augment: Augment, size: int) -> Array:
    """(2, 3): turn, zoom, slant, move, flip, in this order."""
    zoom = rng.uniform(1 - augment.scale, 1 + augment.scale)
    turn = math.radians(rng.uniform(-augment.degrees, augment.degrees))
    slant_x, slant_y = np.tan(np.radians(rng.uniform(-augment.shear, augment.shear, 2)))
    middle = rng.uniform(0.5 - augment.translate, 0.5 + augment.translate, 2) * size

    # Column vectors: the rightmost factor acts first, so the turn comes before zoom and slant.
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    affine = np.column_stack([zoom * np.array([[1, slant_x], [slant_y, 1]]) @ rotation, middle])

    for axis, probability in enumerate((augment.flip, augment.flip_ud)):
        if rng.random() < probability:  # x becomes size - x
            affine[axis] *= -1
            affine[axis, 2] += size
    return affine
