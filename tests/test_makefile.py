"""The Makefile runs commands that our parser accepts, and has each target of the contract."""

import shlex
import subprocess
from pathlib import Path

import pytest

from harness.cli.main import app

ROOT = Path(__file__).parents[1]


def plan(*words):
    done = subprocess.run(
        ["make", "-n", "-B", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [
        shlex.split(line)
        for line in done.stdout.replace("\\\n", " ").splitlines()
        if line.startswith(".venv/bin/harness")
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["demo"],
        ["data"],
        ["train-v5l"],
        ["eval"],
        ["sweep"],
        ["submission"],
        ["report", "PROFILE=vinbigdata", "SAMPLE=sample.csv"],
        ["submit", "COMPETITION=x", "MESSAGE=y z", "PROFILE=my.toml"],
        ["report"],
        ["ensemble"],
        ["video", "VIDEO=a.mp4"],
    ],
)
def test_commands_parse(words):
    commands = plan(*words)
    assert commands
    for _, *arguments in commands:
        if ">" in arguments:  # the shell's, with the file after it
            arguments = arguments[: arguments.index(">")]
        app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_demo_runs_the_whole_flow_in_order():
    verbs = [words[1] for words in plan("demo")]
    order = "data train predict predict sweep apply csv check score leaderboard report".split()
    assert sorted(verbs) == sorted(order)
    assert verbs.index("train") < verbs.index("sweep") < verbs.index("apply")


def test_a_model_goes_where_its_name_says():
    (train,) = [words for words in plan("train-v5m-report", "ARGS=epochs=3") if words[1] == "train"]
    assert train[2] == "v5m-report" and "runs/v5m-report" in train and train[-1] == "epochs=3"


def test_other_members_are_another_ensemble(tmp_path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / "pyproject.toml").touch()
    for name in (
        ".venv/.ready",
        "data/x",
        *(f"runs/{run}/{file}" for run in "ab" for file in ("best.pt", "val.npz")),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    words = ["make", "--silent", "runs/ensemble/fusion.json", "HARNESS=./h", "DATA=data/x"]
    (tmp_path / "h").write_text("#!/bin/sh\necho $* >> log\nfor last; do :; done\ntouch $last\n")
    (tmp_path / "h").chmod(0o755)
    for members in (["MEMBERS=a b"], ["MEMBERS=a b"], ["MEMBERS=b"], []):
        subprocess.run([*words, *members], cwd=tmp_path, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    runs = [[word for word in line.split() if word.endswith("val.npz")] for line in lines]
    assert runs == [["runs/a/val.npz", "runs/b/val.npz"], ["runs/b/val.npz"]]


@pytest.mark.parametrize(
    "words", [["video"], ["submit"], ["submit", "COMPETITION=x"], ["submit", "MESSAGE=x"]]
)
def test_what_is_missing_is_asked_for_before_anything_is_made(words):
    done = subprocess.run(
        ["make", "--no-print-directory", "HARNESS=false", "PYTHON=false", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"want make {words[0]} ")


def test_help_names_every_target_people_type():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    targets = (
        "setup demo data train eval sweep submission report leaderboard ensemble submit video "
        "test test-all check help"
    )
    assert listed >= set(targets.split())
