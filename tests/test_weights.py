"""models.weights: official checkpoints are read without running them; class rows move by meaning."""

import copy
import hashlib
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from models.class_names import match_classes
from models.weights import WeightsError, read_yolov5, transfer
from models.yolov5 import YoloV5

OFFICIAL = Path(__file__).parents[2] / "shared" / "weights" / "yolov5n-coco.pt"
SHA256 = "edd2e5cc4e3caa4b508168b51d9dc529da58b37813e0d2c8b49aba06aa3472dc"
needs_official = pytest.mark.skipif(not OFFICIAL.exists(), reason="the official checkpoint is not here")
CLASSES = ("person", "airplane", "tv")


@pytest.fixture
def as_official(monkeypatch):
    """A function (our model, **entries) -> the content of a checkpoint as YOLOv5 writes it: theirs by class name."""
    theirs = {"models.yolo": ("DetectionModel",), "models.common": ("Layer",)}
    for name, kinds in theirs.items():
        module = types.ModuleType(name)
        for kind in kinds:
            setattr(module, kind, type(kind, (nn.Module,), {"__module__": name}))
        monkeypatch.setitem(sys.modules, name, module)

    def disguise(module, kind):
        twin = kind.__new__(kind)
        twin.__dict__.update(module.__dict__)
        twin._modules = {
            name: disguise(child, sys.modules["models.common"].Layer)
            if type(child).__module__.startswith("models.")
            else disguise(child, type(child))
            for name, child in module._modules.items()
        }
        return twin

    def content(model, **entries):
        twin = disguise(copy.deepcopy(model).half(), sys.modules["models.yolo"].DetectionModel)
        twin.names = dict(enumerate(model.classes))
        for left_over in ("classes", "head", "gains"):
            twin.__dict__.pop(left_over)
        return {"epoch": -1, "model": twin, "ema": None} | entries

    return content


def test_an_official_checkpoint_gives_its_classes_and_exactly_its_state(as_official, tmp_path):
    model = YoloV5("n", CLASSES)
    torch.save(as_official(model, opt=Path("x"), best_fitness=0.5), tmp_path / "y.pt")
    for name in ("models.yolo", "models.common"):
        sys.modules.pop(name)
    weights = read_yolov5(tmp_path / "y.pt")
    assert (weights.architecture, weights.classes) == ("yolov5n", CLASSES)
    assert weights.state.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        kept = value.half().float() if value.is_floating_point() else value
        assert torch.equal(weights.state[name], kept) and weights.state[name].dtype == kept.dtype


def test_the_average_of_a_training_checkpoint_is_preferred(as_official, tmp_path):
    plain, averaged = YoloV5("n", CLASSES), YoloV5("n", CLASSES)
    content = as_official(plain, ema=as_official(averaged)["model"], updates=7, optimizer={"state": {}})
    torch.save(content, tmp_path / "last.pt")
    state = read_yolov5(tmp_path / "last.pt").state
    assert torch.equal(state["model.0.conv.weight"], averaged.model["0"].conv.weight.half().float())


class RunsACommand:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": RunsACommand()}, "evil.pt")
    with pytest.raises(WeightsError, match="evil.pt: refused, it would run .*system"):
        read_yolov5(Path("evil.pt"))
    assert not Path("pwned").exists()


@pytest.mark.parametrize("what", ["text", "cut", "tensor", "other shapes", "u", "p6"])
def test_foreign_files_are_refused_by_name(as_official, tmp_path, what):
    path = tmp_path / "w.pt"
    model = YoloV5("n", CLASSES)
    if what == "text":
        path.write_text("hello")
    elif what == "tensor":
        torch.save({"state_dict": torch.zeros(3)}, path)
    else:
        if what == "other shapes":
            model.model["0"].conv = nn.Conv2d(3, 7, 6, bias=False)
        elif what == "u":
            model.model["24"].dfl = nn.Conv2d(1, 1, 1)
        elif what == "p6":
            model.model["33"] = nn.Conv2d(1, 1, 1)
        torch.save(as_official(model), path)
        if what == "cut":
            path.write_bytes(path.read_bytes()[:5000])
    says = {"u": "anchor-free", "p6": "P6", "other shapes": "fit none", "tensor": "found"}.get(what, "cut short")
    with pytest.raises(WeightsError, match=f"w.pt.*{says}"):
        read_yolov5(path)


def test_names_match_by_meaning():
    voc = ("aeroplane", "diningtable", "sofa", "person", "platelet")
    coco = ("person", "airplane", "dining table", "couch")
    assert match_classes(voc, coco) == [1, 2, 3, 0, None]


def test_class_rows_move_by_name_and_box_rows_move_whole(as_official, tmp_path):
    source = YoloV5("n", CLASSES)
    torch.save(as_official(source), tmp_path / "y.pt")
    model = YoloV5("n", ("tvmonitor", "platelet", "aeroplane"))
    before = copy.deepcopy(model.heads.m[1].bias.detach().view(3, 8))
    assert transfer(read_yolov5(tmp_path / "y.pt"), model) == ["platelet"]
    old = source.heads.m[1].bias.detach().half().float().view(3, 8)
    new = model.heads.m[1].bias.detach().view(3, 8)
    assert torch.equal(new[:, :5], old[:, :5])
    assert torch.equal(new[:, 5], old[:, 5 + 2]) and torch.equal(new[:, 7], old[:, 5 + 1])
    assert torch.equal(new[:, 6], before[:, 6])


def test_weights_of_another_size_are_refused(as_official, tmp_path):
    torch.save(as_official(YoloV5("n", CLASSES)), tmp_path / "y.pt")
    with pytest.raises(WeightsError, match="yolov5n do not fit"):
        transfer(read_yolov5(tmp_path / "y.pt"), YoloV5("s", CLASSES))


@needs_official
def test_the_official_yolov5n_loads():
    assert hashlib.sha256(OFFICIAL.read_bytes()).hexdigest() == SHA256
    weights = read_yolov5(OFFICIAL)
    assert weights.architecture == "yolov5n" and len(weights.classes) == 80 and weights.classes[62] == "tv"
    model = YoloV5("n", weights.classes)
    assert transfer(weights, model) == []
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.state.items())
