"""harness.training.painting: pixels and boxes of a sampled augmentation, by hand and as laws."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from harness.images.letterbox import GREY, letterbox
from harness.training.augment import Augment, SampledAugment, sample_augment
from harness.training.painting import paint_sample

SIZE = 200
STILL = np.array(
    [[1, 0, SIZE / 2], [0, 1, SIZE / 2]]
)  # the middle of the canvas is the middle of the output
SAME_COLOUR = np.ones(3)


def plain(height=SIZE, width=SIZE, colour=(0, 0, 0)):
    return np.full((height, width, 3), colour, np.uint8)


def scene(photo, *boxes):
    """A sample whose boxes are labelled 0, 1, ..."""
    return photo, np.arange(len(boxes)), np.array(boxes, np.float32).reshape(-1, 4)


def painted(sampled, *samples, size=SIZE):
    out = np.empty((size, size, 3), np.uint8)
    labels, xyxy = paint_sample(sampled, samples.__getitem__, out)
    return out, labels, xyxy


def moved_by(affine, *boxes, size=SIZE, photo=None):
    sampled = SampledAugment((0,), np.zeros(2), np.array(affine, np.float64), SAME_COLOUR)
    return painted(sampled, scene(plain(size, size) if photo is None else photo, *boxes), size=size)


# by hand


def test_four_photos_meet_at_the_corner_by_hand():
    # 100 x 200 photos keep their size, since 200 is the output's side. All meet at (100, 100):
    # the two on the left begin at x = -100 and show their right half, the others their left half.
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    right, left = (120, 20, 180, 60), (20, 20, 80, 60)
    samples = [
        scene(plain(100, 200, c), box) for c, box in zip(colours, (right, left, right, left))
    ]
    out, labels, xyxy = painted(
        SampledAugment((0, 1, 2, 3), np.zeros(2), STILL, SAME_COLOUR), *samples
    )
    for place, colour in enumerate(colours):
        y, x = 100 * (place // 2), 100 * (place % 2)
        assert (out[y : y + 100, x : x + 100] == colour).all()
    np.testing.assert_allclose(
        xyxy,
        [[20, 20, 80, 60], [120, 20, 180, 60], [20, 120, 80, 160], [120, 120, 180, 160]],
        atol=1e-5,
    )
    assert labels.tolist() == [0, 0, 0, 0] and labels.dtype == np.int64 and xyxy.dtype == np.float32


def test_the_corner_moves_with_the_draw_and_photos_are_scaled_to_the_output():
    # Photos of 50 x 100 and 100 x 50 double to 100 x 200 and 200 x 100. They meet at (100 + 30,
    # 100 - 40), where the wide one at the top left ends and the high one at the bottom left begins,
    # from x = 30 on.
    wide, high, white = plain(50, 100), plain(100, 50), plain(50, 100, (255, 255, 255))
    sampled = SampledAugment((0, 1, 2, 1), np.array([30.0, -40.0]), STILL, SAME_COLOUR)
    out, _, xyxy = painted(
        sampled, scene(wide, (50, 25, 100, 50)), scene(white), scene(high, (10, 0, 50, 50))
    )
    np.testing.assert_allclose(xyxy, [[30, 10, 130, 60], [50, 60, 130, 160]], atol=1e-5)
    assert (
        (out[:60, :130] == 0).all()
        and (out[60:, 30:130] == 0).all()
        and (out[60:, :30] == GREY).all()
    )
    assert (out[:160, 130:] == 255).all() and (out[160:, 130:] == GREY).all()


def test_left_for_right_by_hand():
    photo = plain()
    photo[30:90, 20:60] = 255
    out, _, xyxy = moved_by([[-1, 0, 100], [0, 1, 100]], (20, 30, 60, 90), photo=photo)
    np.testing.assert_array_equal(out, photo[:, ::-1])
    np.testing.assert_allclose(xyxy, [[140, 30, 180, 90]])  # 200 - 60, 200 - 20


def test_a_quarter_turn_by_hand():
    # From the middle the box is (-80, -70, -40, -10); (x, y) goes to (-y, x): (10, -80, 70, -40).
    photo = plain()
    photo[30:90, 20:60] = 255
    out, _, xyxy = moved_by([[0, -1, 100], [1, 0, 100]], (20, 30, 60, 90), photo=photo)
    np.testing.assert_allclose(xyxy, [[110, 20, 170, 60]], atol=1e-5)
    np.testing.assert_array_equal(out, np.rot90(photo, -1))


def test_a_photo_that_is_moved_away_leaves_grey_and_no_box():
    for affine in ([[1, 0, 400], [0, 1, 0]], [[1, 0.1, 400], [0, 1, 0]]):
        out, labels, xyxy = moved_by(affine, (0, 0, 200, 200))
        assert (out == GREY).all() and labels.shape == (0,) and xyxy.shape == (0, 4)


@pytest.mark.parametrize(("middle", "column", "seen"), [(-299.1, 0, -1), (499.1, -1, 0)])
def test_the_last_sliver_of_a_photo_is_still_painted(middle, column, seen):
    # At three times the size a photo's edge lies 0.9 pixels inside the output and covers the centre
    # of one column.
    photo = plain()
    photo[:, seen] = 255
    out, _, _ = moved_by([[3, 0, middle], [0, 3, 100]], photo=photo)
    assert (out[:, column] == 255).all()
    assert (np.delete(out, column, axis=1) == GREY).all()


@pytest.mark.parametrize("slant", [0, 1e-9], ids=["resize", "warp"])
def test_a_photo_that_shrinks_is_averaged(slant):
    # Five of eight columns are white, but bilinear at a quarter reads columns 1 and 2 of each four,
    # of which three of four are.
    stripes = plain()
    stripes[:, ::2] = stripes[:, 1::8] = 200
    out, _, _ = moved_by([[0.25, slant, 100], [0, 0.25, 100]], photo=stripes)
    assert abs(out[80:120, 80:120].mean() - 125) < 2


def test_slivers_and_remains_are_dropped():
    _, labels, _ = moved_by(STILL, (50, 50, 52, 90), (50, 50, 53, 90), (9, 9, 9, 9))
    assert labels.tolist() == [1]  # 2 pixels wide, 3, none
    _, labels, xyxy = moved_by(
        [[1, 0, 0], [0, 1, 100]], (0, 0, 110, 50), (0, 0, 112, 50)
    )  # 100 columns go: 10, 12 stay
    assert labels.tolist() == [1]  # 10 / 110 < 0.1 < 12 / 112
    np.testing.assert_allclose(xyxy, [[0, 0, 12, 50]])
    _, labels, _ = moved_by([[1, 0, 200], [0, 1, 200]], (0, 0, 400, 3.98), (0, 0, 400, 4), size=400)
    assert labels.tolist() == [1]  # 100.5 times as long as high, 100 times


def test_a_mixup_is_a_weighted_sum_with_both_truths():
    partner = SampledAugment((1,), np.zeros(2), STILL, SAME_COLOUR)
    sampled = SampledAugment((0,), np.zeros(2), STILL, SAME_COLOUR, partner, blend=0.25)
    white, black = (
        scene(plain(colour=(255, 255, 255)), (0, 0, 50, 50)),
        scene(plain(), (9, 9, 99, 99), (5, 5, 55, 55)),
    )
    out, labels, xyxy = painted(sampled, white, black)
    assert (out == 64).all()  # 0.25 * 255 = 63.75
    assert labels.tolist() == [0, 0, 1] and len(xyxy) == 3


@pytest.mark.parametrize(
    ("factors", "before", "after"),
    [
        ((1, 1, 0.5), (200, 100, 0), (100, 50, 0)),
        ((1, 0, 1), (200, 100, 0), (200, 200, 200)),
        ((2, 1, 1), (0, 200, 0), (0, 0, 200)),  # hue 120 degrees becomes 240
        ((2, 1, 1), (200, 0, 200), (0, 0, 200)),  # 300 becomes 600, which is 240 again
        ((1, 9, 9), (200, 100, 100), (255, 0, 0)),
    ],
)
def test_colours_by_hand(factors, before, after):
    sampled = SampledAugment((0,), np.zeros(2), STILL, np.array(factors))
    out, _, _ = painted(sampled, scene(plain(colour=before)))
    np.testing.assert_allclose(out.reshape(-1, 3), np.tile(after, (SIZE * SIZE, 1)), atol=1)


# laws


@pytest.mark.parametrize("shape", [(120, 160), (97, 61), (40, 200)])
def test_an_unaugmented_sample_is_the_letterbox(shape):
    photo = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    sampled = sample_augment(np.random.default_rng(0), 0, 9, Augment(), SIZE)
    out, _, xyxy = painted(sampled, scene(photo, (3, 4, 50, 40)))
    canvas, place = letterbox(photo, (SIZE, SIZE))
    np.testing.assert_array_equal(out, canvas)
    np.testing.assert_allclose(place.to_photo(xyxy), [[3, 4, 50, 40]], atol=1e-4)


MOVED = Augment(mosaic=0.5, scale=0.7, translate=0.3, flip=0.5, flip_ud=0.5)


@pytest.mark.parametrize(
    "augment", [MOVED, replace(MOVED, degrees=180, shear=20)], ids=["upright", "turned"]
)
def test_boxes_stay_on_what_they_enclose(augment):
    """A white rectangle on black: its box is the bounding box of the white pixels that are left."""
    checked = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        h, w = rng.integers(60, 400, 2)
        x1, y1 = rng.integers(0, w - 40), rng.integers(0, h - 40)
        x2, y2 = rng.integers(x1 + 30, w), rng.integers(y1 + 30, h)
        photo = plain(h, w)
        photo[y1:y2, x1:x2] = 255
        sampled = sample_augment(rng, 0, 10**6, augment, SIZE)
        out = np.empty((SIZE, SIZE, 3), np.uint8)
        samples = defaultdict(lambda: scene(plain(50, 80)), {0: scene(photo, (x1, y1, x2, y2))})
        _, xyxy = paint_sample(sampled, samples.__getitem__, out)
        if not len(xyxy):
            continue
        rows, columns = np.nonzero(out[..., 0] > 184)  # halfway between grey and white
        white = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        if augment.degrees:  # a corner that turns out of sight takes its part of the white with it
            assert (xyxy[0, :2] < np.add(white[:2], 1.5)).all() and (
                xyxy[0, 2:] > np.subtract(white[2:], 1.5)
            ).all()
        if not augment.degrees or ((xyxy > 0) & (xyxy < SIZE)).all():
            tip = (
                2.5 if augment.degrees else 1.5
            )  # where a slanted corner is thinner than a pixel it fades
            np.testing.assert_allclose(xyxy[0], white, atol=tip, err_msg=f"seed {seed}")
            checked += 1
    assert checked > 100


def test_a_resize_and_a_warp_paint_the_same():
    ramp = (
        np.add.outer(np.arange(120), np.arange(160))[..., None].astype(np.uint8).repeat(3, 2) // 2
    )
    for zoom in (-1.7, -0.3, 0.3, 0.8, 1.7):
        affine = np.array([[zoom, 0, 90.3], [0, abs(zoom), 110.6]])
        upright, _, box = moved_by(affine, (20, 30, 60, 90), photo=ramp)
        affine[0, 1] = 1e-9  # no longer upright
        turned, _, same_box = moved_by(affine, (20, 30, 60, 90), photo=ramp)
        assert np.mean(np.abs(upright.astype(int) - turned)) < 1.5, zoom
        np.testing.assert_allclose(box, same_box, atol=1)


def test_a_mosaic_of_a_voc_photo_by_hand():
    # S = 640: a photo of 375 x 500 becomes 480 x 640 and ends at (50, -20), so it begins at
    # (-590, -500) from the middle; zoomed by 1.2 about (320, 320): 1.536 x - 388, 1.536 y - 280.
    photo = scene(plain(375, 500), (300, 200, 400, 300), (0, 0, 100, 100))
    corner, affine = np.array([50.0, -20.0]), np.array([[1.2, 0, 320], [0, 1.2, 320]])
    sampled = SampledAugment((0, 1, 1, 1), corner, affine, SAME_COLOUR)
    _, labels, xyxy = painted(sampled, photo, scene(plain(8, 8)), size=640)
    assert labels.tolist() == [0]
    np.testing.assert_allclose(xyxy, [[72.8, 27.2, 226.4, 180.8]], atol=1)
