"""harness.images.letterbox: where a photo lies on its canvas, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.images.letterbox import GREY, letterbox, place_letterbox
from harness.training.painting import hull


def plain(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def test_a_voc_photo_at_640_by_hand():
    canvas, place = letterbox(
        plain(375, 500, (255, 0, 0)), (640, 640)
    )  # 640 / 500 = 1.28; 375 * 1.28 = 480
    assert (place.resized, place.top, place.left) == ((480, 640), 80, 0)
    assert (
        (canvas[80:560] == (255, 0, 0)).all()
        and (canvas[:80] == GREY).all()
        and (canvas[560:] == GREY).all()
    )
    box = np.array([[100.0, 50, 200, 150]])
    on_canvas = np.array([[128.0, 144, 256, 272]])  # 1.28 * (100, 50, 200, 150) + (0, 80, 0, 80)
    np.testing.assert_allclose(hull(box, place.to_canvas()), on_canvas)
    np.testing.assert_allclose(place.to_photo(on_canvas), box)


@pytest.mark.parametrize(
    ("photo", "size", "resized", "top", "left"),
    [
        (
            (333, 500),
            (640, 640),
            (426, 640),
            107,
            0,
        ),  # 426.24 becomes 426, 214 rows are left: 107 above
        ((1001, 667), (640, 640), (640, 426), 0, 107),  # 426.45 becomes 426
        (
            (500, 334),
            (448, 448),
            (448, 299),
            0,
            74,
        ),  # 299.26 becomes 299, 149 columns are left: 74 before, 75 after
        ((334, 500), (448, 448), (299, 448), 74, 0),
        ((375, 500), (480, 640), (480, 640), 0, 0),
    ],
)
def test_odd_sizes_are_placed_in_whole_pixels(photo, size, resized, top, left):
    canvas, place = letterbox(plain(*photo, (255, 255, 255)), size)
    assert (place.resized, place.top, place.left) == (resized, top, left)
    rows, columns = np.nonzero((canvas == 255).all(2))
    assert (rows.min(), rows.max() + 1) == (top, top + resized[0])
    assert (columns.min(), columns.max() + 1) == (left, left + resized[1])
    whole = place.to_photo(np.array([[left, top, left + resized[1], top + resized[0]]], np.float32))
    np.testing.assert_array_equal(whole, [[0, 0, photo[1], photo[0]]])


sides = st.integers(1, 1000)
fractions = st.tuples(*[st.floats(0, 1)] * 4)


@given(sides, sides, sides, sides, fractions)
def test_to_the_canvas_and_back_is_where_it_started(h, w, height, width, at):
    place = place_letterbox((h, w), (height, width))
    assert place.top >= 0 and place.left >= 0
    assert place.resized[0] == height or place.resized[1] == width  # as large as it can be
    x1, x2 = sorted((at[0] * w, at[2] * w))
    y1, y2 = sorted((at[1] * h, at[3] * h))
    box = np.array([[x1, y1, x2, y2]])
    np.testing.assert_allclose(place.to_photo(hull(box, place.to_canvas())), box, atol=1e-4)


def test_a_box_in_the_grey_is_cut_to_the_photo():
    place = place_letterbox((100, 200), (200, 200))  # photo on rows 50 to 150
    np.testing.assert_array_equal(
        place.to_photo(np.array([[-9.0, 20, 50, 300], [0, 0, 10, 10]])),
        [[0, 0, 50, 100], [0, 0, 10, 0]],
    )
