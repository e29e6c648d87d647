"""`harness video`, from weights to a video, a CSV and a table."""

import importlib.util
import json
import sys

import numpy as np
import pytest

pytest.importorskip("av")

from evaluate.tracking.video_detections import VideoDetections  # noqa: E402
from harness.build import build
from harness.cli.main import main  # noqa: E402
from harness.recipe import load_recipe  # noqa: E402
from harness.weights import checkpoint  # noqa: E402
from submit.csv import formats  # noqa: E402
from tests.clips import Clip, contents, write_clip  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip, and random weights that see something everywhere."""
    folder = tmp_path_factory.mktemp("video")
    write_clip(folder / "clip.mp4", Clip(times=list(range(8))))
    recipe = load_recipe("v5n", ["image_size=64", "weights="])
    model = build(recipe, ("disc", "square"))
    for name, value in model.state_dict().items():
        if name in model.class_rows() and name.endswith("bias"):
            value.view(3, 7)[:, 4:] += 4.5  # scores of all sizes
    checkpoint.save(
        checkpoint.describe(recipe, model) | {"state": model.state_dict()}, folder / "w.pt"
    )
    return folder


def video(folder, *words):
    return main(["video", *map(str, words), "--out", str(folder / "out.mp4")])


def test_weights_and_a_clip_make_a_video_a_csv_and_a_table(folder, capsys):
    files = ["--csv", folder / "out.csv", "--npz", folder / "out.npz"]
    assert video(folder, folder / "w.pt", folder / "clip.mp4", "--conf", "0.001", *files) == 0
    assert "out.mp4: 8 frames" in capsys.readouterr().out
    assert len(contents(folder / "out.mp4").images) == 8
    table, csv = (
        VideoDetections.load(folder / "out.npz"),
        formats.read_submission(folder / "out.csv"),
    )
    assert table.time.tolist() == pytest.approx([n / 25 for n in range(8)])
    assert csv.image_ids == tuple(f"frame_{n}.jpg" for n in range(8)) and len(csv) == len(table) > 0
    assert (
        (folder / "out.csv").read_text().startswith("id,image_id,prediction_list\n1,frame_0.jpg,")
    )


def test_the_video_and_the_csv_have_sure_boxes_and_the_table_weak_ones_too(folder):
    files = ["--csv", folder / "out.csv", "--npz", folder / "out.npz"]
    assert video(folder, folder / "w.pt", folder / "clip.mp4", "--conf", "0.2", *files) == 0
    table, csv = (
        VideoDetections.load(folder / "out.npz"),
        formats.read_submission(folder / "out.csv"),
    )
    assert (
        0.05 <= table.score.min() < 0.2 <= csv.score.min()
        and len(csv) == (table.score >= 0.2).sum() > 0
    )


def test_a_frame_without_boxes_is_an_empty_list_in_the_csv(folder):
    assert (
        video(
            folder,
            folder / "w.pt",
            folder / "clip.mp4",
            "--conf",
            "1",
            "--csv",
            folder / "none.csv",
        )
        == 0
    )
    assert (folder / "none.csv").read_text().splitlines()[1] == "1,frame_0.jpg,[]"


def test_a_table_is_drawn_again_and_scored_like_any_other(folder, capsys):
    assert (
        video(
            folder,
            folder / "w.pt",
            folder / "clip.mp4",
            "--conf",
            "0.001",
            "--npz",
            folder / "t.npz",
        )
        == 0
    )
    table = VideoDetections.load(folder / "t.npz")
    assert (
        video(
            folder,
            "--from",
            folder / "t.npz",
            folder / "clip.mp4",
            "--csv",
            folder / "t.csv",
            "--conf",
            "0",
        )
        == 0
    )
    assert len(formats.read_submission(folder / "t.csv")) == len(table)
    capsys.readouterr()
    words = ["score", str(folder / "t.npz"), "--truth", str(truth_of(table, folder)), "--json"]
    assert main([*words, "--ledger", str(folder / "l.sqlite")]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 8


def truth_of(table, folder):
    from evaluate.tables import GroundTruth

    path = folder / "truth.npz"
    hard = np.zeros(len(table), bool)
    GroundTruth(table.image_ids, table.classes, table.image, table.label, table.xyxy, hard).save(
        path
    )
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["clip.mp4"], "want WEIGHTS INPUT"),
        (["--from", "t.npz", "w.pt", "clip.mp4"], "want WEIGHTS INPUT"),
        (["w.pt", "nowhere.mp4"], "nowhere.mp4: no such file"),
        (["w.pt", "w.pt"], "want a video, FFmpeg cannot read this file"),
        (["--from", "clip.mp4", "clip.mp4"], "clip.mp4: want a .npz table"),
        (["w.pt", "clip.mp4", "--track", "--out", "x.avi"], "want a video ending in"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(words, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    out = [] if "--out" in words else ["--out", "x.mp4"]
    assert main(["video", *words, *out]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("harness:")]
    assert len(lines) == 1 and says in lines[0]
    assert not (folder / "x.mp4").exists()


@pytest.mark.parametrize(
    ("package", "words"),
    [("av", ["w.pt", "clip.mp4"]), ("yt_dlp", ["w.pt", "http://127.0.0.1:9/clip.mp4"])],
)
def test_a_package_that_is_missing_is_named_with_what_to_install(
    package, words, folder, capsys, monkeypatch
):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find_spec(name, *rest),
    )
    for name in [name for name in sys.modules if name.startswith("harness.video")]:
        monkeypatch.delitem(sys.modules, name)
    assert video(folder, *words) == 2
    assert "pip install" in capsys.readouterr().err
