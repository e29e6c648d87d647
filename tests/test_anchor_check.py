"""harness.training.anchor_check: how many boxes the anchors can learn, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluate.tables import GroundTruth
from harness.build import build
from harness.data.dataset import load_split
from harness.recipe import load_recipe
from harness.training.anchor_check import anchor_warning, best_possible_recall
from harness.training.train import train
from tests.tiny import write_tiny_voc

ANCHORS = torch.tensor([[33.0, 23.0], [30.0, 61.0]])
RECIPE = load_recipe("v5n", ["image_size=320", "weights="])


def truth_of(*boxes, difficult=()):
    """One box (image, x1, y1, x2, y2) per row on two images."""
    table = np.array(boxes, np.float32).reshape(-1, 5)
    marked = np.isin(np.arange(len(table)), difficult)
    labels = np.zeros(len(table), np.int16)
    images = table[:, 0].astype(np.int32)
    return GroundTruth(("a", "b"), ("thing",), images, labels, table[:, 1:], marked)


def recall(truth, sizes, **changes):
    return best_possible_recall(ANCHORS, replace(RECIPE, **changes), sizes, truth)


SIZES = [(375, 500), (160, 100)]  # height, width


def test_a_box_is_measured_on_the_training_canvas():
    # Image 0 is 500 wide: 0.64 times. 40 x 10 becomes 25.6 x 6.4, which 33 x 23 fits by 3.59; 40 x
    # 8 becomes 25.6 x 5.12, 4.49 from 23, and 30 x 61 is farther. On image 1, 160 high: 2 times,
    # and the same 40 x 8 becomes 80 x 16, 2.4 from 33 and 1.4 from 23.
    assert recall(truth_of((0, 0, 0, 40, 10)), SIZES) == 1
    assert recall(truth_of((0, 0, 0, 40, 8)), SIZES) == 0
    both = truth_of((0, 0, 0, 40, 10), (0, 0, 0, 40, 8), (1, 0, 0, 40, 8))
    assert recall(both, SIZES) == pytest.approx(2 / 3)
    # At 640 pixels 40 x 8 on image 0 is 51.2 x 10.24: 1.6 and 2.2.
    assert recall(truth_of((0, 0, 0, 40, 8)), SIZES, image_size=640) == 1
    assert recall(both, SIZES, anchor_ratio_max=4.5) == 1


def test_width_and_height_are_not_mixed_up():
    # 32 x 160 on the canvas fits 30 x 61 (1.1 and 2.6); 160 x 32 fits neither (4.8; 5.3).
    sizes = [(320, 320), (320, 320)]
    assert recall(truth_of((0, 0, 0, 32, 160)), sizes) == 1
    assert recall(truth_of((0, 0, 0, 160, 32)), sizes) == 0


def test_each_axis_has_its_own_factor():
    # A photo 1000 x 1 becomes 320 x 1, as no side is below a pixel: 100 x 1 on it is 32 x 1.
    anchor, recipe = torch.tensor([[32.0, 1.0]]), replace(RECIPE, anchor_ratio_max=2.0)
    strip = truth_of((0, 0, 0, 100, 1))
    assert best_possible_recall(anchor, recipe, [(1, 1000), (1, 1000)], strip) == 1


def test_a_factor_at_the_bound_does_not_fit_as_in_the_loss():
    # 132 / 33 is exactly 4, the other side and the other anchor are no help.
    sizes = [(320, 320), (320, 320)]
    assert recall(truth_of((0, 0, 0, 132, 23)), sizes) == 0
    assert recall(truth_of((0, 0, 0, 131, 23)), sizes) == 1


def test_boxes_are_those_that_training_sees():
    hopeless = (0, 0, 0, 200, 2)
    good = (0, 0, 0, 40, 30)
    assert recall(truth_of(hopeless, good, difficult=[0]), SIZES) == 1
    # Clipped to the photo, 500 wide, it is 20 x 30: 12.8 x 19.2 on the canvas, 2.6 and 1.2 from
    # 33 x 23. Whole it would be 973 wide.
    assert recall(truth_of((0, 480, 0, 2000, 30)), SIZES) == 1
    assert recall(truth_of((0, 5, 5, 5, 30), good), SIZES) == 1  # no area
    assert recall(truth_of(), SIZES) == 1
    assert recall(truth_of(hopeless, difficult=[0]), SIZES) == 1


def test_the_line_names_the_share_and_comes_only_below_98_percent():
    model = build(RECIPE, ("thing",))
    sizes = [(320, 320), (320, 320)]
    good, bad = (0, 0, 0, 40, 30), (0, 0, 0, 200, 2)
    assert anchor_warning(model, RECIPE, sizes, truth_of(*[good] * 49, bad)) == ""
    line = anchor_warning(model, RECIPE, sizes, truth_of(*[good] * 48, bad))
    assert line.startswith(
        "the anchors fit only 97.9 % of the training boxes at image_size=320 within a factor of 4 "
        "(want 98%)"
    )
    report = replace(RECIPE, head="report")
    assert anchor_warning(build(report, ("thing",)), report, sizes, truth_of(bad)) == ""


def test_training_says_so_before_it_starts(tmp_path):
    data = write_tiny_voc(tmp_path / "voc")
    small = ["weights=", "image_size=32", "batch=4", "threads=1", "precision=float32", "epochs=1"]
    splits = load_split(data, "train"), load_split(data, "val")
    for ratio, warned in (("4", False), ("1.01", True)):
        lines = []
        recipe = load_recipe("v5n", [*small, f"anchor_ratio_max={ratio}"])
        train(
            recipe,
            *splits,
            tmp_path / ratio,
            device=torch.device("cpu"),
            resume=False,
            say=lines.append,
        )
        assert any("the anchors fit only" in line for line in lines) == warned, ratio
