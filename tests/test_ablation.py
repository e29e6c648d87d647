"""benchmarks/ablation.py: plans name recipes and keys that exist; what is taken out is out."""

import importlib.util
import tomllib
from pathlib import Path

import pytest
import torch

import harness.weights.start
import models.heads
import models.losses
import models.weights
from harness.recipe import load_recipe
from models.yolov5 import YoloV5

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
spec = importlib.util.spec_from_file_location("ablation", BENCHMARKS / "ablation.py")
ablation = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ablation)
TARGET = [(torch.tensor([1]), torch.tensor([[10.0, 20.0, 34.0, 44.0]]))]


@pytest.fixture(autouse=True)
def put_back(monkeypatch):
    """An ablation replaces functions for good, as it has a process of its own; here undo it."""
    for module, name in (
        (models.losses, "match_by_ratio"),
        (models.losses, "ciou"),
        (models.heads, "tuned_loss"),
        (models.weights, "match_classes"),
        (harness.weights.start, "transfer"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))


@pytest.mark.parametrize(
    "path", sorted(BENCHMARKS.glob("ablation-*.toml")), ids=lambda path: path.stem
)
def test_every_setting_of_a_plan_is_a_recipe(path):
    plan = tomllib.loads(path.read_text())
    for name in plan:
        keys = ablation._whole(plan, name)
        assert keys.pop("without", "ciou") in ablation.WITHOUT
        load_recipe(
            keys.pop("recipe"), [f"{key}={ablation._text(value)}" for key, value in keys.items()]
        )


@pytest.mark.parametrize(
    ("without", "changed"),
    [
        ("neighbour cells", {"box", "object", "class"}),
        ("several anchors", {"box", "object", "class"}),
        ("ciou", {"box"}),
    ],
)
def test_without_an_ingredient_the_loss_is_another(without, changed):
    torch.manual_seed(0)
    model = YoloV5("n", ("cat", "dog"))
    raw = model(torch.rand(1, 3, 64, 64))
    before = {name: float(part.detach()) for name, part in model.loss(raw, TARGET).items()}
    ablation.WITHOUT[without]()
    after = {name: float(part.detach()) for name, part in model.loss(raw, TARGET).items()}
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(("without", "kept"), [("class rows", 5), ("head rows", 0)])
def test_without_head_or_class_rows_those_start_at_random(without, kept):
    torch.manual_seed(0)
    source, model = YoloV5("n", ("cat", "dog")), YoloV5("n", ("dog", "cat"))
    start = model.head.m[0].weight.detach().clone().view(3, 7, -1)
    ablation.WITHOUT[without]()
    weights = models.weights.Weights("yolov5n", source.classes, source.state_dict())
    harness.weights.start.transfer(weights, model)
    now, old = (net.head.m[0].weight.detach().view(3, 7, -1) for net in (model, source))
    assert torch.equal(now[:, :kept], old[:, :kept]) and torch.equal(now[:, kept:], start[:, kept:])
    assert torch.equal(model.model["0"].conv.weight, source.model["0"].conv.weight)
