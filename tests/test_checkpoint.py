"""harness.weights.checkpoint: models are built by name; each weight file finds its reader."""

import dataclasses

import pytest
import torch
import torchvision

from evaluate.exceptions import InputError
from harness.build import build
from harness.recipe import Recipe, load_recipe, recipe_names
from harness.weights import checkpoint
from models.weights import WeightsError, transfer

CLASSES = ("cat", "dog")
SMALLEST = [
    Recipe("yolov1-resnet18", balance=(1.0,)),
    Recipe("yolov1-resnet18", "report", balance=(1.0,), grid_stride=64),
    Recipe("yolov3"),
    Recipe("yolov5n", "report"),
]


@pytest.fixture
def resnet(tmp_path):
    """torchvision's state of a random ResNet-18, and its file."""
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "resnet18.pth")
    return state, tmp_path / "resnet18.pth"


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_builds_its_model(name):
    recipe = load_recipe(name)
    with torch.device("meta"):
        model = build(recipe, CLASSES)
    assert model.classes == CLASSES and recipe.image_size % model.stride_max == 0


@pytest.mark.parametrize("recipe", SMALLEST, ids=lambda recipe: f"{recipe.model} {recipe.head}")
def test_a_saved_detector_comes_back_with_the_same_output(recipe, tmp_path):
    model = build(recipe, CLASSES).eval()
    content = checkpoint.describe(recipe, model) | {"state": model.state_dict()}
    checkpoint.save(content, tmp_path / "best.pt")
    again, saved = checkpoint.load_detector(tmp_path)
    photo = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pairs = zip(model.decode(model(photo)), again.decode(again(photo)))
        assert saved == recipe and all(torch.equal(a, b) for a, b in pairs)


def test_weights_saved_with_a_recipe_key_that_went_since_are_read(tmp_path):
    model = build(SMALLEST[-1], CLASSES)
    content = checkpoint.describe(SMALLEST[-1], model) | {"state": model.state_dict()}
    content["recipe"]["multi_scale"] = 0.3
    checkpoint.save(content, tmp_path / "old.pt")
    assert checkpoint.load_detector(tmp_path / "old.pt")[1] == SMALLEST[-1]


@pytest.mark.parametrize("name", ["yolov5q", "yolov1-resnet20", "resnet18", "yolov3-tiny"])
def test_an_unknown_model_is_refused_with_those_there_are(name):
    with pytest.raises(
        InputError, match=f"model={name}: want yolov1-resnet18, .*yolov3, or yolov5n"
    ):
        build(Recipe(name), CLASSES)


def test_a_balance_for_another_number_of_levels_is_refused():
    with pytest.raises(InputError, match="balance has 3 numbers, yolov1-resnet18 has 1"):
        build(Recipe("yolov1-resnet18"), CLASSES)


@pytest.mark.parametrize("old", [True, False])
def test_torchvisions_resnet_becomes_the_backbone(resnet, old):
    state, path = resnet
    if old:  # torch's format before zip, batch norm without a counter
        state = {
            name: value for name, value in state.items() if not name.endswith("num_batches_tracked")
        }
        torch.save(state, path, _use_new_zipfile_serialization=False)
    weights, recipe = checkpoint.read_weights(path)
    assert (weights.architecture, weights.classes, recipe) == ("resnet18", (), None)
    model = build(SMALLEST[0], CLASSES)
    assert transfer(weights, model) == list(CLASSES)
    ours = model.state_dict()
    assert all(
        torch.equal(ours[f"backbone.{k}"], v) for k, v in state.items() if not k.startswith("fc.")
    )


def test_a_backbone_fits_its_own_model_alone(resnet):
    weights, _ = checkpoint.read_weights(resnet[1])
    for recipe in (
        Recipe("yolov5n"),
        Recipe("yolov3"),
        dataclasses.replace(SMALLEST[0], model="yolov1-resnet34"),
    ):
        with pytest.raises(WeightsError, match="resnet18 is not this model's backbone"):
            transfer(weights, build(recipe, CLASSES))


def test_a_backbone_is_no_detector(resnet):
    with pytest.raises(
        InputError, match="is the backbone resnet18, no detector; train one with weights="
    ):
        checkpoint.load_detector(resnet[1])


@pytest.mark.parametrize("recipe", SMALLEST[:3], ids=lambda recipe: f"{recipe.model} {recipe.head}")
def test_class_rows_move_by_name_in_every_model(recipe):
    source, model = build(recipe, ("tv", "bird", "person")), build(recipe, ("person", "fish"))
    weights = checkpoint.Weights(recipe.model, source.classes, source.state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert transfer(weights, model) == ["fish"]
    for name, value in model.state_dict().items():
        if name not in model.class_rows():
            assert torch.equal(value, weights.state[name])
            continue
        groups = model.class_rows()[name]
        old, new, start = (
            t.unflatten(0, (groups, -1)) for t in (weights.state[name], value, before[name])
        )
        assert torch.equal(new[:, :-2], old[:, :-3]) and torch.equal(new[:, -2], old[:, -1])
        assert torch.equal(new[:, -1], start[:, -1])


def test_a_file_that_is_no_weights_is_refused_in_one_line(tmp_path):
    for name, content in {
        "a.txt": b"hello",
        "empty.pt": b"",
        "b.pt": b"PK\x03\x04 not a zip",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: ") as raised:
            checkpoint.read_weights(tmp_path / name)
        assert "\n" not in str(raised.value)
    torch.save({"some": torch.zeros(3)}, tmp_path / "c.pt")
    with pytest.raises(
        InputError, match="c.pt: want torchvision's ResNet-18, 34, 50 or 101, found"
    ):
        checkpoint.read_weights(tmp_path / "c.pt")
