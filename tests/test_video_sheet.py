"""harness.report.video_sheet: the moments of a video on the page of a run."""

import base64
import importlib.util
import re
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("av")

from evaluate.tracking.video_detections import VideoDetections  # noqa: E402
from harness.report.page import write_report  # noqa: E402
from harness.report.video_sheet import _clock  # noqa: E402
from tests.clips import Clip, number_in, write_clip  # noqa: E402

FRAMES = 250
BUSY = {40: 5, 120: 7, 200: 6}  # frame: number of confident boxes; one elsewhere
UNSURE = {80: 0.5, 160: 0.45, 240: 0.7}  # frame: score of its box


def detections(track=0):
    ids = tuple(f"frame_{i}.jpg" for i in range(FRAMES))
    boxes = np.ones(FRAMES, int)
    boxes[list(BUSY)] = list(BUSY.values())
    image = np.repeat(np.arange(FRAMES), boxes)
    score = np.full(len(image), 0.98)
    for frame, unsure in UNSURE.items():
        score[image == frame] = unsure
    xyxy = np.tile((5, 5, 30, 40), (len(image), 1))
    time, shot = np.arange(FRAMES) / 25, np.zeros(FRAMES)
    return VideoDetections(
        ids,
        ("cat",),
        image,
        np.zeros(len(image)),
        xyxy,
        score,
        time,
        shot,
        np.full(len(image), track),
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(
        tmp_path_factory.mktemp("clip") / "clip.mp4", Clip(times=list(range(FRAMES)), sounds=())
    )


@pytest.fixture
def run(clip, tmp_path):
    """A folder with a video and its table, and nothing else of a run."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "video.mp4").write_bytes(clip.read_bytes())
    detections().save(run / "video.npz")
    return run


def section(run):
    """The source of the page's part about the video, with single spaces."""
    write_report(run, run / "report.html")
    source = (run / "report.html").read_text(encoding="utf-8")
    start = source.index("<h2>Video</h2>")
    return " ".join(source[start : source.index("</section>", start)].split())


def text(source):
    return re.sub("<[^>]+>", "", source)


def numbers(source):
    """Of the frames on the page."""
    encoded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', source)
    return [
        number_in(cv2.imdecode(np.frombuffer(base64.b64decode(e), np.uint8), 1)) for e in encoded
    ]


def test_the_page_shows_the_busiest_and_the_least_certain_moments(run):
    source = section(run)
    assert numbers(source) == [120, 200, 40, 80, 160, 240]
    most, unsure = source.split("<h3>")[1:]
    assert re.findall(r"<figcaption>(.*?) <", most) == [
        "0:04.8 · 7 boxes scored 0.98, 0.14 bit",
        "0:08.0 · 6 boxes scored 0.98, 0.14 bit",
        "0:01.6 · 5 boxes scored 0.98, 0.14 bit",
    ]
    assert re.findall(r"<figcaption>(.*?) <", unsure) == [
        "0:03.2 · 1 box scored 0.50, 1.00 bit",
        "0:06.4 · 1 box scored 0.45, 0.99 bit",
        "0:09.6 · 1 box scored 0.70, 0.88 bit",
    ]
    assert (
        'alt="The video at 0:04.8, 7 boxes scored 0.98, 0.14 bit"' in most
        and "frame_120.jpg" in most
    )
    assert source.count("--aspect: 1.3333") == 6


def test_the_section_says_how_much_was_seen_and_how_far_apart_moments_are(run):
    shown_text = text(section(run))
    assert "250 frames in 0:10.0, with 265 boxes. " in shown_text  # 247 + 5 + 7 + 6
    assert (
        "any two moments are more than 0.8 s apart" in shown_text
        and "Counted are boxes scored 0.25 or more" in shown_text
    )


def test_scores_of_several_boxes_are_given_as_a_range(run):
    table = detections()
    table.score[table.image == 120] = np.linspace(0.4, 0.6, 7)
    table.save(run / "video.npz")
    assert "0:04.8 · 7 boxes scored 0.40 to 0.60, 0.99 bit" in text(section(run))


def test_no_moment_is_shown_twice(run):
    table = detections()
    table.score[table.image == 120] = 0.5
    table.save(run / "video.npz")
    assert numbers(section(run)) == [120, 200, 40, 80, 160, 240]


def test_boxes_that_the_video_does_not_show_are_left_out(run):
    table = detections()
    table.score[table.image == 120] = 0.24
    table.save(run / "video.npz")
    source = section(run)
    assert numbers(source)[:2] == [200, 40] and "with 258 boxes." in text(source)


def test_objects_that_were_tracked_all_count(run):
    table = detections(track=3)
    table.score[table.image == 120] = 0.24
    table.save(run / "video.npz")
    source = section(run)
    assert numbers(source)[0] == 120 and "265 boxes of 1 object." in text(source)
    assert "mean over all its sightings" in text(source) and "Counted are" not in text(source)


def test_the_files_are_listed(run):
    (run / "video.csv").write_bytes(b"12345")
    section(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<th><code>(.*?)</code>", page) == ["video.mp4", "video.npz", "video.csv"]


def test_a_video_in_which_nothing_was_found_has_no_moments(run):
    detections().take(np.zeros(0, int)).save(run / "video.npz")
    source = section(run)
    assert text(source).strip() == "Video 250 frames in 0:10.0, with 0 boxes."


def test_a_run_without_a_video_has_no_such_section(run):
    for name in ("video.mp4", "video.npz"):
        (run / name).unlink()
    (run / "recipe.toml").write_text("")
    write_report(run, run / "report.html")
    assert "<h2>Video" not in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("video.mp4", None, "video.mp4 is missing, which `harness video --out` writes"),
        ("video.npz", None, "video.npz is missing, which `harness video --npz` writes"),
        (
            "video.mp4",
            b"12345",
            "video.mp4: want a video, FFmpeg cannot read this file: Invalid data",
        ),
        (
            "video.npz",
            b"12345",
            "video.npz: want a .npz table, this file is something else or damaged",
        ),
    ],
)
def test_half_a_video_is_one_line_on_the_page(name, content, says, run):
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    source = section(run)
    assert "No stills: " in source and says in source and source.count("<p") == 1


def test_without_pyav_the_page_says_what_to_install(run, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "av" else find_spec(name, *rest),
    )
    for name in [name for name in sys.modules if name.startswith("harness.video")]:
        monkeypatch.delitem(sys.modules, name)
    assert "No stills: video: want the package PyAV" in section(
        run
    ) and "pip install av" in section(run)


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, "0:00.0"), (9.96, "0:10.0"), (59.97, "1:00.0"), (3725.34, "62:05.3")]
)
def test_times_are_minutes_seconds_and_tenths(seconds, says):
    assert _clock(seconds) == says
