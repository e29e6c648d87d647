"""The harness command: exit status, one-line errors, and the whole flow on a tiny data set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from tests.tiny import write_tiny_voc

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A tiny data set taken through every command, as the Makefile does."""
    root = tmp_path_factory.mktemp("flow")
    data, run = str(write_tiny_voc(root / "data")), root / "runs" / "tiny"
    ledger = ["--ledger", str(root / "ledger.sqlite")]
    settings = ["weights=", "image_size=64", "batch=4", "epochs=2", "threads=1", "warmup_epochs=0"]
    for words in (
        ["train", "v5n", "--data", data, "--out", str(run), *settings],
        ["predict", str(run), "--data", data, "--split", "val", "--out", str(run / "val.npz")],
        ["predict", str(run), "--data", data, "--split", "test", "--out", str(run / "test.npz")],
        [
            "sweep",
            str(run / "val.npz"),
            "--data",
            data,
            "--split",
            "val",
            "--out",
            str(run / "sweep.csv"),
        ],
        [
            "apply",
            str(run / "test.npz"),
            "--sweep",
            str(run / "sweep.csv"),
            "--out",
            str(run / "final.npz"),
        ],
        ["csv", str(run / "final.npz"), "--out", str(run / "submission.csv")],
        ["check", str(run / "submission.csv")],
        ["score", str(run / "submission.csv"), "--data", data, "--split", "test", *ledger],
        ["report", str(run)],
    ):
        assert main(words) == 0, words
    return root


def test_the_flow_leaves_a_submission_a_score_and_a_page(flow, capsys):
    run = flow / "runs" / "tiny"
    assert len((run / "submission.csv").read_text().splitlines()) == 1 + 4
    assert "<html" in (run / "report.html").read_text()
    assert (
        main(
            [
                "leaderboard",
                "--json",
                "--ledger",
                str(flow / "ledger.sqlite"),
                "--html",
                str(flow / "b.html"),
            ]
        )
        == 0
    )
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (
        row["name"] == "tiny/submission.csv"
        and row["recipe"]["epochs"] == 2
        and (flow / "b.html").exists()
    )


def test_the_submission_scores_what_its_table_scores(flow, capsys):
    data, run = str(flow / "data"), flow / "runs" / "tiny"
    scores = []
    for name in ("final.npz", "submission.csv"):
        words = ["score", str(run / name), "--data", data, "--split", "test", "--json"]
        assert main([*words, "--ledger", str(flow / "l.sqlite")]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0].keys() >= {"metric", "map", "per_class", "images", "truths", "detections"}
    assert scores[0]["map"] == pytest.approx(scores[1]["map"], abs=1e-3)


@pytest.mark.parametrize("profile", ["open-images", "vinbigdata"])
def test_a_submission_of_another_profile_is_written_checked_scored_and_converted(
    flow, capsys, profile
):
    data, run = ["--data", str(flow / "data"), "--split", "test"], flow / "runs" / "tiny"
    table, csv, form = str(run / "final.npz"), str(flow / f"{profile}.csv"), ["--profile", profile]
    ledger = ["--ledger", str(flow / "l.sqlite")]
    assert main(["csv", table, "--out", csv, *form, *data]) == 0
    assert main(["check", csv, *form, "--sample", csv]) == 0
    assert main(["convert", csv, str(flow / f"{profile}.npz"), *form, *data]) == 0
    assert (
        main(["convert", table, str(flow / "again.csv"), "--format", "submission", *form, *data])
        == 0
    )
    assert (flow / "again.csv").read_bytes() == Path(csv).read_bytes()
    capsys.readouterr()
    scores = []
    for words in ([csv, *form], [str(flow / f"{profile}.npz")]):
        assert main(["score", *words, *data, "--json", *ledger]) == 0
        scores.append(json.loads(capsys.readouterr().out)["map"])
    assert scores[0] == scores[1]
    assert main(["compare", csv, csv, *form, *data]) == main(["errors", csv, *form, *data]) == 0
    assert main(["check", csv]) == 2 and "or want another --profile?" in capsys.readouterr().err


def test_comparing_takes_tables_and_submissions(flow, capsys):
    data, run = str(flow / "data"), flow / "runs" / "tiny"
    words = [
        "compare",
        str(run / "submission.csv"),
        str(run / "final.npz"),
        "--data",
        data,
        "--split",
        "test",
    ]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    mean = result["mean"]
    assert mean["difference"] == pytest.approx(mean["after"] - mean["before"])
    assert set(result["per_class"]) == {"disc", "square"}
    assert mean["low"] <= mean["difference"] <= mean["high"] and result["images"] == 4
    assert main(words) == 0
    assert "could be chance" in capsys.readouterr().out


def test_errors_split_the_score(flow, capsys):
    data, run = str(flow / "data"), flow / "runs" / "tiny"
    where = ["--data", data, "--split", "test", "--json"]
    assert main(["score", str(run / "final.npz"), *where, "--ledger", str(flow / "l.sqlite")]) == 0
    score = json.loads(capsys.readouterr().out)
    assert main(["errors", str(run / "final.npz"), *where]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["map"] == pytest.approx(score["map"], abs=1e-12)
    assert set(found["fixes"]) >= {
        "localisation",
        "class",
        "both",
        "duplicate",
        "background",
        "missed",
    }
    assert main(["errors", str(run / "final.npz"), *where[:-1]]) == 0
    assert "background" in capsys.readouterr().out


def test_converting_there_and_back_keeps_the_score(flow, capsys):
    data, run = str(flow / "data"), flow / "runs" / "tiny"
    where = ["--data", data, "--split", "test"]
    scores = []
    assert main(["convert", str(run / "final.npz"), str(flow / "coco.json"), *where]) == 0
    assert (
        main(
            ["convert", str(flow / "coco.json"), str(flow / "devkit"), "--format", "devkit", *where]
        )
        == 0
    )
    assert main(["convert", str(flow / "devkit"), str(flow / "back.npz"), *where]) == 0
    for table in (run / "final.npz", flow / "back.npz"):
        capsys.readouterr()
        assert (
            main(["score", str(table), *where, "--json", "--ledger", str(flow / "l.sqlite")]) == 0
        )
        scores.append(json.loads(capsys.readouterr().out)["map"])
    assert scores[0] == scores[1]


def test_a_file_that_does_not_fit_lists_every_offender(flow, capsys):
    (flow / "bad.json").write_text(
        '[{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 2}]'
    )
    words = [
        "convert",
        str(flow / "bad.json"),
        str(flow / "bad.npz"),
        "--data",
        str(flow / "data"),
        "--split",
        "test",
    ]
    assert main(words) == 2 and not (flow / "bad.npz").exists()
    told = capsys.readouterr().err
    assert (
        "unknown image" in told
        and "score from 0 to 1" in told
        and "1 listed above; nothing was written" in told
    )


def test_a_cell_of_the_sweep_is_the_score_at_that_cell(flow, capsys):
    data, run = str(flow / "data"), flow / "runs" / "tiny"
    words = [
        "sweep",
        str(run / "val.npz"),
        "--data",
        data,
        "--conf",
        "0.01",
        "--iou",
        "0.5",
        "--json",
    ]
    assert main([*words, "--out", str(flow / "one.csv")]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    words = [
        "score",
        str(run / "val.npz"),
        "--data",
        data,
        "--conf",
        "0.01",
        "--iou",
        "0.5",
        "--json",
    ]
    assert main([*words, "--ledger", str(flow / "l.sqlite")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["map"], result["detections"]) == (best["map"], best["boxes"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["score", "nothing.npz", "--truth", "nothing.npz"], "nothing.npz"),
        (["score", "x.npz"], "--truth"),
        (["sweep"], "CANDIDATES"),
        (
            ["predict", "r", "--data", "d", "--out", "x.npz", "--batch", "-1"],
            "--batch -1: want at least 1",
        ),
        (
            ["predict", "r", "--data", "d", "--out", "x.npz", "--size", "0"],
            "--size 0: want at least 1",
        ),
        (["frobnicate"], "frobnicate"),
        (["train", "v9", "--data", "d", "--out", "o"], "recipe v9"),
        (["train", "v5n", "epoch=3", "--data", "d", "--out", "o"], "epoch is no key"),
        (["train", "v5n", "--data", "nowhere", "--out", "o"], "nowhere: want a data set"),
        (["predict", "w.pt", "--out", "x.npz"], "--images"),
        (["predict", "w.pt", "--out", "x.npz", "--images", "nowhere"], "nowhere"),
        (["apply", "x.npz", "--out", "y.npz"], "--sweep"),
        (["sweep", "x.npz", "--truth", "t.npz", "--conf", "a,b", "--out", "s.csv"], "x.npz"),
        (["leaderboard", "--ledger", "."], "ledger"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(words, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert says in err and "Traceback" not in err and len(err.splitlines()) == 1, err
    assert out == ""


def test_the_ledger_of_the_environment_is_looked_up_when_a_command_runs(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_LEDGER", "elsewhere.sqlite")
    assert main(["leaderboard"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere.sqlite"]


def test_debug_shows_the_traceback(capsys):
    assert main(["score", "nothing.npz", "--truth", "nothing.npz", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bad_submission_lists_every_bad_row(tmp_path, capsys):
    (tmp_path / "s.csv").write_text(
        'id,image_id,prediction_list\n1,a.jpg,"[[1]]"\n2,b.jpg,nonsense\n'
    )
    assert main(["check", str(tmp_path / "s.csv")]) == 2
    assert [line[:6] for line in capsys.readouterr().out.splitlines()] == ["line 2", "line 3"]


@pytest.mark.parametrize(
    "words", [["--help"], ["score", "--help"], ["leaderboard", "--ledger", "l.sqlite"]]
)
def test_help_and_the_leaderboard_start_without_torch(words, tmp_path):
    script = "import sys; from harness.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_scoring_imports_neither_torch_nor_numba_nor_pandas(flow):
    script = (
        "import sys; from harness.cli.main import main; assert main(sys.argv[1:]) == 0;"
        "assert not {'torch', 'numba', 'pandas', 'matplotlib'} & sys.modules.keys()"
    )
    run = flow / "runs" / "tiny"
    words = [
        "score",
        run / "final.npz",
        "--data",
        flow / "data",
        "--split",
        "test",
        "--ledger",
        flow / "l.sqlite",
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_another_projects_package_in_the_way_is_named(tmp_path):
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "__init__.py").write_text("")
    (tmp_path / "evaluate" / "tables.py").write_text((ROOT / "evaluate" / "tables.py").read_text())
    script = "import sys; sys.path.insert(0, '.'); from harness.cli.main import main; sys.exit(main(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "use .venv/bin/harness" in done.stderr


@pytest.mark.parametrize("half", [["--conf", "0.1"], ["--iou", "0.5"]])
def test_half_a_cell_is_refused(flow, half, capsys):
    words = [
        "score",
        str(flow / "runs/tiny/val.npz"),
        "--data",
        str(flow / "data"),
        "--split",
        "val",
        *half,
    ]
    assert main(words) == 2
    assert "--conf and --iou together" in capsys.readouterr().err
