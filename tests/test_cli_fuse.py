"""harness fuse: tables to one table, tables and truth to a choice, that choice on another split."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.rule import FusionRule
from evaluate.tables import Detections
from harness.cli.main import main
from tests.oracles import random_tables


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs with candidates on val and test, and the truth of val."""
    monkeypatch.chdir(tmp_path)
    for split, seed in (("val", 0), ("test", 1)):
        table, truth = random_tables(seed)
        ids = tuple(f"{split}-{name}" for name in table.image_ids)
        replace(truth, image_ids=ids).save(tmp_path / f"{split}-truth.npz")
        table = replace(table, image_ids=ids).take(table.score > 0)
        table.save(tmp_path / "runs/a" / f"{split}.npz")
        table.take(np.arange(0, len(table), 2)).save(tmp_path / "runs/b" / f"{split}.npz")
    return ["runs/a/val.npz", "runs/b/val.npz"]


def test_options_reach_the_rule(runs, capsys):
    words = [
        "--method",
        "soft-nms",
        "--iou",
        "0.3",
        "--decay",
        "gaussian",
        "--sigma",
        "0.2",
        "--skip-below",
        "0.1",
    ]
    assert (
        main(["fuse", *runs, *words, "--members-iou", "0.8", "--weights", "2,1", "--out", "f.npz"])
        == 0
    )
    assert "f.npz: " in capsys.readouterr().out
    rule = FusionRule("soft-nms", 0.3, decay="gaussian", sigma=0.2, skip_below=0.1, members_iou=0.8)
    expected = fuse_tables(
        [Detections.load(Path(path)) for path in runs], rule, weights=[2, 1]
    ).dets
    assert np.array_equal(Detections.load(Path("f.npz")).score, expected.score)


def test_a_choice_is_written_and_fuses_the_other_split(runs, capsys):
    assert (
        main(["fuse", "--search", *runs, "--truth", "val-truth.npz", "--out", "f.json", "--json"])
        == 0
    )
    choice = json.loads(capsys.readouterr().out)
    with open("f.json") as file:
        assert json.load(file) == choice
    assert choice["members"] == runs and set(choice) >= {"weights", "rule", "held_out", "worth_it"}
    tests = [path.replace("val", "test") for path in runs]
    assert main(["fuse", "--recipe", "f.json", *tests, "--out", "t.npz"]) == 0
    rule = FusionRule(**choice["rule"])
    expected = fuse_tables(
        [Detections.load(Path(path)) for path in tests], rule, weights=choice["weights"]
    ).dets
    assert np.array_equal(Detections.load(Path("t.npz")).xyxy, expected.xyxy)


def test_the_leaderboard_says_what_an_ensemble_is_made_of(runs, capsys):
    Path("ensemble").mkdir()
    members = {
        "members": ["v5n/val.npz", "v5s/val.npz", "v3/val.npz"],
        "weights": [2, 0, {"cat": 1}],
    }
    Path("ensemble/fusion.json").write_text(json.dumps(members | {"rule": {"method": "wbf"}}))
    shutil.copy(runs[0], "ensemble/val-final.npz")
    ledger = ["--ledger", "l.sqlite"]
    assert main(["score", "ensemble/val-final.npz", "--truth", "val-truth.npz", *ledger]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "--json", *ledger]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["model"] == "wbf of v5n, v3"


def test_a_score_beside_a_damaged_ensemble_names_the_file(runs, capsys):
    Path("ensemble").mkdir()
    Path("ensemble/fusion.json").write_text('{"members": ')
    shutil.copy(runs[0], "ensemble/val-final.npz")
    words = ["score", "ensemble/val-final.npz", "--truth", "val-truth.npz", "--ledger", "l.sqlite"]
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(
        "harness: ensemble/fusion.json: want JSON with members, weights and rule"
    )


def test_the_search_says_when_it_is_not_worth_it(runs, capsys):
    assert (
        main(["fuse", "--search", runs[0], runs[0], "--truth", "val-truth.npz", "--out", "f.json"])
        == 0
    )
    assert "\nnot worth it: " in capsys.readouterr().out


def test_weights_by_class_come_from_the_file(runs):
    weights = [{"cat": 1, "dog": 2, "bird": 0}, 1]
    write({"members": runs, "weights": weights, "rule": {"method": "wbf"}})
    assert main(["fuse", "--recipe", "f.json", *runs, "--out", "f.npz"]) == 0
    expected = fuse_tables(
        [Detections.load(Path(path)) for path in runs], FusionRule(), weights=[[1, 2, 0], [1, 1, 1]]
    ).dets
    assert np.array_equal(Detections.load(Path("f.npz")).score, expected.score)


def write(content):
    with open("f.json", "w") as file:
        json.dump(content, file)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--iou", "45"], "iou is 45"),
        (["--method", "mean"], "--method"),
        (["--weights", "2,x"], "--weights 2,x: want numbers"),
        (["--weights", "2"], "weights are (1,), want (2,)"),
        (["--recipe", "f.json", "--iou", "0.5"], "leave out"),
        (["--search", "--weights", "2,1"], "leave out"),
        (["--search", "--recipe", "f.json"], "one of the two"),
        (["--search"], "--truth"),
        (["--recipe", "none.json"], "none.json"),
        (["--recipe", "runs/a/val.npz"], "runs/a/val.npz: want JSON"),
        (["nothing.npz"], "nothing.npz"),
        (["runs/a/test.npz"], "runs/a/test.npz: want the images of runs/a/val.npz"),
    ],
)
def test_wrong_input_is_one_line_and_status_2_and_writes_nothing(
    runs, words, says, capsys, tmp_path
):
    assert main(["fuse", *runs, *words, "--out", "f.npz"]) == 2
    out, err = capsys.readouterr()
    assert (
        says in err
        and len(err.splitlines()) == 1
        and out == ""
        and not (tmp_path / "f.npz").exists()
    ), err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            {"members": ["runs/b/val.npz", "runs/a/val.npz"], "weights": [1, 1], "rule": {}},
            "in this order",
        ),
        ({"members": ["runs/a/val.npz"], "weights": [1], "rule": {}}, "in this order"),
        ({"members": ["a", "b"], "weights": [1, 1]}, "want JSON with members, weights and rule"),
        ({"members": ["a", "b"], "weights": [1, 1], "rule": {"iuo": 1}}, "want JSON"),
        ({"members": ["a", "b"], "weights": [1, 1], "rule": {"iou": 9}}, "f.json: iou is 9"),
        (
            {"members": ["runs/a/x", "runs/b/x"], "weights": [{"cat": 1}, 1], "rule": {}},
            "or one for each of cat, dog, bird",
        ),
        (
            {"members": ["runs/a/x", "runs/b/x"], "weights": ["x", 1], "rule": {}},
            "f.json: want weights",
        ),
        ([], "want JSON"),
    ],
)
def test_a_choice_that_does_not_fit_is_one_line_and_status_2(runs, content, says, capsys):
    write(content)
    assert main(["fuse", "--recipe", "f.json", *runs, "--out", "f.npz"]) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1, err


def test_folders_named_by_split_go_by_the_names_of_their_files(runs):
    write({"members": ["val/a.npz", "val/b.npz"], "weights": [1, 2], "rule": {}})
    for run in "ab":
        Detections.load(Path(f"runs/{run}/test.npz")).save(Path(f"test/{run}.npz"))
    assert main(["fuse", "--recipe", "f.json", "test/a.npz", "test/b.npz", "--out", "f.npz"]) == 0
    assert main(["fuse", "--recipe", "f.json", "test/b.npz", "test/a.npz", "--out", "g.npz"]) == 2
