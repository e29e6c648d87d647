"""models.weights, unpickling, yolov5_weights: files are read, not run; class rows move by name."""

import argparse
import copy
import hashlib
import os
import sys
import types
import zipfile
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.class_names import match_classes
from models.unpickling import foreign_classes
from models.weights import WeightsError, transfer
from models.yolov5 import YoloV5
from models.yolov5_weights import read_yolov5

OFFICIAL = Path(__file__).parents[2] / "shared" / "weights" / "yolov5n-coco.pt"
SHA256 = "edd2e5cc4e3caa4b508168b51d9dc529da58b37813e0d2c8b49aba06aa3472dc"
needs_official = pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official checkpoint is not here"
)
CLASSES = ("person", "airplane", "tv")


@pytest.fixture
def as_official(monkeypatch):
    """(our model, kind of theirs, **entries) -> the content of a checkpoint as YOLOv5 writes it."""
    theirs = {
        "models.yolo": ("Model", "DetectionModel", "SegmentationModel", "ClassificationModel"),
        "models.common": ("Layer",),
        "ultralytics": (),
        "ultralytics.nn": (),
        "ultralytics.nn.tasks": ("DetectionModel",),
    }
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

    def content(model, kind="models.yolo.DetectionModel", **entries):
        module, _, name = kind.rpartition(".")
        twin = disguise(copy.deepcopy(model).half(), getattr(sys.modules[module], name))
        twin.names = dict(enumerate(model.classes))
        twin.__dict__.pop("classes")
        twin._modules["model"]._modules["24"].__dict__.pop("gains")
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
    content = as_official(
        plain, ema=as_official(averaged)["model"], updates=7, optimizer={"state": {}}
    )
    torch.save(content, tmp_path / "last.pt")
    state = read_yolov5(tmp_path / "last.pt").state
    assert torch.equal(state["model.0.conv.weight"], averaged.model["0"].conv.weight.half().float())


SPELLINGS = {  # as a pickle names them here -> as it does elsewhere
    "here": {},
    "numpy 1": {b"numpy._core.multiarray": b"numpy.core.multiarray"},
    "Windows": {b"PosixPath": b"WindowsPath"},
    "Python 3.13": {b"cpathlib\n": b"cpathlib._local\n"},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_everything_the_training_scripts_kept_is_passed_over(as_official, tmp_path, spelling):
    model = YoloV5("n", CLASSES)
    head = model.head.m[0]
    optimizer = torch.optim.SGD(head.parameters(), lr=np.float64(0.01), momentum=0.9)
    head.weight.sum().backward()
    optimizer.step()
    content = as_official(
        model,
        best_fitness=np.array([0.5]),
        updates=7,
        optimizer=optimizer.state_dict(),
        wandb_id=None,
        opt=argparse.Namespace(
            save_dir=Path("runs/train/exp"), imgsz=[640, 640], evolve=None, freeze={0}
        ),
        git={"remote": "https://example.org/yolov5", "branch": None, "commit": "915bbf2"},
        date=datetime.now(UTC),
        results=(np.float32(0.1), np.int64(3), np.bool_(True)),
    )
    content["model"].hyp = OrderedDict(lr0=0.01, anchors=np.float64(3))
    content["model"].class_weights = torch.ones(3)
    torch.save(content, tmp_path / "last.pt")
    respell(tmp_path / "last.pt", SPELLINGS[spelling])
    assert_state_is(read_yolov5(tmp_path / "last.pt"), content["model"])


def respell(path, changes):
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = [name for name in records if name.endswith("data.pkl")]
    for old, new in changes.items():
        assert old in records[pickled] or new in records[pickled]
        records[pickled] = records[pickled].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def assert_state_is(weights, module):
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }
    assert weights.classes == CLASSES and weights.state.keys() == state.keys()
    assert all(torch.equal(weights.state[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    "form", ["v6.0", "float32", "names in a list", "module alone", "DataParallel", "scratch"]
)
def test_every_form_of_the_module_loads(as_official, tmp_path, form):
    content = as_official(
        YoloV5("n", CLASSES),
        "models.yolo.Model" if form == "v6.0" else "models.yolo.DetectionModel",
    )
    module = content["model"]
    if form == "float32":
        module.float()
        module.model["24"].m[1].bias.data += 1e-3  # no half-precision number
    elif form == "names in a list":
        module.names = list(CLASSES)
    elif form == "scratch":
        module.model["24"].register_buffer("grid", torch.ones(2), persistent=False)
    elif form == "DataParallel":
        content["model"] = nn.DataParallel(module)
    torch.save(module if form == "module alone" else content, tmp_path / "y.pt")
    if form == "v6.0":
        heads = module.model["24"]
        heads.register_buffer("anchor_grid", torch.ones(3, 1, 3, 1, 1, 2))
        torch.save(content, tmp_path / "y.pt")
        del heads.anchor_grid
    assert_state_is(read_yolov5(tmp_path / "y.pt"), module)


def test_classes_and_anchors_of_a_training_of_ones_own_are_kept(as_official, tmp_path):
    trained = YoloV5("n", ("rbc",))
    trained.head.anchors[2, 0] = torch.tensor([7.0, 2.0])  # cells: 224 x 64 pixels
    torch.save(as_official(trained, names=["not this"]), tmp_path / "y.pt")
    weights = read_yolov5(tmp_path / "y.pt")
    model = YoloV5("n", weights.classes)
    assert transfer(weights, model) == [] and weights.classes == ("rbc",)
    xyxy, _ = model.decode([torch.zeros(1, 3, n, n, 6) for n in (4, 2, 1)])
    assert xyxy[0, -3].tolist() == [
        16 - 112,
        16 - 32,
        16 + 112,
        16 + 32,
    ]  # t = 0: the anchor, amid its cell


def test_class_names_are_text_in_label_order(as_official, tmp_path):
    content = as_official(YoloV5("n", CLASSES))
    content["model"].names = {2: "tv", 0: 7, 1: "cat"}
    torch.save(content, tmp_path / "y.pt")
    assert read_yolov5(tmp_path / "y.pt").classes == ("7", "cat", "tv")


class RunsACommand:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": RunsACommand()}, "evil.pt")
    with pytest.raises(WeightsError, match="evil.pt: refused, it would run .*system"):
        read_yolov5(Path("evil.pt"))
    assert not Path("pwned").exists()


FOREIGN = {
    "text": "something else or cut short",
    "cut": "something else or cut short",
    "pickle cut": "something else or cut short",
    "pickle shorter": "something else or cut short",
    "pickle garbled": "something else or cut short",
    "pickle odd": "cannot be read as a checkpoint: Can only SETITEMS for dict",
    "pickle empty": "cannot be read as a checkpoint: KeyError: 5",
    "TorchScript": "something else or cut short",
    "tensor": r"found \['state_dict'\]",
    "state": "found an object of type OrderedDict",
    "nothing": r"found \['epoch', 'model', 'ema'\]",
    "other shapes": "349 tensors fit none",
    "other names": "names 2 classes and its heads have 3",
    "u": "an anchor-free 'u' model",
    "u of the package": "of the ultralytics package: an anchor-free 'u' model",
    "p6": "a P6 model",
    "before v6": r"from before v6 \(Focus",
    "seg": "a segmentation model",
    "cls": "a classification model",
    "fused": "batch norm is folded",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files_are_refused_with_what_they_are(as_official, tmp_path, case):
    path = tmp_path / "w.pt"
    model = YoloV5("n", CLASSES)
    kinds = {"seg": "SegmentationModel", "cls": "ClassificationModel"}
    kind = (
        "ultralytics.nn.tasks.DetectionModel"
        if "package" in case
        else f"models.yolo.{kinds.get(case, 'Model')}"
    )
    if case == "other shapes":
        model.model["0"].conv = nn.Conv2d(3, 7, 6, bias=False)
    elif case == "other names":
        model.classes = CLASSES[:2]
    elif case == "u":
        model.model["24"].dfl = nn.Conv2d(1, 1, 1)
    elif case == "p6":
        model.model["33"] = nn.Conv2d(1, 1, 1)
    elif case == "before v6":
        model.model["0"].conv = nn.Sequential(OrderedDict(conv=nn.Conv2d(12, 16, 3)))
    elif case == "fused":
        model.model["0"].conv.bias = nn.Parameter(torch.zeros(16))
    content = as_official(model, kind)
    if case == "state":
        content["ema"] = content.pop("model").state_dict()
    elif case == "nothing":
        content["model"] = None
    torch.save({"state_dict": torch.zeros(3)} if case == "tensor" else content, path)
    if case == "text":
        path.write_text("hello")
    elif case == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif case.startswith("pickle"):
        with zipfile.ZipFile(path, "w") as archive:
            starts = {
                "cut": b"\x80\x02}q\x00(X",
                "shorter": b"\x80\x02}",
                "garbled": b"\x80\x02}\xff.",
            }
            starts |= {
                "odd": b"\x80\x02cpathlib\nPosixPath\n(K\x01K\x02u.",
                "empty": b"\x80\x02h\x05.",
            }
            archive.writestr("w/data.pkl", starts[case.split()[1]])
            archive.writestr("w/version", b"3")
    elif case == "TorchScript":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w/constants.pkl", b"")
    with pytest.raises(WeightsError, match=f"w.pt.*{FOREIGN[case]}") as caught:
        read_yolov5(path)
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)


def test_a_dangerous_file_is_not_excused_by_whose_it_is(as_official, tmp_path):
    content = as_official(
        YoloV5("n", CLASSES), "ultralytics.nn.tasks.DetectionModel", git=RunsACommand()
    )
    torch.save(content, tmp_path / "y.pt")
    with pytest.raises(WeightsError, match="y.pt: refused, it would run .*system"):
        read_yolov5(tmp_path / "y.pt")


def test_only_classes_of_foreign_programs_are_named(as_official, tmp_path):
    torch.save({"a": torch.zeros(2), "b": OrderedDict(c=1)}, tmp_path / "plain.pt")
    torch.save(
        {"when": timedelta(1), "who": argparse.Namespace(), "why": os.system}, tmp_path / "odd.pt"
    )
    assert foreign_classes(tmp_path / "plain.pt") == []
    assert foreign_classes(tmp_path / "odd.pt") == [
        "argparse.Namespace",
        "datetime.timedelta",
        f"{os.name}.system",
    ]
    with pytest.raises(FileNotFoundError):
        foreign_classes(tmp_path / "none.pt")


def test_names_match_by_meaning():
    voc = ("aeroplane", "diningtable", "sofa", "person", "platelet")
    coco = ("person", "airplane", "dining table", "couch")
    assert match_classes(voc, coco) == [1, 2, 3, 0, None]


def test_class_rows_move_by_name_and_box_rows_move_whole(as_official, tmp_path):
    source = YoloV5("n", CLASSES)
    torch.save(as_official(source), tmp_path / "y.pt")
    model = YoloV5("n", ("tvmonitor", "platelet", "aeroplane"))
    before = copy.deepcopy(model.head.m[1].bias.detach().view(3, 8))
    assert transfer(read_yolov5(tmp_path / "y.pt"), model) == ["platelet"]
    old = source.head.m[1].bias.detach().half().float().view(3, 8)
    new = model.head.m[1].bias.detach().view(3, 8)
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
    assert (
        weights.architecture == "yolov5n"
        and len(weights.classes) == 80
        and weights.classes[62] == "tv"
    )
    model = YoloV5("n", weights.classes)
    assert transfer(weights, model) == []
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.state.items())
