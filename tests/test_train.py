"""harness.training: rates, the run folder, and that a killed run ends with the same weights."""

import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError, JobError
from harness.build import build
from harness.cli.process import compute_deterministically
from harness.data.dataset import load_split
from harness.recipe import load_recipe
from harness.report.headline import facts_of
from harness.report.page import write_report
from harness.report.plots import best_epoch
from harness.run_folder import read_log
from harness.training import train as training
from harness.training.ema import Ema
from harness.training.optimizer import build_optimizer, set_rates
from harness.training.train import train
from harness.weights import checkpoint
from models.yolov5 import YoloV5
from tests.tiny import write_tiny_voc

SETTINGS = [
    "weights=",
    "image_size=64",
    "batch=4",
    "threads=1",
    "precision=float32",
    "mosaic_off_epochs=1",
    "warmup_epochs=1",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(autouse=True)
def deterministic():
    """As the command line does before it trains on a CPU."""
    compute_deterministically()
    yield
    torch.use_deterministic_algorithms(False)


def run(data, out, *more, resume=False, say=lambda line: None):
    recipe = load_recipe("v5n", [*SETTINGS, *more])
    splits = load_split(data, "train"), load_split(data, "val")
    return train(recipe, *splits, out, device=torch.device("cpu"), resume=resume, say=say)


def weights_of(path):
    return torch.load(path, weights_only=True)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_its_folder_and_nothing_half_written(data, tmp_path):
    best = run(data, tmp_path / "r", "epochs=2")
    left = {path.name for path in (tmp_path / "r").iterdir() if not path.name.startswith("events")}
    assert left == {
        "best.pt",
        "last.pt",
        "recipe.toml",
        "run.json",
        "log.jsonl",
        "first_batch.jpg",
        "curves.png",
    }
    lines = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").read_text().splitlines()]
    steps, epochs = [x for x in lines if "step" in x], [x for x in lines if "map" in x]
    assert [x["step"] for x in steps] == list(range(4)) and [x["epoch"] for x in epochs] == [0, 1]
    assert best == max(score for x in epochs for score in x["map"].values())
    model, recipe = checkpoint.load_detector(tmp_path / "r")
    assert model.classes == ("disc", "square") and recipe.image_size == 64
    origin = json.loads((tmp_path / "r" / "run.json").read_text())
    assert (
        origin["train"]["images"] == 8
        and origin["versions"]["torch"] == torch.__version__.split("+")[0]
    )


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    for name, more in (("a", []), ("b", []), ("c", ["seed=1"])):
        run(data, tmp_path / name, "epochs=1", *more)
    a, b, c = (weights_of(tmp_path / name / "last.pt")["model"] for name in "abc")
    assert same(a, b) and not same(a, c)


def test_training_leaves_the_callers_random_numbers_and_threads_alone(data, tmp_path):
    before, threads = torch.get_rng_state(), cv2.getNumThreads()
    run(data, tmp_path / "r", "epochs=1")
    assert torch.equal(torch.get_rng_state(), before) and cv2.getNumThreads() == threads


def test_a_range_that_makes_no_sense_is_refused_before_there_is_a_folder(data, tmp_path):
    with pytest.raises(InputError, match="want scale between 0 and 0.95"):
        run(data, tmp_path / "r", "epochs=1", "scale=1.5")
    assert not (tmp_path / "r").exists()


KILLED_RUN = """
import sys
from pathlib import Path
import torch
from harness.cli.process import compute_deterministically
from harness.data.dataset import load_split
from harness.recipe import load_recipe
from harness.training.train import train
compute_deterministically()
data, out = Path(sys.argv[1]), Path(sys.argv[2])
train_set, val_set = load_split(data, "train"), load_split(data, "val")
recipe, cpu = load_recipe("v5n", sys.argv[3:]), torch.device("cpu")
train(recipe, train_set, val_set, out, device=cpu, resume=True)
"""


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_same_weights(data, tmp_path):
    settings = [*SETTINGS, "epochs=4"]
    words = [sys.executable, "-c", KILLED_RUN, str(data), str(tmp_path / "killed"), *settings]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 120
        while not (tmp_path / "killed" / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    assert (tmp_path / "killed" / "last.pt").exists(), "it never came to the end of an epoch"
    assert not (tmp_path / "killed" / "best.pt").exists(), "it finished before it could be killed"
    run(data, tmp_path / "killed", "epochs=4", resume=True)
    run(data, tmp_path / "whole", "epochs=4")
    for name in ("last.pt", "best.pt"):
        killed, whole = (weights_of(tmp_path / run / name) for run in ("killed", "whole"))
        for part in ("model", "ema", "state"):
            assert part not in whole or same(killed[part], whole[part])
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("killed", "whole")]
    steps = [[json.loads(line).get("loss") for line in log] for log in logs]
    assert steps[0] == steps[1]


def test_float16_scales_its_loss_and_resumes_with_the_same_scale(data, tmp_path, monkeypatch):
    """Twice the scale after each step that is in order: 4 steps, 16."""
    scaler = functools.partial(torch.amp.GradScaler, init_scale=1.0, growth_interval=1)
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    validate = training.validate
    with monkeypatch.context() as patch:
        scores = iter([0.1, 0.1])
        patch.setattr(
            training, "validate", lambda *_: next(scores)
        )  # and StopIteration in the second epoch
        with pytest.raises(StopIteration):
            run(data, tmp_path / "cut", "epochs=2", "precision=float16")
    assert (
        training.validate is validate
        and weights_of(tmp_path / "cut" / "last.pt")["scaler"]["scale"] == 4
    )
    run(data, tmp_path / "cut", "epochs=2", "precision=float16", resume=True)
    run(data, tmp_path / "whole", "epochs=2", "precision=float16")
    cut, whole = (weights_of(tmp_path / name / "last.pt") for name in ("cut", "whole"))
    assert cut["scaler"]["scale"] == whole["scaler"]["scale"] == 16
    assert same(cut["model"], whole["model"])


def test_float16_clips_gradients_as_they_are_without_the_scale(data, tmp_path, monkeypatch):
    scaler = torch.amp.GradScaler
    for name, scale in (("a", 1.0), ("b", 1024.0)):
        monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(scaler, init_scale=scale))
        run(data, tmp_path / name, "epochs=1", "precision=float16", "clip=0.01")
    a, b = (
        weights_of(tmp_path / name / "last.pt")["model"]["model.0.conv.weight"] for name in "ab"
    )
    torch.manual_seed(0)
    start = build(load_recipe("v5n", SETTINGS), ("disc", "square")).state_dict()[
        "model.0.conv.weight"
    ]
    assert (b - a).norm() < 0.1 * (a - start).norm()


def test_float16_leaves_out_a_step_whose_gradients_overflow(data, tmp_path, monkeypatch):
    monkeypatch.setattr(
        torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=2.0**100)
    )
    run(data, tmp_path, "epochs=1", "precision=float16")
    left = weights_of(tmp_path / "last.pt")
    torch.manual_seed(0)
    start = build(load_recipe("v5n", SETTINGS), ("disc", "square"))
    assert left["scaler"]["scale"] == 2.0**98
    assert all(torch.equal(left["model"][name], value) for name, value in start.named_parameters())


def test_resuming_a_finished_run_changes_nothing(data, tmp_path):
    run(data, tmp_path, "epochs=1")
    before = (tmp_path / "best.pt").read_bytes()
    run(data, tmp_path, "epochs=1", resume=True)
    assert (tmp_path / "best.pt").read_bytes() == before


def test_resuming_drops_the_log_lines_of_an_epoch_that_was_cut_short(data, tmp_path):
    run(data, tmp_path, "epochs=1")
    log = tmp_path / "log.jsonl"
    whole = log.read_text()
    log.write_text(
        whole + '{"epoch": 1, "step": 2, "lr": 0.1, "loss": {"box": 1}}\n{"epoch": 1, "st'
    )
    run(data, tmp_path, "epochs=1", resume=True)
    assert log.read_text() == whole


def test_a_run_killed_in_its_first_epoch_starts_again_with_an_empty_log(data, tmp_path):
    run(data, tmp_path, "epochs=1")
    (tmp_path / "last.pt").unlink()
    run(data, tmp_path, "epochs=1", resume=True)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2 + 1


@pytest.mark.parametrize(("winner", "score"), [("model", (0.2, 0.1)), ("ema", (0.1, 0.2))])
def test_the_better_of_model_and_average_is_kept(data, tmp_path, monkeypatch, winner, score):
    scores = iter(score)
    monkeypatch.setattr(training, "validate", lambda *_: next(scores))
    assert run(data, tmp_path, "epochs=1") == 0.2
    assert same(weights_of(tmp_path / "best.pt")["state"], weights_of(tmp_path / "last.pt")[winner])


def test_a_folder_that_holds_another_run_is_refused(data, tmp_path):
    run(data, tmp_path, "epochs=1")
    with pytest.raises(InputError, match="--resume"):
        run(data, tmp_path, "epochs=1")
    with pytest.raises(InputError, match="changed: epochs, lr"):
        run(data, tmp_path, "epochs=2", "lr=0.5", resume=True)


def test_a_run_is_not_resumed_on_data_that_changed(tmp_path):
    data = write_tiny_voc(tmp_path / "voc")
    run(data, tmp_path / "r", "epochs=1")
    listed = data / "ImageSets" / "Main" / "train.txt"
    listed.write_text(listed.read_text().replace("train0\n", ""))
    with pytest.raises(InputError, match="the train data changed"):
        run(data, tmp_path / "r", "epochs=1", resume=True)


def test_a_loss_that_is_not_finite_stops_with_its_parts(data, tmp_path):
    with pytest.raises(JobError, match=r"loss is not finite: \{'box': .*'object': .*'class'"):
        run(data, tmp_path, "epochs=3", "lr=1e30", "clip=1e30", "warmup_epochs=0")
    assert not (tmp_path / "best.pt").exists()


def test_out_of_memory_says_which_batch_to_try(data, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(YoloV5, "forward", full)
    with pytest.raises(JobError, match="out of memory at batch=4 image_size=64: try batch=2"):
        run(data, tmp_path, "epochs=1")


def test_training_starts_from_weights_and_their_class_rows(data, tmp_path):
    run(data, tmp_path / "a", "epochs=1")
    start = weights_of(tmp_path / "a" / "best.pt")["state"]
    run(data, tmp_path / "b", "epochs=1", f"weights={tmp_path / 'a'}", "lr=0", "warmup_bias_lr=0")
    trained = weights_of(tmp_path / "b" / "last.pt")["model"]
    assert all(torch.equal(start[k], trained[k]) for k in start if k.endswith(("weight", "bias")))


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """A finished run to start from: it knows both classes."""
    folder = tmp_path_factory.mktemp("start") / "r"
    run(data, folder, "epochs=1")
    return f"weights={folder}"


def scored(monkeypatch, *values):
    """Let validation give these values in turn: of the start, then of model and average."""
    remaining = iter(values)
    monkeypatch.setattr(training, "validate", lambda *_: next(remaining))


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_start_that_no_epoch_beats_is_kept_and_said(data, start, tmp_path, monkeypatch):
    scored(monkeypatch, 0.694, 0.671, 0.65, 0.694, 0.6)  # an equal score beats nothing
    lines = []
    assert run(data, tmp_path, "epochs=2", start, say=lines.append) == 0.694
    kept = weights_of(tmp_path / "best.pt")
    begun = weights_of(Path(start.removeprefix("weights=")) / "best.pt")
    assert same(kept["state"], begun["state"]) and (kept["epoch"], kept["map"]) == (-1, 0.694)
    assert lines[-1] == (
        f"{tmp_path / 'best.pt'}: is the start: AP50 0.694 untrained, 0.694 at best after "
        "training; try a lower lr or fewer epochs"
    )


def test_a_start_that_an_epoch_beats_is_replaced_in_silence(data, start, tmp_path, monkeypatch):
    scored(monkeypatch, 0.5, 0.4, 0.51)
    lines = []
    assert run(data, tmp_path, "epochs=1", start, say=lines.append) == 0.51
    kept, last = weights_of(tmp_path / "best.pt"), weights_of(tmp_path / "last.pt")
    assert same(kept["state"], last["ema"]) and len(lines) == 1  # what was carried over


def test_the_start_is_the_first_line_of_the_log_and_epoch_0_of_its_curves(
    data, start, tmp_path, monkeypatch
):
    scored(monkeypatch, 0.75, 0.5, 0.25)
    run(data, tmp_path, "epochs=1", start)
    first, *rest = log_of(tmp_path)
    assert first["epoch"] == -1 and first["map"] == {"model": 0.75, "ema": 0.75}
    assert [("map" in line, line["epoch"]) for line in rest] == [(False, 0), (False, 0), (True, 0)]
    _, epochs = read_log(tmp_path / "log.jsonl")
    assert best_epoch(epochs) == (0.75, 0, "model")
    assert write_report(tmp_path, tmp_path / "report.html").on == "validation, the start, untrained"
    page = (tmp_path / "report.html").read_text()
    assert "best: 0.7500 at the start" in page
    assert facts_of({}, None, False, epochs)["Epochs"] == "1"


def test_a_start_scores_as_its_own_run_did(data, start, tmp_path):
    run(data, tmp_path, "epochs=1", start)
    begun = weights_of(Path(start.removeprefix("weights=")) / "best.pt")
    assert log_of(tmp_path)[0]["map"]["model"] == begun["map"]


def test_validating_the_start_does_not_change_the_training(data, start, tmp_path, monkeypatch):
    run(data, tmp_path / "a", "epochs=1", start)
    monkeypatch.setattr(training, "validate_start", lambda *_: None)
    run(data, tmp_path / "b", "epochs=1", start)
    a, b = (weights_of(tmp_path / name / "last.pt") for name in "ab")
    assert same(a["model"], b["model"]) and same(a["ema"], b["ema"])


@pytest.mark.parametrize("killed_at", [1, 2, 4])
def test_a_run_killed_around_its_start_resumes_to_the_same_files(
    data, start, tmp_path, monkeypatch, killed_at
):
    """Validations: 1 the start, 2 and 3 the first epoch, 4 and 5 the second."""
    validate, count = training.validate, 0

    def killing(*arguments):
        nonlocal count
        count += 1
        if count == killed_at:
            raise KeyboardInterrupt
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "validate", killing)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "killed", "epochs=2", start)
    run(data, tmp_path / "killed", "epochs=2", start, resume=True)
    run(data, tmp_path / "whole", "epochs=2", start)
    for name, parts in (("last.pt", ("model", "ema")), ("best.pt", ("state",))):
        killed, whole = (weights_of(tmp_path / folder / name) for folder in ("killed", "whole"))
        assert all(same(killed[part], whole[part]) for part in parts)
        assert killed.get("best") == whole.get("best") and killed.get("map") == whole.get("map")
    logs = [log_of(tmp_path / folder) for folder in ("killed", "whole")]
    kept = [[(x["epoch"], x.get("map"), x.get("loss")) for x in log] for log in logs]
    assert kept[0] == kept[1] and [x[0] for x in kept[0]].count(-1) == 1


def test_a_resumed_run_still_says_that_its_start_is_the_best(data, start, tmp_path, monkeypatch):
    scored(monkeypatch, 0.9, 0.1, 0.1)  # and StopIteration in the second epoch
    with pytest.raises(StopIteration):
        run(data, tmp_path, "epochs=2", start)
    scored(monkeypatch, 0.3, 0.2)
    lines = []
    assert run(data, tmp_path, "epochs=2", start, resume=True, say=lines.append) == 0.9
    assert "AP50 0.900 untrained, 0.300 at best" in lines[-1]


def test_weights_that_know_none_of_the_classes_are_not_validated(tmp_path, start, monkeypatch):
    data = write_tiny_voc(tmp_path / "voc")
    for xml in (data / "Annotations").iterdir():
        xml.write_text(xml.read_text().replace("disc", "ring").replace("square", "cross"))
    scored(monkeypatch, 0.2, 0.1)
    assert run(data, tmp_path / "r", "epochs=1", start) == 0.2
    assert [line["epoch"] for line in log_of(tmp_path / "r")] == [0, 0, 0]


def test_rates_warm_up_and_fall():
    recipe = load_recipe(
        "v5n", ["epochs=10", "lr=0.1", "lr_final=0.1", "warmup_epochs=1", "schedule=linear"]
    )
    optimizer = build_optimizer(YoloV5("n", ("a",)), recipe)
    seen = {}
    for step in (0, 9, 50, 99):
        seen[step] = set_rates(optimizer, recipe, step, epoch_steps=10)
    # progress 0, 9/99, 50/99, 1 along 1 -> 0.1; a tenth of it in the first of ten warm-up steps
    wanted = {0: 0.1 * 0.1, 9: 0.1 * (1 - 0.9 / 11), 50: 0.1 * (1 - 0.9 * 50 / 99), 99: 0.01}
    assert seen == pytest.approx(wanted)
    set_rates(optimizer, recipe, 0, epoch_steps=10)
    biases, _, weights = optimizer.param_groups
    assert biases["lr"] == pytest.approx(0.1) and weights["momentum"] == pytest.approx(0.8 + 0.0137)


def test_only_convolution_weights_decay():
    model = YoloV5("n", ("a",))
    decayed = [
        g for g in build_optimizer(model, load_recipe("v5n")).param_groups if g["weight_decay"]
    ]
    assert len(decayed) == 1 and {p.ndim for p in decayed[0]["params"]} == {4}
    counted = sum(len(g["params"]) for g in build_optimizer(model, load_recipe("v5n")).param_groups)
    assert counted == len(list(model.parameters()))


def test_the_average_follows_at_its_horizon():
    # Weights jump from 0 to 1 after the ramp; a horizon later the average is 1 - 1/e of the way.
    model = torch.nn.Linear(1, 1, bias=False)
    ema = Ema(model, horizon=50)
    for value, steps in ((0.0, 500), (1.0, 50)):
        torch.nn.init.constant_(model.weight, value)
        for _ in range(steps):
            ema.update(model)
    assert ema.model.weight.item() == pytest.approx(1 - np.exp(-1), abs=0.01)


def test_the_average_is_not_held_back_by_the_start():
    # after t steps the newest weights count 9 / (10 + t), however long the horizon
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    ema = Ema(model, horizon=1e6)
    torch.nn.init.constant_(model.weight, 1.0)
    ema.update(model)
    assert ema.model.weight.item() == pytest.approx(9 / 11)


def test_the_average_of_batch_norm_counts_is_a_copy():
    model = torch.nn.BatchNorm2d(1)
    ema = Ema(model, horizon=10)
    model(torch.rand(2, 1, 4, 4))
    ema.update(model)
    assert ema.model.num_batches_tracked == 1
