"""models.darknet, darknet_weights: the layer table, and files read into the network they mean."""

import math
import struct
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models import darknet
from models.class_names import COCO, match_classes
from models.darknet import DarkNet53
from models.darknet_weights import file_order, read_darknet
from models.weights import WeightsError
from models.yolov3 import YoloV3
from models.yolov5_weights import read_yolov5

BACKBONE_BYTES, WHOLE_BYTES = 162_482_580, 248_007_048  # darknet53.conv.74, yolov3.weights
OFFICIAL = Path(__file__).parents[2] / "shared" / "weights" / "yolov5n-coco.pt"
NEW, OLD = (
    struct.pack("<3iq", 0, 2, 0, 32_013_312),
    struct.pack("<4i", 0, 1, 0, 32_013_312),
)  # headers


@pytest.fixture
def narrow(monkeypatch):
    """All 75 convolutions, an eighth as wide. -> the width."""
    monkeypatch.setattr(darknet, "WIDTH", 4)
    return 4


def table(width, outputs):
    """yolov3.cfg, whose first 75 layers are the backbone: (kind, arguments) in order."""
    layers = [("conv", width, 3, 1)]
    for stage, repeats in enumerate((1, 2, 8, 8, 4)):
        c = width * 2 ** (stage + 1)
        layers += [("conv", c, 3, 2)] + [
            ("conv", c // 2, 1, 1),
            ("conv", c, 3, 1),
            ("shortcut",),
        ] * repeats
    for c, feature in ((32 * width, None), (16 * width, 61), (8 * width, 36)):
        if feature:
            layers += [("route", -4), ("conv", c // 2, 1, 1), ("upsample",), ("route", -1, feature)]
        layers += [("conv", c // 2, 1, 1), ("conv", c, 3, 1)] * 3 + [("linear", outputs), ("yolo",)]
    return layers


def run(layers, images, seed=0):
    """Darknet in slow motion, on random weights -> bytes of the weights, every layer's output."""
    generator, written, outs, x = torch.Generator().manual_seed(seed), [], [], images

    def read(*shape, low, high):
        written.append(torch.rand(shape, generator=generator) * (high - low) + low)
        return written[-1]

    for kind, *args in layers:
        if kind == "conv":
            filters, kernel, stride = args
            bias, scale, mean, var = (
                read(filters, low=l, high=h) for l, h in ((-1, 1), (0.2, 1), (-1, 1), (0.5, 2))
            )
            bound = (3 / (x.shape[1] * kernel**2)) ** 0.5
            weight = read(filters, x.shape[1], kernel, kernel, low=-bound, high=bound)
            x = F.conv2d(x, weight, stride=stride, padding=kernel // 2)
            bias, scale, mean, var = (v[:, None, None] for v in (bias, scale, mean, var))
            x = (x - mean) / (var + 1e-5).sqrt() * scale + bias
            x = torch.where(x > 0, x, 0.1 * x)
        elif kind == "linear":
            bias = read(args[0], low=-1, high=1)
            x = F.conv2d(x, read(args[0], x.shape[1], 1, 1, low=-0.1, high=0.1), bias)
        elif kind == "shortcut":
            x = x + outs[-3]
        elif kind == "route":
            x = torch.cat([outs[i] for i in args], 1)
        elif kind == "upsample":
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        outs.append(x)
    return b"".join(part.numpy().astype("<f4").tobytes() for part in written), outs


def bytes_of(model):
    return len(NEW) + 4 * sum(math.prod(shape) for shape in file_order(model).values())


@pytest.fixture(scope="module")
def official():
    with torch.device("meta"):
        return YoloV3(COCO)


def test_darknet_53_has_52_convolutions_and_yolov3_75(official):
    convolutions = [
        sum(isinstance(m, nn.Conv2d) for m in net.modules())
        for net in (official.backbone, official)
    ]
    assert convolutions == [52, 75]


def test_the_networks_make_files_of_exactly_the_official_sizes(official):
    assert (bytes_of(official.backbone), bytes_of(official)) == (BACKBONE_BYTES, WHOLE_BYTES)


def test_files_of_the_official_sizes_are_the_backbone_and_the_coco_network(official, tmp_path):
    for size, net, kind in (
        (BACKBONE_BYTES, official.backbone, "darknet53"),
        (WHOLE_BYTES, official, "yolov3"),
    ):
        path = tmp_path / kind
        with open(path, "wb") as file:
            file.write(NEW)
            file.truncate(size)  # zeros, which take no room
        weights = read_darknet(path)
        assert (weights.architecture, weights.classes) == (kind, COCO if kind == "yolov3" else ())
        shapes = {name: (value.shape, value.dtype) for name, value in net.state_dict().items()}
        assert {name: (value.shape, value.dtype) for name, value in weights.state.items()} == shapes


@pytest.mark.parametrize("header", [NEW, OLD], ids=["0.2", "0.1"])
def test_a_backbone_file_gives_darknets_features(narrow, tmp_path, header):
    images = torch.rand(2, 3, 64, 96)
    content, outs = run(table(narrow, 0)[:75], images)
    (tmp_path / "b.conv.74").write_bytes(header + content)
    weights = read_darknet(tmp_path / "b.conv.74")
    backbone = DarkNet53()
    backbone.load_state_dict(weights.state)
    assert (weights.architecture, weights.classes) == ("darknet53", ())
    features = backbone.eval()(images)
    assert [f.shape[1] for f in features] == list(backbone.channels)
    for feature, layer in zip(features, (36, 61, 74)):
        torch.testing.assert_close(feature, outs[layer], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [80, 3, 1])
def test_a_whole_file_gives_darknets_output(narrow, tmp_path, count):
    images = torch.rand(2, 3, 64, 96)
    content, outs = run(table(narrow, 3 * (5 + count)), images)
    (tmp_path / "y.weights").write_bytes(NEW + content)
    weights = read_darknet(tmp_path / "y.weights")
    assert weights.architecture == "yolov3"
    assert weights.classes == (COCO if count == 80 else tuple(f"class {i}" for i in range(count)))
    model = YoloV3(weights.classes)
    model.load_state_dict(weights.state)
    for level, layer in zip(model.eval()(images), (106, 94, 82)):
        theirs = outs[layer].unflatten(1, (3, 5 + count)).permute(0, 1, 3, 4, 2)
        torch.testing.assert_close(level, theirs, rtol=1e-3, atol=1e-3)
    assert torch.equal(model.head.anchors, YoloV3(weights.classes).head.anchors)


@pytest.mark.parametrize("kind", ["cut", "longer", "text", "empty", "half a class"])
def test_a_file_of_another_size_is_refused_with_the_sizes_wanted_and_found(tmp_path, kind):
    path, class_bytes = tmp_path / "y.weights", 12 * (256 + 512 + 1024 + 3)
    size = {
        "cut": WHOLE_BYTES - 4,
        "longer": BACKBONE_BYTES + 4,
        "text": 5,
        "empty": 0,
        "half a class": WHOLE_BYTES - class_bytes // 2,
    }[kind]
    with open(path, "wb") as file:
        file.write(b"hello" if kind == "text" else NEW)
        file.truncate(size)
    sizes = rf"162,482,580 bytes .* 248,007,048 .* {class_bytes:,} .* found {size:,}:"
    wanted = f"y.weights: want .* {sizes}"
    with pytest.raises(WeightsError, match=wanted):
        read_darknet(path)


def test_a_file_before_version_2_is_four_bytes_shorter(tmp_path):
    (tmp_path / "old").write_bytes(OLD)
    with pytest.raises(
        WeightsError, match="old: want .* 162,482,576 bytes .* 248,007,044 .* found 16"
    ):
        read_darknet(tmp_path / "old")


def test_a_whole_file_without_classes_is_refused(narrow, tmp_path):
    with torch.device("meta"):
        one, two = (bytes_of(YoloV3(COCO[:n])) for n in (1, 2))
    (tmp_path / "y.weights").write_bytes(NEW.ljust(one - (two - one), b"\0"))
    with pytest.raises(WeightsError, match="y.weights: want"):
        read_darknet(tmp_path / "y.weights")


@pytest.mark.parametrize("name", ["bias", "variance"])
def test_a_file_of_the_right_size_with_impossible_numbers_is_refused(narrow, tmp_path, name):
    content, _ = run(table(narrow, 0)[:75], torch.rand(1, 3, 32, 32))
    # Of the first convolution.
    start, value = (8, math.nan) if name == "bias" else (4 * 3 * narrow, -1.0)
    damaged = content[:start] + struct.pack("<f", value) + content[start + 4 :]
    (tmp_path / "b").write_bytes(NEW + damaged)
    tensor = "stem.bn.bias" if name == "bias" else "stem.bn.running_var"
    with pytest.raises(
        WeightsError, match=rf"b: .*darknet53.* 1 of 260 tensors, such as {tensor}:"
    ):
        read_darknet(tmp_path / "b")


def test_the_names_of_coco_stand_in_its_order():
    voc = (
        "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
        "person pottedplant sheep sofa train tvmonitor"
    )
    rows = [4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62]  # published
    assert match_classes(voc.split(), COCO) == rows
    assert len(set(COCO)) == 80


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official checkpoint is not here")
def test_the_names_of_coco_are_those_of_the_official_yolov5():
    assert read_yolov5(OFFICIAL).classes == COCO
