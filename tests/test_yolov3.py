"""models.yolov3: shapes, what raw output means, gradients, and that it can learn."""

import math

import pytest
import torch

from models import darknet
from models.gains import Gains
from models.yolov3 import YoloV3

CLASSES = ("cat", "dog", "bird")
STRIDES = (8, 16, 32)
ANCHORS = [
    [(10, 13), (16, 30), (33, 23)],
    [(30, 61), (62, 45), (59, 119)],
    [(116, 90), (156, 198), (373, 326)],
]
NOTHING = (torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))


@pytest.fixture
def narrow(monkeypatch):
    """All 75 convolutions, an eighth as wide."""
    monkeypatch.setattr(darknet, "WIDTH", 4)


@pytest.fixture(params=["tuned", "report"])
def kind(request):
    """Of the head."""
    return request.param


@pytest.fixture
def model(kind, narrow):
    torch.manual_seed(0)
    return YoloV3(CLASSES, kind)


def perfect(head, label, xyxy, *, rows, cols, big=30.0):
    """The raw output that says exactly one box, in its home cell, by each positive anchor."""
    (x1, y1, x2, y2), shapes = xyxy, [shape for level in ANCHORS for shape in level]
    w, h = x2 - x1, y2 - y1
    if head == "report":
        shared = [min(w, pw) * min(h, ph) for pw, ph in shapes]
        overlap = [s / (w * h + pw * ph - s) for s, (pw, ph) in zip(shared, shapes)]
        answers = [overlap.index(max(overlap))]
    else:
        answers = [
            i for i, (pw, ph) in enumerate(shapes) if max(w / pw, pw / w, h / ph, ph / h) < 4
        ]
    raw = []
    for i, stride in enumerate(STRIDES):
        level = torch.zeros(1, 3, rows // stride, cols // stride, 5 + len(CLASSES))
        level[..., 4:] = -big
        x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
        place = [math.log(p / (1 - p)) for p in (x % 1, y % 1)]
        for a, (pw, ph) in enumerate(ANCHORS[i]):
            if 3 * i + a in answers:
                cell = level[0, a, int(y), int(x)]
                cell[:5] = torch.tensor([*place, math.log(w / pw), math.log(h / ph), big])
                cell[5 + label] = big
        raw.append(level)
    return raw


def test_the_parameter_count_is_that_of_yolov3_weights():
    with torch.device("meta"):
        model = YoloV3(tuple(f"class {i}" for i in range(80)))
    assert sum(p.numel() for p in model.parameters()) == 61_949_149


def test_state_names_put_the_backbone_and_the_heads_apart(model):
    names = model.state_dict()
    assert {name.split(".")[0] for name in names} == {
        "backbone",
        "branches",
        "tips",
        "routes",
        "heads",
    }
    assert {f"backbone.{name}" for name in model.backbone.state_dict()} <= set(names)
    assert model.class_rows() == {
        f"heads.m.{i}.{kind}": 3 for i in range(3) for kind in ("weight", "bias")
    }
    assert all(names[name].shape[0] == 3 * (5 + 3) for name in model.class_rows())


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


@pytest.mark.parametrize(
    "truth", [(22, 70, 52, 93), (13, 9, 24, 22), (5, 8, 120, 90)]
)  # the best anchor on each level
def test_a_perfect_output_decodes_to_the_truth_and_costs_nothing(model, kind, truth):
    truth = [float(edge) for edge in truth]
    raw = perfect(kind, 2, truth, rows=96, cols=128)
    xyxy, scores = model.decode(raw)
    best = scores[0, :, 2] > 0.999
    assert 1 <= best.sum() <= 9 and scores[0, ~best].max() < 1e-6 and scores[0, :, :2].max() < 1e-6
    torch.testing.assert_close(
        xyxy[0, best], torch.tensor([truth]).expand(int(best.sum()), 4), rtol=0, atol=1e-3
    )
    parts = model.loss(raw, [(torch.tensor([2]), torch.tensor([truth]))])
    assert len(parts) == (4 if kind == "report" else 3)
    assert all(abs(part) < 1e-5 for part in parts.values()), parts


def test_classes_share_a_box_in_the_report_head_and_are_independent_in_the_tuned_one(model, kind):
    raw = [
        torch.full((1, 3, 4 // 2**i, 4 // 2**i, 8), 20.0) for i in range(3)
    ]  # objectness and all classes sure
    _, scores = model.decode(raw)
    expected = 1.0 if kind == "tuned" else 1 / 3
    assert torch.allclose(scores, torch.tensor(expected), atol=1e-6)


def test_levels_weigh_alike_unless_gains_say_otherwise(model, kind):
    raw = [torch.zeros(1, 3, 8 // 2**i, 8 // 2**i, 8) for i in range(3)]
    part = "object" if kind == "tuned" else "no_object"
    four = YoloV3(CLASSES, kind, Gains(balance=(4.0, 1.0, 0.4)))
    costs = [float(net.loss(raw, [NOTHING])[part]) for net in (model, four)]
    assert costs[1] / costs[0] == pytest.approx(5.4 / 3)


def test_objectness_starts_low_in_the_tuned_head_and_even_in_the_report_head(model, kind):
    for head, stride in zip(model.head.m, STRIDES):
        start = torch.sigmoid(head.bias.view(3, -1)[:, 4])
        expected = 0.5 if kind == "report" else 8 / (640 / stride) ** 2
        assert start.tolist() == pytest.approx([expected] * 3, rel=0.3)
