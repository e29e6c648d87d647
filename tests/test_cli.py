"""The harness command: exit status, one-line errors, and the whole flow on a tiny data set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from tests.tiny import write_tiny_voc

ROOT = Path(__file__).parents[1]
FLOW = """
    train v5n {data} --out {run} weights= image_size=64 batch=4 epochs=2 threads=1 warmup_epochs=0
    predict {run} {data} --split val --out {run}/val.npz
    predict {run} {data} --split test --out {run}/test.npz
    sweep {run}/val.npz {data} --split val --out {run}/sweep.csv
    apply {run}/test.npz --sweep {run}/sweep.csv --out {run}/final.npz
    csv {run}/final.npz --out {run}/submission.csv
    check {run}/submission.csv
    score {run}/submission.csv {data} --split test --ledger {root}/ledger.sqlite
    report {run}
"""


def words_of(line, root):
    """A command line of the tests as words: {data} is --data DATA, {run} the run folder."""
    line = line.replace("{data}", "--data {root}/data").replace("{run}", "{root}/runs/tiny")
    return [word.replace("{root}", str(root)) for word in line.split()]


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """The folder of a tiny data set that was taken through every command, as the Makefile does."""
    root = tmp_path_factory.mktemp("flow")
    write_tiny_voc(root / "data")
    for line in FLOW.strip().splitlines():
        assert main(words_of(line, root)) == 0, line
    return root


@pytest.fixture
def harness(flow, capsys):
    """Runs a command line on the flow's files. -> its exit status, what it printed, its errors."""

    def run(line):
        status = main(words_of(line, flow))
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def printed(harness):
    """Runs a command line that must succeed. -> the JSON object that it printed."""

    def run(line):
        status, out, err = harness(f"{line} --json")
        assert status == 0, err
        return json.loads(out)

    return run


def test_the_flow_leaves_a_submission_a_score_and_a_page(flow, printed):
    run = flow / "runs" / "tiny"
    assert len((run / "submission.csv").read_text().splitlines()) == 1 + 4
    assert "<html" in (run / "report.html").read_text()
    (row,) = printed("leaderboard --ledger {root}/ledger.sqlite --html {root}/b.html")["rows"]
    assert row["name"] == "tiny/submission.csv" and row["recipe"]["epochs"] == 2
    assert (flow / "b.html").exists()


def test_the_submission_scores_what_its_table_scores(printed):
    table, submission = (
        printed(f"score {{run}}/{name} {{data}} --split test --ledger {{root}}/l.sqlite")
        for name in ("final.npz", "submission.csv")
    )
    assert table.keys() >= {"metric", "map", "per_class", "images", "truths", "detections"}
    assert table["map"] == pytest.approx(submission["map"], abs=1e-3)


@pytest.mark.parametrize("profile", ["open-images", "vinbigdata"])
def test_a_submission_of_another_profile_is_written_checked_scored_and_converted(
    flow, harness, printed, profile
):
    csv, table = f"{{root}}/{profile}.csv", f"{{root}}/{profile}.npz"
    options = f"--profile {profile} {{data}} --split test"
    for line in (
        f"csv {{run}}/final.npz --out {csv} {options}",
        f"check {csv} --profile {profile} --sample {csv}",
        f"convert {csv} {table} {options}",
        f"convert {{run}}/final.npz {{root}}/again.csv --format submission {options}",
        f"compare {csv} {csv} {options}",
        f"errors {csv} {options}",
    ):
        assert harness(line)[0] == 0, line
    assert (flow / "again.csv").read_bytes() == (flow / f"{profile}.csv").read_bytes()

    of_csv = printed(f"score {csv} {options} --ledger {{root}}/l.sqlite")
    of_table = printed(f"score {table} {{data}} --split test --ledger {{root}}/l.sqlite")
    assert of_csv["map"] == of_table["map"]

    status, _, err = harness(f"check {csv}")
    assert status == 2 and "or want another --profile?" in err


def test_comparing_takes_tables_and_submissions(harness, printed):
    line = "compare {run}/submission.csv {run}/final.npz {data} --split test"
    result = printed(line)
    mean = result["mean"]
    assert mean["difference"] == pytest.approx(mean["after"] - mean["before"])
    assert set(result["per_class"]) == {"disc", "square"}
    assert mean["low"] <= mean["difference"] <= mean["high"] and result["images"] == 4
    status, out, _ = harness(line)
    assert status == 0 and "could be chance" in out


def test_errors_split_the_score(harness, printed):
    where = "{run}/final.npz {data} --split test"
    score = printed(f"score {where} --ledger {{root}}/l.sqlite")
    diagnosis = printed(f"errors {where}")
    assert diagnosis["map"] == pytest.approx(score["map"], abs=1e-12)
    kinds = {"localisation", "class", "both", "duplicate", "background", "missed"}
    assert set(diagnosis["fixes"]) >= kinds
    status, out, _ = harness(f"errors {where}")
    assert status == 0 and "background" in out


def test_converting_there_and_back_keeps_the_score(harness, printed):
    data = "{data} --split test"
    for line in (
        f"convert {{run}}/final.npz {{root}}/coco.json {data}",
        f"convert {{root}}/coco.json {{root}}/devkit --format devkit {data}",
        f"convert {{root}}/devkit {{root}}/back.npz {data}",
    ):
        assert harness(line)[0] == 0, line
    before, after = (
        printed(f"score {table} {data} --ledger {{root}}/l.sqlite")
        for table in ("{run}/final.npz", "{root}/back.npz")
    )
    assert before["map"] == after["map"]


def test_a_file_that_does_not_fit_lists_every_offender(flow, harness):
    (flow / "bad.json").write_text(
        '[{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 2}]'
    )
    status, _, err = harness("convert {root}/bad.json {root}/bad.npz {data} --split test")
    assert status == 2 and not (flow / "bad.npz").exists()
    assert "unknown image" in err and "score from 0 to 1" in err
    assert "1 listed above; nothing was written" in err


def test_a_cell_of_the_sweep_is_the_score_at_that_cell(printed):
    cell = "{run}/val.npz {data} --conf 0.01 --iou 0.5"
    best = printed(f"sweep {cell} --out {{root}}/one.csv")["best"]
    result = printed(f"score {cell} --ledger {{root}}/l.sqlite")
    assert (result["map"], result["detections"]) == (best["map"], best["boxes"])


@pytest.mark.parametrize("half", ["--conf 0.1", "--iou 0.5"])
def test_half_a_cell_is_refused(harness, half):
    status, _, err = harness(f"score {{run}}/val.npz {{data}} --split val {half}")
    assert status == 2 and "--conf and --iou together" in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("score nothing.npz --truth nothing.npz", "nothing.npz"),
        ("score x.npz", "--truth"),
        ("sweep", "CANDIDATES"),
        ("predict r --data d --out x.npz --batch -1", "--batch -1: want at least 1"),
        ("predict r --data d --out x.npz --size 0", "--size 0: want at least 1"),
        ("frobnicate", "frobnicate"),
        ("train v9 --data d --out o", "recipe v9"),
        ("train v5n epoch=3 --data d --out o", "there is no key epoch"),
        ("train v5n --data nowhere --out o", "nowhere: want a data set"),
        ("predict w.pt --out x.npz", "--images"),
        ("predict w.pt --out x.npz --images nowhere", "nowhere"),
        ("apply x.npz --out y.npz", "--sweep"),
        ("sweep x.npz --truth t.npz --conf a,b --out s.csv", "x.npz"),
        ("leaderboard --ledger .", "ledger"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(line, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
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


def python(script, *words, cwd=None):
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("line", ["--help", "score --help", "leaderboard --ledger l.sqlite"])
def test_help_and_the_leaderboard_start_without_torch(line, tmp_path):
    script = (
        "import sys; from harness.cli.main import main; main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules"
    )
    done = python(script, *line.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_scoring_imports_neither_torch_nor_numba_nor_pandas(flow):
    script = (
        "import sys; from harness.cli.main import main; assert main(sys.argv[1:]) == 0;"
        "assert not {'torch', 'numba', 'pandas', 'matplotlib'} & sys.modules.keys()"
    )
    line = "score {run}/final.npz {data} --split test --ledger {root}/l.sqlite"
    done = python(script, *words_of(line, flow))
    assert done.returncode == 0, done.stderr


def test_another_projects_package_in_the_way_is_named(tmp_path):
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "__init__.py").write_text("")
    (tmp_path / "evaluate" / "tables.py").write_text((ROOT / "evaluate" / "tables.py").read_text())
    script = (
        "import sys; sys.path.insert(0, '.');"
        "from harness.cli.main import main; sys.exit(main(['--help']))"
    )
    done = python(script, cwd=tmp_path)
    assert done.returncode == 2 and "use .venv/bin/harness" in done.stderr
