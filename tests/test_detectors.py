"""What holds for every model with either head, small enough for a CPU; all of them trace."""

import numpy as np
import pytest
import torch

from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import Detections, GroundTruth
from harness.build import build
from harness.inference.onnx_file import Decoded
from harness.recipe import Recipe
from models import darknet
from models.heads import TunedHead

CLASSES = ("cat", "dog", "bird")
NOTHING = (torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
MODELS = {
    f"{name} {head}": Recipe(
        name, head, balance=(1.0,) if name.startswith("yolov1") else (4.0, 1.0, 0.4)
    )
    for name in ("yolov1-resnet18", "yolov3", "yolov5n")
    for head in ("tuned", "report")
}


@pytest.fixture(params=MODELS)
def model(request, monkeypatch):
    """A random detector; YOLOv3 is an eighth as wide, all 75 convolutions."""
    torch.manual_seed(0)
    monkeypatch.setattr(darknet, "WIDTH", 4)
    return build(MODELS[request.param], CLASSES)


def total_loss(model, photos, targets):
    return torch.stack(list(model.loss(model(photos), targets).values())).sum()


def test_gradient_reaches_every_parameter(model):
    target = (
        torch.tensor([0, 1, 2]),
        torch.tensor([[2.0, 2, 14, 16], [10, 20, 60, 90], [5, 5, 120, 125]]),
    )
    total_loss(model, torch.rand(2, 3, 128, 128), [target, target]).backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ] == []


def test_an_image_without_objects_is_background_only(model):
    parts = model.loss(model(torch.rand(2, 3, 64, 64)), [NOTHING, NOTHING])
    torch.stack(list(parts.values())).sum().backward()
    tuned = isinstance(model.head, TunedHead)
    background = "object" if tuned else "no_object"
    assert [name for name, part in parts.items() if part > 0] == [background]
    assert all(part >= 0 for part in parts.values()) and len(parts) == (3 if tuned else 4)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_raw_output_stays_float32_under_autocast(model):
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        raw = model.eval()(torch.rand(1, 3, 64, 64))
    assert {level.dtype for level in (raw if isinstance(raw, list) else [raw])} == {torch.float32}


def test_training_learns_one_image(model):
    photo = torch.rand(1, 3, 64, 128)
    labels, xyxy = torch.tensor([1, 2]), torch.tensor([[2.0, 16, 26, 52], [84, 10, 124, 60]])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    for _ in range(60):
        optimizer.zero_grad()
        total_loss(model, photo, [(labels, xyxy)]).backward()
        optimizer.step()
    with torch.no_grad():
        boxes, scores = (
            values[0].numpy() for values in model.decode(model(photo))
        )  # with this batch's statistics
    box, label = np.nonzero(scores > 0.001)
    detections = Detections(("a",), CLASSES, 0 * box, label, boxes[box], scores[box, label])
    none = np.zeros(len(labels), np.int32)
    truth = GroundTruth(("a",), CLASSES, none, labels.numpy(), xyxy.numpy(), none > 0)
    assert voc_map(nms(detections, 0.5), truth).map == 1


def assert_same(values, expected):
    for value, wanted in zip(values, expected, strict=True):
        assert torch.allclose(torch.as_tensor(value), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings(
    "ignore"
)  # torch.jit is deprecated, and its tracer says which numbers become constants
@torch.no_grad()
def test_torchscript_gives_the_same_boxes(model, tmp_path):
    whole, photos = Decoded(model.eval()), torch.rand(2, 3, 64, 96)
    torch.jit.save(torch.jit.trace(whole, photos), tmp_path / "model.ts")
    assert_same(torch.jit.load(tmp_path / "model.ts")(photos), whole(photos))
