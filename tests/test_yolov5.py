"""models.yolov5: shapes, box codes, gradients, and that it can learn."""

import math

import pytest
import torch

from models.gains import Gains
from models.heads import ANCHORS, STRIDES
from models.yolov5 import SIZES, YoloV5

COCO = tuple(f"class {i}" for i in range(80))
CLASSES = ("cat", "dog", "bird")
PARAMETERS = {"n": 1_872_157, "s": 7_235_389, "m": 21_190_557, "l": 46_563_709, "x": 86_749_405}


@pytest.fixture(params=["tuned", "report"])
def kind(request):
    """Of the head."""
    return request.param


@pytest.fixture
def model(kind):
    torch.manual_seed(0)
    return YoloV5("n", CLASSES, kind)


def perfect(head, label, xyxy, *, rows, cols, big=30.0):
    """The raw output that says exactly one box wherever an anchor could say it."""
    x1, y1, x2, y2 = xyxy
    raw = []
    for stride, anchors in zip(STRIDES, ANCHORS):
        level = torch.zeros(1, 3, rows // stride, cols // stride, 8)
        level[..., 4:] = -big
        level[..., 5 + label] = big
        for a, (w, h) in enumerate(anchors):
            tw, th = (x2 - x1) / w, (y2 - y1) / h
            for row in range(level.shape[2]):
                for col in range(level.shape[3]):
                    x, y = (x1 + x2) / 2 / stride - col, (y1 + y2) / 2 / stride - row
                    if head == "report":
                        place, size = (x, y), (math.log(tw), math.log(th))
                    else:
                        place, size = ((x + 0.5) / 2, (y + 0.5) / 2), (tw**0.5 / 2, th**0.5 / 2)
                        if not all(0 < s < 1 for s in size):
                            continue
                        size = tuple(math.log(s / (1 - s)) for s in size)
                    if all(0 < p < 1 for p in place):
                        place = tuple(math.log(p / (1 - p)) for p in place)
                        level[0, a, row, col, :5] = torch.tensor([*place, *size, big])
        raw.append(level)
    return raw


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts_are_the_published_ones(size):
    with torch.device("meta"):
        model = YoloV5(size, COCO)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[size]


def test_state_names_are_the_checkpoints():
    names = set(YoloV5("n", COCO).state_dict())
    assert {
        "model.0.conv.weight",
        "model.2.m.0.cv1.bn.running_mean",
        "model.9.cv2.conv.weight",
    } <= names
    assert {"model.24.anchors", "model.24.m.2.bias"} <= names and len(names) == 349


@pytest.mark.parametrize(("rows", "cols"), [(64, 64), (96, 160)])
def test_shapes(model, rows, cols):
    raw = model(torch.rand(2, 3, rows, cols))
    xyxy, scores = model.decode(raw)
    places = sum(3 * (rows // s) * (cols // s) for s in STRIDES)
    assert [tuple(level.shape) for level in raw] == [
        (2, 3, rows // s, cols // s, 8) for s in STRIDES
    ]
    assert (xyxy.shape, scores.shape) == ((2, places, 4), (2, places, 3))
    assert 0 <= scores.min() and scores.max() <= 1


def test_a_perfect_output_decodes_to_the_truth_and_costs_nothing(model, kind):
    truth = [22.0, 70.0, 52.0, 93.0]  # off centre, not square: a swapped axis would show
    raw = perfect(kind, 2, truth, rows=96, cols=128)
    xyxy, scores = model.decode(raw)
    best = scores[0, :, 2].argmax()
    assert (
        torch.allclose(xyxy[0, best], torch.tensor(truth), atol=1e-3) and scores[0, best, 2] > 0.999
    )
    parts = model.loss(raw, [(torch.tensor([2]), torch.tensor([truth]))])
    parts.pop(
        "no_object", None
    )  # anchors beyond the best one also claim this object, which v3 calls background
    if kind == "tuned":
        parts.pop("object")  # likewise, in cells that match_by_ratio does not choose
    assert sum(parts.values()) < 1e-4, parts


def test_classes_share_a_box_in_the_report_head_and_are_independent_in_the_tuned_one(model, kind):
    raw = [
        torch.full((1, 3, 2 // 2**i, 2 // 2**i, 8), 20.0) for i in range(2)
    ]  # objectness and all classes sure
    raw.append(raw[1])
    _, scores = model.decode(raw)
    expected = 1.0 if kind == "tuned" else 1 / 3
    assert torch.allclose(scores, torch.tensor(expected), atol=1e-6)


def test_objectness_starts_near_eight_objects_an_image():
    heads = YoloV5("n", CLASSES).head
    for head, stride in zip(heads.m, STRIDES):
        prior = torch.sigmoid(head.bias.view(3, -1)[:, 4]).mean().item()
        assert prior == pytest.approx(8 / (640 / stride) ** 2, rel=0.5)


def test_balance_weighs_the_levels():
    raw = [torch.zeros(1, 3, 8 // 2**i, 8 // 2**i, 8) for i in range(3)]
    none = [(torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))]
    weights = [(4.0, 1.0, 0.4), (1.0, 1.0, 1.0)]
    small, flat = (
        YoloV5("n", CLASSES, gains=Gains(balance=b)).loss(raw, none)["object"] for b in weights
    )
    assert float(small / flat) == pytest.approx(5.4 / 3)
