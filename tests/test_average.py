"""harness.weights.average: the mean of sets of weights, and which sets have none together."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from harness.cli.main import main
from harness.recipe import Recipe
from harness.weights import checkpoint
from harness.weights.average import average
from tests.tiny import write_tiny_voc

RECIPE = Recipe("yolov5n", image_size=64)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def state(*numbers, counter=0):
    return {"a.weight": torch.tensor(numbers), "a.num_batches_tracked": torch.tensor(counter)}


def write(name, weights, *, recipe=RECIPE, classes=("cat", "dog")):
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    checkpoint.save({"recipe": asdict(recipe), "classes": list(classes), "state": weights}, path)
    return path


def write_run(name, best, model, ema, *, best_name="best.pt"):
    write(f"{name}/{best_name}", best)
    checkpoint.save({"model": model, "ema": ema, "optimizer": {}}, Path(name, "last.pt"))
    return Path(name)


def test_the_mean_of_three_is_exact_and_counters_are_the_firsts():
    # in float32, 2^24 + 1 is 2^24 and the sum would lose 2: (2^24 + 2) / 3 = 5592406
    a = write("a.pt", state(2.0**24, 1.0, counter=7))
    b = write("b.pt", state(1.0, 2.0, counter=8))
    c = write("c.pt", state(1.0, 6.0, counter=9))
    content, names = average([a, b, c])
    assert content["state"]["a.weight"].tolist() == [5592406.0, 3.0] and names == [
        "a.pt",
        "b.pt",
        "c.pt",
    ]
    assert (
        content["state"]["a.weight"].dtype == torch.float32
        and content["state"]["a.num_batches_tracked"] == 7
    )


def test_a_run_gives_its_best_its_last_and_their_moving_average():
    content, names = average([write_run("r", state(1.0), state(2.0), state(6.0))])
    assert content["state"]["a.weight"].tolist() == [3.0]
    assert names == ["r/best.pt", "r/last.pt (model)", "r/last.pt (ema)"]


def test_equal_weights_count_once():
    run = write_run("r", state(1.0), state(3.0), state(1.0))
    content, names = average([run, run / "best.pt", write("b.pt", state(5.0))])
    assert content["state"]["a.weight"].tolist() == [3.0] and names == [
        "r/best.pt",
        "r/last.pt (model)",
        "b.pt",
    ]


def test_a_run_that_has_not_finished_gives_its_best_so_far():
    _, names = average(
        [write_run("r", state(1.0), state(2.0), state(3.0), best_name="best-so-far.pt")]
    )
    assert names[0] == "r/best-so-far.pt"


def test_the_order_changes_nothing_but_whose_recipe_it_is():
    generator = torch.Generator().manual_seed(0)
    paths = [
        write(
            f"{size}.pt",
            state(*torch.randn(99, generator=generator).tolist()),
            recipe=Recipe("yolov5n", image_size=size),
        )
        for size in (64, 96)
    ]
    one, other = average(paths)[0], average(paths[::-1])[0]
    assert torch.equal(one["state"]["a.weight"], other["state"]["a.weight"])
    assert (one["recipe"]["image_size"], other["recipe"]["image_size"]) == (64, 96)


def test_the_command_averages_what_training_leaves_and_the_file_predicts(capsys):
    data = str(write_tiny_voc(Path("data")))
    settings = ["weights=", "image_size=64", "batch=4", "epochs=1", "threads=1", "warmup_epochs=0"]
    assert main(["train", "v5n", "--data", data, "--out", "r", *settings]) == 0
    capsys.readouterr()
    assert main(["weights", "average", "r", "--out", "runs/mean.pt"]) == 0
    assert capsys.readouterr().out.startswith(
        "runs/mean.pt: the mean of 2 sets of weights: r/best.pt, r/last.pt ("
    )
    model, recipe = checkpoint.load_detector(Path("runs/mean.pt"))
    assert (recipe, model.classes) == (checkpoint.load_detector(Path("r"))[1], ("disc", "square"))
    last = checkpoint.load(Path("r/last.pt"))
    for name, value in model.state_dict().items():
        expected = (last["model"][name].double() + last["ema"][name].double()) / 2
        assert torch.equal(value, expected.to(value.dtype)), name
    assert main(["predict", "runs/mean.pt", "--data", data, "--out", "val.npz"]) == 0


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"recipe": Recipe("yolov5s")}, "want model=yolov5n as in a.pt, it has model=yolov5s"),
        (
            {"recipe": Recipe("yolov5n", head="report")},
            "want head=tuned as in a.pt, it has head=report",
        ),
        (
            {"recipe": Recipe("yolov5n", grid_stride=64)},
            "want grid_stride=32 as in a.pt, it has grid_stride=64",
        ),
        ({"classes": ("dog", "cat")}, "its classes differ from those of a.pt: dog in place of cat"),
        (
            {"classes": ("cat", "dog", "cow")},
            "its classes differ from those of a.pt: cow in place of none",
        ),
        ({"weights": state(1.0, 2.0)}, "its tensors differ in name or shape from those of a.pt"),
        (
            {"weights": {"b": torch.ones(1)}},
            "its tensors differ in name or shape from those of a.pt",
        ),
    ],
)
def test_weights_that_mean_something_else_are_refused(other, says, capsys):
    write("a.pt", state(1.0))
    write("b.pt", **{"weights": state(2.0)} | other)
    assert main(["weights", "average", "a.pt", "b.pt", "--out", "c.pt"]) == 2
    assert capsys.readouterr() == ("", f"harness: b.pt: {says}\n") and not Path("c.pt").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "average: want at least two sets of weights that differ, there are 0"),
        (
            ["a.pt", "a.pt"],
            "a.pt, a.pt: want at least two sets of weights that differ, there are 1",
        ),
        (
            ["a.pt", "resnet18.pth"],
            "resnet18.pth: is the backbone resnet18, want weights of a detector",
        ),
        (["a.pt", "nowhere.pt"], "nowhere.pt: no such file"),
        (["r"], "r/last.pt: want what training leaves to resume from, there is no model in it"),
    ],
)
def test_what_has_no_mean_is_refused(given, says, capsys):
    write("a.pt", state(1.0))
    write("r/last.pt", state(1.0))
    write("r/best.pt", state(1.0))
    torch.save(resnet18(weights=None).state_dict(), "resnet18.pth")
    assert main(["weights", "average", *given, "--out", "c.pt"]) == 2
    errors = capsys.readouterr().err
    assert (
        errors.startswith(f"harness: {says}")
        and errors.count("\n") == 1
        and not Path("c.pt").exists()
    )
