"""models.yolov5: shapes, what raw output means, and the published layer table, row by row."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from models.gains import Gains
from models.heads import ANCHORS, STRIDES
from models.yolov5 import SIZES, YoloV5
from models.yolov5_weights import read_yolov5

OFFICIAL = Path(__file__).parents[2] / "shared" / "weights" / "yolov5n-coco.pt"
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


TABLE = (  # of YOLOv5 v6.0, a row a layer: where from, kind, arguments
    *(
        (-1, "conv", 2, 2),
        (-1, "conv", 2),
        (-1, "c3", 3, True),
        (-1, "conv", 2),
        (-1, "c3", 6, True),
    ),
    *((-1, "conv", 2), (-1, "c3", 9, True), (-1, "conv", 2), (-1, "c3", 3, True), (-1, "sppf")),
    *((-1, "conv"), (-1, "up"), ((-1, 6), "cat"), (-1, "c3", 3, False)),
    *((-1, "conv"), (-1, "up"), ((-1, 4), "cat"), (-1, "c3", 3, False)),
    *((-1, "conv", 2), ((-1, 14), "cat"), (-1, "c3", 3, False)),
    *((-1, "conv", 2), ((-1, 10), "cat"), (-1, "c3", 3, False), ((17, 20, 23), "detect")),
)


def by_the_table(state, size, images):
    """Raw output of the layer table, row by row on the bare state, in float64.

    -> levels (B, 3, rows, cols, 5 + C).
    """
    left = {
        name: value.double()
        for name, value in state.items()
        if not name.endswith(("tracked", ".anchors"))
    }

    def conv(name, x, stride=1, padding=None):
        kernel = left.pop(f"{name}.conv.weight")
        y = F.conv2d(
            x, kernel, stride=stride, padding=kernel.shape[-1] // 2 if padding is None else padding
        )
        kinds = ("running_mean", "running_var", "weight", "bias")
        mean, var, scale, shift = (left.pop(f"{name}.bn.{kind}")[:, None, None] for kind in kinds)
        y = (y - mean) / (var + 1e-3).sqrt() * scale + shift
        return y / (1 + (-y).exp())

    def c3(name, x, repeats, shortcut):
        y = conv(f"{name}.cv1", x)
        for j in range(max(round(repeats * SIZES[size][0]), 1)):
            z = conv(f"{name}.m.{j}.cv2", conv(f"{name}.m.{j}.cv1", y))
            y = y + z if shortcut else z
        return conv(f"{name}.cv3", torch.cat([y, conv(f"{name}.cv2", x)], 1))

    def sppf(name, x):
        x = conv(f"{name}.cv1", x)
        return conv(
            f"{name}.cv2", torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], 1)
        )

    def detect(name, xs):
        maps = [
            F.conv2d(x, *(left.pop(f"{name}.m.{i}.{kind}") for kind in ("weight", "bias")))
            for i, x in enumerate(xs)
        ]
        return [m.reshape(len(m), 3, -1, *m.shape[2:]).permute(0, 1, 3, 4, 2) for m in maps]

    layers = {
        **{"conv": conv, "c3": c3, "sppf": sppf, "detect": detect},
        "up": lambda _, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3),
        "cat": lambda _, xs: torch.cat(xs, 1),
    }
    outputs = [images.double()]  # of row i at i + 1
    for i, (origin, kind, *arguments) in enumerate(TABLE):
        origins = [
            outputs[-1] if o == -1 else outputs[o + 1]
            for o in (origin if isinstance(origin, tuple) else [origin])
        ]
        outputs.append(
            layers[kind](
                f"model.{i}", origins if isinstance(origin, tuple) else origins[0], *arguments
            )
        )
    assert not left, sorted(left)
    return outputs[-1]


def gradient_image(rows, cols):
    """(1, 3, rows, cols) in [0, 1]: slanted ramps, by arithmetic alone."""
    band, row, col = torch.meshgrid(
        torch.arange(3), torch.arange(rows), torch.arange(cols), indexing="ij"
    )
    return ((29 * band + 7 * row + 13 * col) % 256 / 255)[None]


@pytest.mark.parametrize(("size", "rows", "cols"), [("n", 192, 256), ("m", 64, 96), ("l", 64, 96)])
def test_the_network_computes_the_published_table(size, rows, cols):
    torch.manual_seed(0)
    model = YoloV5(size, CLASSES).eval()
    for name, value in model.state_dict().items():
        if (
            ".bn." in name and value.is_floating_point()
        ):  # as made, batch norm would do next to nothing
            value.uniform_(0.5, 2.0)
    with torch.no_grad():
        levels = model(gradient_image(rows, cols))
    expected = by_the_table(model.state_dict(), size, gradient_image(rows, cols))
    for level, wanted in zip(levels, expected, strict=True):
        assert level.std((2, 3)).min() > 5e-4  # between places: the image matters to each number
        assert torch.allclose(level.double(), wanted, rtol=0, atol=1e-5)


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official checkpoint is not here")
def test_the_official_yolov5n_gives_its_golden_output():
    weights = read_yolov5(OFFICIAL)
    model = YoloV5("n", weights.classes)
    model.load_state_dict(weights.state)
    with torch.no_grad():
        levels = model.eval()(gradient_image(192, 256))
    expected = by_the_table(weights.state, "n", gradient_image(192, 256))
    assert all(
        torch.allclose(a.double(), b, rtol=0, atol=1e-4)
        for a, b in zip(levels, expected, strict=True)
    )
    flat = torch.cat([level.flatten() for level in levels])
    golden = [
        0.691643,
        -7.408439,
        -4.527635,
        -3.518515,
        -5.184289,
        -5.227025,
    ]  # from `by_the_table`
    golden += [-5.776637, -4.118620, -5.629461, -5.881821, -2.294848, -5.358575]
    assert flat[:: len(flat) // 11].tolist() == pytest.approx(golden, abs=1e-4)
    assert flat.mean().item() == pytest.approx(-5.067123, abs=1e-4)
