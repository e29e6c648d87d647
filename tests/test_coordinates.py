"""submit.csv.coordinates: where a box begins and ends in each way of counting."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from submit.csv.coordinates import to_written, to_xyxy
from submit.csv.profile import BOXES, load_profile

UNITS = ("pixels", "pixels-from-0", "pixels-from-1", "shares")
SIZE = np.array([[100, 50]])  # width, height


def profile(unit, box=BOXES[0], decimals=2):
    return replace(load_profile(), unit=unit, fields=("class", "score", *box), decimals=decimals)


@pytest.mark.parametrize(
    ("unit", "corners", "sides", "centre"),
    [
        ("pixels", [0, 20, 10, 50], [0, 20, 10, 30], [5, 35, 10, 30]),
        ("pixels-from-0", [0, 20, 9, 49], [0, 20, 10, 30], [4.5, 34.5, 10, 30]),
        ("pixels-from-1", [1, 21, 10, 50], [1, 21, 10, 30], [5.5, 35.5, 10, 30]),
        ("shares", [0, 0.4, 0.1, 1], [0, 0.4, 0.1, 0.6], [0.05, 0.7, 0.1, 0.6]),
    ],
)
def test_ten_columns_and_the_lower_thirty_rows_of_a_photo(unit, corners, sides, centre):
    xyxy = np.array([[0, 20, 10, 50]])
    for box, wanted in zip(BOXES, (corners, sides, centre)):
        written = to_written(xyxy, profile(unit, box), SIZE)
        np.testing.assert_allclose(written, [wanted], atol=1e-12)
        np.testing.assert_allclose(to_xyxy(written, profile(unit, box), SIZE), xyxy, atol=1e-12)


@given(
    st.sampled_from(UNITS),
    st.sampled_from(BOXES),
    st.integers(2, 5),
    *[st.floats(0, 20, width=32)] * 2,
    *[st.floats(2, 30, width=32)] * 2,
)
def test_what_is_written_comes_back_within_its_last_decimal(
    unit, box, decimals, x, y, width, height
):
    form = profile(unit, box, decimals if unit == "shares" else decimals - 2)
    xyxy = np.array([[x, y, x + width, y + height]])
    written = to_written(xyxy, form, SIZE)
    np.testing.assert_allclose(written, np.round(written, form.decimals), atol=1e-9)
    one = np.tile(SIZE, 2) if unit == "shares" else 1  # of the unit, in pixels
    rounded = 0.75 if box[0] == "xcenter" else 0.5  # a centre and half a side
    assert (
        np.abs(to_xyxy(written, form, SIZE) - xyxy) <= rounded * one * 10.0**-form.decimals + 1e-9
    ).all()


@pytest.mark.parametrize("box", BOXES[:2])
@pytest.mark.parametrize(
    "xyxy", [[99.6, 49.7, 100, 50], [0, 0, 0.3, 0.2], [40.2, 30.4, 40.4, 30.4]]
)
@pytest.mark.parametrize("unit", UNITS[:3])
def test_a_sliver_becomes_one_pixel_of_the_photo(unit, xyxy, box):
    form = profile(unit, box, decimals=0)
    back = to_xyxy(to_written(np.array([xyxy]), form), form)[0]
    assert (back[2:] - back[:2]).tolist() == [1, 1]
    assert (back >= 0).all() and (back[2:] <= [100, 50]).all()


@pytest.mark.parametrize("unit", ["pixels", "shares"])
def test_a_sliver_by_its_centre_has_the_smallest_side_there_is(unit):
    assert to_written(np.array([[10, 20, 10, 20]]), profile(unit, BOXES[2]), SIZE)[
        0, 2:
    ].tolist() == [0.01, 0.01]


def test_a_sliver_on_a_written_place_stays_there():
    assert to_written(np.array([[0.29, 0.57, 0.29, 0.57]]), profile("pixels")).tolist() == [
        [0.29, 0.57, 0.3, 0.58]
    ]


def test_no_minus_zero_is_written():
    assert not np.signbit(to_written(np.array([[-0.001, -0.0, 3, 3]]), profile("pixels"))).any()
