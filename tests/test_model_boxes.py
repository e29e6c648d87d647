"""models.boxes: formats, overlaps and box codes, worked by hand."""

import math

import pytest
import torch

from models.boxes import (
    cell_grid,
    ciou,
    concentric_iou,
    cxcywh_to_xyxy,
    decode_exp,
    decode_sigmoid,
    displaced_iou,
    xyxy_to_cxcywh,
)


def test_formats_convert_into_each_other():
    xyxy = torch.tensor([[[0.0, 10, 20, 40]], [[4, 4, 6, 8]]])
    cxcywh = torch.tensor([[[10.0, 25, 20, 30]], [[5, 6, 2, 4]]])
    assert torch.equal(xyxy_to_cxcywh(xyxy), cxcywh) and torch.equal(cxcywh_to_xyxy(cxcywh), xyxy)


def test_a_grid_tells_column_and_row_of_each_cell():
    assert cell_grid(2, 3, torch.device("cpu")).tolist() == [
        [[0, 0], [1, 0], [2, 0]],
        [[0, 1], [1, 1], [2, 1]],
    ]


def test_concentric_boxes_share_the_lesser_width_and_height():
    # 4 x 2 and 2 x 4 share 2 x 2: 4 / 12. 8 x 8 holds 8 x 6: 48 / 64. Every a with every b.
    a, b = torch.tensor([[4.0, 2], [8, 8]]), torch.tensor([[2.0, 4], [8, 6]])
    table = concentric_iou(a[:, None], b)
    assert table.flatten().tolist() == pytest.approx([4 / 12, 8 / 48, 8 / 64, 48 / 64])


@pytest.mark.parametrize(("apart", "shared"), [(0, 4), (2, 4), (3, 3), (5.5, 0.5), (6, 0), (9, 0)])
def test_sides_of_8_and_4_share_less_the_farther_apart_their_middles_are(apart, shared):
    sizes = torch.tensor([[8.0, 10], [10, 8]]), torch.tensor([[4.0, 10], [10, 4]])
    overlap = displaced_iou(*sizes, torch.tensor([[apart, 0.0], [0, apart]]))  # along x, along y
    expected = 10 * shared / (80 + 40 - 10 * shared)
    assert overlap.tolist() == pytest.approx([expected] * 2)


def test_ciou_of_a_box_with_itself_is_one():
    box = torch.tensor([[3.0, 4, 5, 6]])
    assert [float(v) for v in ciou(box, box)] == pytest.approx([1, 1], abs=1e-6)


def test_ciou_of_disjoint_boxes_of_one_shape_is_minus_squared_distance_over_squared_diagonal():
    # 2x2 boxes at x 1 and 7: IoU 0, centres 6 apart, hull 8 x 2: 36 / 68
    iou, complete = ciou(torch.tensor([[1.0, 1, 2, 2]]), torch.tensor([[7.0, 1, 2, 2]]))
    assert float(iou) == 0 and float(complete) == pytest.approx(-36 / 68)


def test_ciou_punishes_another_shape():
    # same centre, 4x2 against 2x4: IoU 4 / 12, angles atan 2 and atan 1/2; v = 4 / pi^2 (.6435)^2 =
    # .16783
    iou, complete = ciou(torch.tensor([[0.0, 0, 4, 2]]), torch.tensor([[0.0, 0, 2, 4]]))
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    assert float(iou) == pytest.approx(1 / 3)
    assert float(complete) == pytest.approx(1 / 3 - v * v / (1 - 1 / 3 + v))


def test_box_codes_of_zero_logits_are_the_anchor_in_the_middle_of_the_cell():
    for code in (decode_exp, decode_sigmoid):
        box = code(torch.zeros(1, 4), torch.tensor([[3, 1]]), torch.tensor([[10.0, 20]]), 16)
        assert box.tolist() == [[56, 24, 10, 20]]


def test_box_codes_of_logits_2_are_those_of_their_formulas():
    # sigmoid(2) = .8808, e^2 = 7.389. Column 3, row 1 of stride 16, an anchor 10 x 20.
    given = torch.full((1, 4), 2.0), torch.tensor([[3, 1]]), torch.tensor([[10.0, 20]]), 16
    assert decode_exp(*given)[0].tolist() == pytest.approx([62.09, 30.09, 73.89, 147.78], abs=0.01)
    expected = [68.19, 36.19, 31.03, 62.06]
    assert decode_sigmoid(*given)[0].tolist() == pytest.approx(expected, abs=0.01)
