"""harness.training.augment: the random numbers of a sample keep to their ranges and repeat."""

import subprocess
import sys

import numpy as np
import pytest

from evaluate.exceptions import InputError
from harness.recipe import load_recipe
from harness.training.augment import Augment, augment_at, sample_augment

SIZE = 200
MOVED = Augment(mosaic=0.5, scale=0.7, translate=0.3, flip=0.5, flip_ud=0.5)


def test_draws_keep_to_their_ranges():
    augment = Augment(
        mosaic=0.5, mixup=0.5, scale=0.4, translate=0.1, hsv_h=0.1, hsv_s=0.5, hsv_v=0.3, flip=0.5
    )
    sampled = [
        sample_augment(np.random.default_rng(seed), 7, 50, augment, SIZE) for seed in range(1000)
    ]
    assert {len(d.photos) for d in sampled} == {1, 4} and all(7 in d.photos for d in sampled)
    assert max(max(d.photos) for d in sampled) == 49
    mosaics = [d for d in sampled if len(d.photos) == 4]
    blended = [d for d in sampled if d.partner]
    assert (
        430 < len(mosaics) < 570
        and 180 < len(blended) < 320
        and all(len(d.photos) == 4 for d in blended)
    )
    assert all(len(d.partner.photos) == 4 and d.partner.partner is None for d in blended)
    assert {d.photos.index(7) for d in mosaics} == {0, 1, 2, 3}
    ranges = {
        "corner": (np.array([d.corner for d in mosaics]), -100, 100),
        "zoom x": (np.array([abs(d.affine[0, 0]) for d in sampled]), 0.6, 1.4),
        "zoom y": (np.array([d.affine[1, 1] for d in sampled]), 0.6, 1.4),
        "middle": (np.array([d.affine[:, 2] for d in sampled]), 80, 120),
        "hue": (np.array([d.hsv[0] for d in sampled]), 0.9, 1.1),
        "saturation": (np.array([d.hsv[1] for d in sampled]), 0.5, 1.5),
        "value": (np.array([d.hsv[2] for d in sampled]), 0.7, 1.3),
    }
    for name, (values, low, high) in ranges.items():
        margin = (high - low) / 50
        assert low <= values.min() < low + margin and high - margin < values.max() <= high, name
    assert 430 < sum(d.affine[0, 0] < 0 for d in sampled) < 570
    assert all(d.affine[0, 1] == d.affine[1, 0] == 0 for d in sampled)


@pytest.mark.parametrize(
    "bad", [{"scale": 1.0}, {"mosaic": 1.5}, {"hsv_h": -0.1}, {"degrees": float("nan")}]
)
def test_a_range_that_makes_no_sense_is_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        Augment(**bad)


def test_the_same_generator_draws_the_same_sample():
    first, second = (
        sample_augment(np.random.default_rng([3, 1]), 0, 9, MOVED, SIZE) for _ in range(2)
    )
    assert first.photos == second.photos
    np.testing.assert_array_equal(first.affine, second.affine)


def test_torch_is_not_needed():
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import harness.training.augment, sys; assert 'torch' not in sys.modules",
        ],
        check=True,
    )


def test_mosaic_is_off_for_the_last_epochs():
    recipe = load_recipe("v5n", ["epochs=10", "mosaic_off_epochs=3"])
    assert [augment_at(recipe, epoch).mosaic for epoch in (0, 6, 7, 9)] == [1, 1, 0, 0]
