"""evaluate.boxes: overlaps worked by hand."""

import numpy as np
import pytest

from evaluate.boxes import iou, iou_rowwise
from tests.oracles import random_tables

FULL = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (FULL, 1),
        ((0, 0, 5, 10), 50 / 100),
        ((5, 5, 15, 15), 25 / 175),
        ((-5, 2, 20, 4), 20 / (100 + 50 - 20)),
        ((10, 0, 20, 10), 0),  # edges touch
        ((11, 11, 12, 12), 0),
        ((5, 5, 5, 8), 0),  # no area
    ],
)
def test_overlap_is_shared_area_over_area_of_either(other, overlap):
    assert iou([FULL], [other]) == iou([other], [FULL]) == overlap


def test_a_box_without_area_overlaps_nothing_not_even_itself():
    assert iou([(3, 3, 3, 3)], [(3, 3, 3, 3)]) == 0


def test_every_row_meets_every_column():
    a, b = random_tables(0)[0].xyxy, random_tables(1)[1].xyxy
    assert iou(a, b).shape == (len(a), len(b)) and iou(a, b).dtype == np.float64
    assert iou(a, b)[3, 7] == iou_rowwise(a[3], b[7])


def test_no_boxes_have_no_overlaps():
    assert iou(np.empty((0, 4)), [FULL]).shape == (0, 1)


def test_an_area_that_float32_cannot_hold_is_exact():
    boxes = np.array(
        [(0, 0, 4097, 4097), (0, 0, 4097, 4096)], np.float32
    )  # 16,785,409 pixels, odd and above 2**24
    assert iou(boxes[:1], boxes[1:]) == iou(boxes[1:], boxes[:1]) == 4096 / 4097
    assert iou(boxes + np.float32(2**20), boxes + np.float32(2**20))[0, 1] == 4096 / 4097
