"""models.losses: parts worked by hand on a 2 x 2 grid."""

import math

import pytest
import torch
from torch.nn import functional as F

from models.boxes import ciou, decode_sigmoid
from models.gains import Gains
from models.losses import report_loss, tuned_loss

ANCHORS = torch.tensor([[[8.0, 8.0]]])  # one level, one anchor
TARGET = [(torch.tensor([1]), torch.tensor([[2.0, 9.0, 6.0, 15.0]]))]  # centre (4, 12), size 4 x 6
NOTHING = [(torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))]


def zeros():
    """One level (1 image, 1 anchor, 2 x 2 cells of stride 8, 5 + 2 classes)."""
    return [torch.zeros(1, 1, 2, 2, 7)]


def test_tuned_parts_by_hand():
    # Truth 4 x 6 against anchor 8 x 8: factor 2 at most, it answers. Centre (4, 12) / 8 = (0.5,
    # 1.5): home row 1 col 0, neighbours col 1 (0.5 is not below 0.5) and row 2, which is outside.
    # All logits 0: boxes are 8 x 8 at the middle of their cells, so IoU at home 24 / 64 and at col
    # 1 (2 apart from x 8 to 16) 0. The one level counts for three.
    parts = tuned_loss(zeros(), TARGET, decode_sigmoid, ANCHORS, (8,), Gains(balance=(1.0,)))
    home = ciou(torch.tensor([[4.0, 12, 8, 8]]), torch.tensor([[4.0, 12, 4, 6]]))
    beside = ciou(torch.tensor([[12.0, 12, 8, 8]]), torch.tensor([[4.0, 12, 4, 6]]))
    assert float(home[0]) == pytest.approx(24 / 64) and float(beside[0]) == 0
    assert float(parts["box"]) == pytest.approx(
        3 * 0.05 * (2 - float(home[1]) - float(beside[1])) / 2
    )
    wanted = torch.tensor([24 / 64, 0, 0, 0])  # the IoU is what objectness is asked for
    obj = F.binary_cross_entropy_with_logits(torch.zeros(4), wanted)
    assert float(parts["object"]) == pytest.approx(3 * 16 * 16 / 640**2 * float(obj))
    assert float(parts["class"]) == pytest.approx(3 * 0.5 * 2 / 80 * math.log(2))


def test_one_level_costs_as_much_as_three_that_see_the_same():
    # Three equal levels add three equal means, 0.05 * (m + m + m); one level has 3 * 0.05 * m.
    one = tuned_loss(zeros(), TARGET, decode_sigmoid, ANCHORS, (8,), Gains(balance=(1.0,)))
    three = tuned_loss(
        [*zeros(), *zeros(), *zeros()],
        TARGET,
        decode_sigmoid,
        ANCHORS.expand(3, 1, 2),
        (8, 8, 8),
        Gains(balance=(1.0, 1.0, 1.0)),
    )
    for part, value in one.items():
        assert value > 0 and float(value) == pytest.approx(float(three[part]))


def test_report_parts_by_hand():
    # The one anchor answers at row 1 col 0. All logits 0: place in the cell (.5, .5) is exact, so
    # box is only the size: (0 - log(4 / 8))^2 and (0 - log(6 / 8))^2 over 4 numbers.
    parts = report_loss(zeros(), TARGET, ANCHORS, (8,), (4.0,))
    assert float(parts["box"]) == pytest.approx(
        2.5 * (math.log(0.5) ** 2 + math.log(0.75) ** 2) / 4
    )
    assert float(parts["object"]) == pytest.approx(4 * (0.5 - 24 / 64) ** 2)
    assert float(parts["no_object"]) == pytest.approx(4 * 10 * math.log(2))
    assert float(parts["class"]) == pytest.approx(math.log(2))


@pytest.mark.parametrize("balance", [(4.0,), (1.0,)])
def test_an_image_without_objects_is_background_only(balance):
    tuned = tuned_loss(zeros(), NOTHING, decode_sigmoid, ANCHORS, (8,), Gains(balance=balance))
    report = report_loss(zeros(), NOTHING, ANCHORS, (8,), balance)
    assert tuned["object"] > 0 and tuned["box"] == tuned["class"] == 0
    assert report["no_object"] > 0 and report["box"] == report["object"] == report["class"] == 0


def test_two_truths_in_one_place_ask_for_the_better_overlap():
    both = [(torch.tensor([0, 0]), torch.tensor([[2.0, 9, 6, 15], [0.0, 8, 8, 16]]))]
    raw = [torch.full((1, 1, 2, 2, 7), 0.0)]
    raw[0][..., 4] = 20.0  # sure of an object: BCE is 20 * (1 - wanted)
    parts = tuned_loss(raw, both, decode_sigmoid, ANCHORS, (8,), Gains(balance=(1.0,)))
    # home place: IoU .375 and 1, so 1 is wanted there; the other three want 0
    assert float(parts["object"]) == pytest.approx(3 * 16 * 16 / 640**2 * 20 * 3 / 4, rel=1e-4)


def test_an_anchor_in_the_ignore_band_is_neither_object_nor_background():
    # truth 4 x 6 in cell (1, 0): 4 x 6 is the best anchor, 4 x 8 has shape IoU 24 / 32 and is
    # ignored, 60 x 60 is not
    anchors = torch.tensor([[[4.0, 6], [4, 8], [60, 60]]])
    costs = []
    for anchor in (1, 2):
        raw = [torch.full((1, 3, 2, 2, 7), -30.0)]
        raw[0][0, anchor, 1, 0, 4] = 20.0  # sure of an object there
        costs.append(float(report_loss(raw, TARGET, anchors, (8,), (1.0,))["no_object"]))
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs[1] == pytest.approx(10 * 20 / 10)  # one of the ten places that are background
