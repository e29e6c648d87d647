"""Every model exports with plain operators: what TorchScript and ONNX compute is what the model computes."""

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from harness import checkpoint
from harness.config import Recipe
from models import darknet

MODELS = {
    f"{name} {head}": Recipe(name, head, balance=(1.0,) if name.startswith("yolov1") else (4.0, 1.0, 0.4))
    for name in ("yolov1-resnet18", "yolov3", "yolov5n")
    for head in ("tuned", "report")
}


class Decoded(nn.Module):
    """A detector as one function: (B, 3, H, W) in [0, 1] -> boxes (B, N, 4) xyxy pixels; scores (B, N, C)."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, images):
        return self.detector.decode(self.detector(images))


@pytest.fixture(scope="module", params=MODELS)
def exported(request):
    """A random detector (YOLOv3 an eighth as wide), photos, and what it finds on them."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(darknet, "WIDTH", 4)
        model = Decoded(checkpoint.build(MODELS[request.param], ("cat", "dog", "bird"))).eval()
    photos = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        return model, photos, model(photos)


def assert_same(found, expected):
    for got, want in zip(found, expected):
        assert torch.allclose(torch.as_tensor(got), want, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and its tracer says which numbers become constants
def test_torchscript_gives_the_same_boxes(exported, tmp_path):
    model, photos, expected = exported
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(model, photos), tmp_path / "model.ts")
        assert_same(torch.jit.load(tmp_path / "model.ts")(photos), expected)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_gives_the_same_boxes_with_standard_operators(exported, tmp_path):
    model, photos, expected = exported
    path = str(tmp_path / "model.onnx")
    torch.onnx.export(model, (photos,), path, dynamo=True, external_data=False, verbose=False)
    assert {node.domain for node in onnx.load(path).graph.node} == {""}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert_same(session.run(None, {session.get_inputs()[0].name: photos.numpy()}), expected)
