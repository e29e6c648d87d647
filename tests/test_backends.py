"""harness.inference.backends: a folded or exported detector gives the detector's own output."""

import importlib.util
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError
from evaluate.tables import Detections
from harness.build import build
from harness.cli.main import main
from harness.inference import backends
from harness.inference.backends import export, fold_batch_norms, open_model
from harness.inference.exported import KEY, Exported
from harness.inference.onnx_file import Decoded
from harness.recipe import Recipe
from harness.weights import checkpoint
from tests.test_detectors import CLASSES, model  # noqa: F401  a fixture

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed"
)
KINDS = ["onnx", pytest.param("openvino", marks=needs_openvino)]
# Neither the batch nor the height or width of the example that a graph is traced with.
SHAPES = [(1, 3, 64, 64), (3, 3, 64, 192), (2, 3, 320, 128)]


def restless(detector):
    """`detector` with batch norms that do something, as after training."""
    torch.manual_seed(1)
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
    return detector.eval()


def assert_same(found, expected):
    """Boxes within a thousandth of their scale, scores within 1e-5."""
    scale = max(1.0, float(expected[0].abs().max()))
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-3 * min(scale, 640) / 100)
    torch.testing.assert_close(found[1], expected[1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_folding_batch_norms_changes_nothing(model):  # noqa: F811
    whole, images = Decoded(restless(model)), torch.rand(2, 3, 64, 96)
    expected = whole(images)
    fold_batch_norms(model)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert_same(whole(images), expected)


@torch.no_grad()
def test_every_model_exports_to_onnx_with_standard_operators_for_any_batch_and_size(
    model,  # noqa: F811
    tmp_path,
):
    import onnx

    whole, path = Decoded(restless(model)), tmp_path / "model.onnx"
    export(model, 96, path, "onnx")
    assert {node.domain for node in onnx.load(path).graph.node} == {""}
    exported, size, _ = open_model(path, "cpu", "float32")
    assert (exported.classes, exported.stride_max, size) == (CLASSES, 32, 96)
    for shape in SHAPES:
        images = torch.rand(shape)
        assert_same(exported.decode(exported(images)), whole(images))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of a yolov5n for 96 pixels with its exports, and photos of three shapes."""
    root = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    recipe = Recipe("yolov5n", image_size=96)
    detector = restless(build(recipe, CLASSES))
    checkpoint.save(
        checkpoint.describe(recipe, detector) | {"state": detector.state_dict()}, root / "best.pt"
    )
    assert main(["export", str(root), "--to", "onnx"]) == 0
    if importlib.util.find_spec("openvino"):
        assert main(["export", str(root), "--to", "openvino"]) == 0
    rng = np.random.default_rng(0)
    (root / "photos").mkdir()
    for i, shape in enumerate([(64, 96), (96, 64), (50, 101)]):
        cv2.imwrite(str(root / "photos" / f"{i}.png"), rng.integers(0, 255, (*shape, 3), np.uint8))
    return root


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", ["1", "0.67,1,1.67,flip"])
def test_an_exported_file_alone_gives_the_table_that_the_run_gives(run, kind, views, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in run.glob("best.*"):
        if path.suffix in (".onnx", ".xml", ".bin"):
            (alone / path.name).write_bytes(path.read_bytes())
    tables = []
    for weights in (run, alone / f"best{backends.SUFFIXES[kind]}"):
        words = [
            "predict",
            str(weights),
            "--images",
            str(run / "photos"),
            "--out",
            str(tmp_path / "x.npz"),
        ]
        assert (
            main([*words, "--views", views, "--conf-min", "0", "--candidates-max", "100000"]) == 0
        )
        tables.append(Detections.load(tmp_path / "x.npz"))
    ours, theirs = tables
    assert (
        ours.classes == theirs.classes
        and ours.image_ids == theirs.image_ids
        and len(ours) == len(theirs) > 1000
    )
    for image in range(3):  # candidates whose scores are alike may come in another order
        for label in range(3):
            rows = [t.take((t.image == image) & (t.label == label)) for t in tables]
            values = [torch.from_numpy(np.column_stack([t.xyxy, 100 * t.score])) for t in rows]
            apart = torch.cdist(*values, compute_mode="donot_use_mm_for_euclid_dist")
            assert max(apart.amin(0).max(), apart.amin(1).max()) < 2e-3


@needs_openvino
def test_openvino_in_bfloat16_is_near(run):
    images = torch.rand(1, 3, 96, 96)
    exact, rough = (
        open_model(run / "best.xml", "cpu", precision)[0] for precision in ("float32", "bfloat16")
    )
    (xyxy, score), (other_xyxy, other_score) = exact(images), rough(images)
    torch.testing.assert_close(other_score, score, rtol=0.1, atol=0.01)
    torch.testing.assert_close(other_xyxy, xyxy, rtol=0.05, atol=4)


INTERRUPTED = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
from pathlib import Path
from harness.inference.backends import open_model
models = [open_model(Path(sys.argv[1]), "cpu", "float32")]
thread = threading.Thread(target=models.clear)
thread.start(), thread.join()
try:
    os.kill(os.getpid(), signal.SIGINT), time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@needs_openvino
def test_ctrl_c_is_heard_after_another_thread_let_a_model_go(run):
    child = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, run / "best.xml"], capture_output=True, text=True
    )
    assert (child.stdout, child.returncode) == ("interrupted\n", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_exported_file_found_stays_while_it_looks_on(run, kind):
    exported = open_model(run / f"best{backends.SUFFIXES[kind]}", "cpu", "float32")[0]
    images = torch.rand(2, 3, 96, 96)
    first = exported(images)
    kept = [tensor.clone() for tensor in first]
    exported(images.flip(0))
    assert all(torch.equal(a, b) for a, b in zip(first, kept))


@pytest.mark.parametrize("suffix", [".onnx", pytest.param(".xml", marks=needs_openvino)])
def test_a_file_that_is_no_export_is_named(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("hello")
    with pytest.raises(InputError, match=rf"x{suffix}: want a file of `harness export`: \S"):
        open_model(path, "cpu", "float32")


def test_a_model_of_another_program_is_refused(tmp_path, run):
    import onnx

    foreign = onnx.load(run / "best.onnx")
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="from elsewhere"):
        open_model(tmp_path / "x.onnx", "cpu", "float32")


def test_what_is_missing_is_said_in_one_line(run, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    words = [
        "predict",
        str(run / "best.onnx"),
        "--images",
        str(run / "photos"),
        "--out",
        str(run / "x.npz"),
    ]
    assert main(words) == 2
    assert capsys.readouterr().err == "harness: this needs onnxruntime: pip install onnxruntime\n"


def test_wrong_wishes_are_refused(run):
    with pytest.raises(InputError, match="float32, not in bfloat16"):
        open_model(run / "best.onnx", "cpu", "bfloat16")
    with pytest.raises(InputError, match="runs on the CPU, not on cuda"):
        open_model(run / "best.onnx", "cuda", "float32")
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export(Exported(list, CLASSES, 32), 96, run / "x.xml", "onnx")


def test_an_export_is_told_what_it_must_know(run):
    import onnxruntime

    meta = onnxruntime.InferenceSession(
        run / "best.onnx", providers=["CPUExecutionProvider"]
    ).get_modelmeta()
    assert json.loads(meta.custom_metadata_map[KEY]) == {
        "classes": list(CLASSES),
        "stride": 32,
        "size": 96,
    }


def test_models_with_either_grid_export(tmp_path):
    detector = restless(build(Recipe("yolov1-resnet18", grid_stride=64, balance=(1.0,)), CLASSES))
    export(detector, 128, tmp_path / "x.onnx", "onnx")
    exported = open_model(tmp_path / "x.onnx", "cpu", "float32")[0]
    images = torch.rand(1, 3, 64, 192)
    with torch.no_grad():
        assert_same(exported.decode(exported(images)), Decoded(detector)(images))
