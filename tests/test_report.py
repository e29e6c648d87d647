"""harness.report: one page that needs nothing else, true to its tables, safe whatever the names."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.metrics.matching import match
from evaluate.sweep import sweep_csv
from evaluate.tables import Detections, GroundTruth
from harness.data.dataset import Dataset, load_split
from harness.images.drawing import write_jpeg
from harness.report.gallery import Rating, choose, rate
from harness.report.heat_map import heat_map
from harness.report.page import write_report
from harness.report.plots import save_curves
from harness.run_folder import Run, read_log
from tests.tiny import write_tiny_voc

HOSTILE = '"><script>alert(1)</script>'
VIDEO = ("video.mp4", "video.npz", "video.csv")
FILES = [path.name for path in Run(Path()).described]
RUN_NAME = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.text = [], ""
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def as_detections(truth: GroundTruth, score: float) -> Detections:
    score_column = np.full(len(truth), score, np.float32)
    return Detections(
        truth.image_ids, truth.classes, truth.image, truth.label, truth.xyxy, score_column
    )


def write_log(path: Path) -> Path:
    lines = []
    for epoch in range(2):
        lines += [
            {"epoch": epoch, "step": 2 * epoch + i, "lr": 0.01, "loss": {"box": 1.5, "class": 0.5}}
            for i in range(2)
        ]
        scores = {"model": 0.25 + epoch / 4, "ema": 0.125}
        seconds = {"train": 30.0, "validate": 9.0}
        lines.append(
            {"epoch": epoch, "map": scores, "seconds": seconds, "images_per_second": 15.4321}
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run folder with every file the page reads; its name and a class name try to be HTML."""
    data = write_tiny_voc(tmp_path_factory.mktemp("data") / "tiny")
    escaped = HOSTILE.replace("<", "&lt;")
    for xml in (data / "Annotations").iterdir():
        xml.write_text(xml.read_text().replace("disc", escaped))
    run = tmp_path_factory.mktemp("runs") / RUN_NAME
    run.mkdir()
    test = load_split(data, "test")
    as_detections(test.truth, 0.875).save(run / "final.npz")
    split = {"images": 8, "boxes": 16, "truth_sha256": "0123abcd"}
    origin = {"command": "harness train v5n", "revision": "5f3c9a1", "dirty": True}
    origin |= {"versions": {"numpy": "2.4"}, "device": "cpu", "precision": "float32", "seed": 0}
    origin |= {"train": {"split": "train"} | split, "val": {"split": "val"} | split}
    (run / "run.json").write_text(json.dumps(origin | {"data": str(data)}))
    score = {"metric": "voc-area", "map": 0.81234, "split": "test"}
    score |= {"per_class": {HOSTILE: 0.81234, "square": None}}
    score |= {"images": 4, "truths": 8, "detections": 8, "conf": 0.01, "iou": 0.55}
    (run / "score.json").write_text(json.dumps(score))
    cells = [
        sweep_csv.Cell(conf, iou, conf + iou / 10, 9) for conf in (0.01, 0.5) for iou in (0.4, 0.6)
    ]
    sweep_csv.write_sweep(cells, run / "sweep.csv")
    (run / "recipe.toml").write_text(f"# {HOSTILE}\n")
    write_log(run / "log.jsonl")
    write_jpeg(np.full((20, 30, 3), 99, np.uint8), run / "first_batch.jpg")
    for name in ("best.pt", "last.pt", "val.npz", "test.npz", "submission.csv", *VIDEO):
        (run / name).write_bytes(b"12345")  # their size alone is shown; the video is damaged
    return run


@pytest.fixture
def run(whole_run, tmp_path):
    """A copy to take files away from."""
    return shutil.copytree(whole_run, tmp_path / "runs" / RUN_NAME)


def report(run, tmp_path) -> Page:
    write_report(run, tmp_path / "report.html")
    return Page(tmp_path / "report.html")


def test_the_page_shows_score_photos_classes_sweep_curves_and_origin(run, tmp_path):
    page = report(run, tmp_path)
    assert "0.8123 AP50 on test, 4 photos" in " ".join(page.text.split())
    assert page.count("figure") == 4  # all photos of the split, none twice
    assert page.text.count("2 of 2 found") == 4
    assert page.count("polyline") == 2  # a curve a class
    assert [
        attributes["class"] for _, attributes in page.tags if attributes.get("class") == "best"
    ] == ["best"]
    assert "Training loss" in page.text and "best: 0.5000 at epoch 2" in page.text
    assert "5f3c9a1" in page.text and "0123abcd" in page.text


def test_the_page_says_what_costs_ap_and_which_score_to_trust(run, tmp_path):
    page = report(run, tmp_path)
    text = " ".join(page.text.split())
    assert {a["aria-label"] for tag, a in page.tags if tag == "svg" and "aria-label" in a} >= {
        "What mending each kind of error would add",
        "Precision, recall and F1 over the lowest score",
        "Share of hits at each score",
    }
    assert "best F1: 1.000 from 0.875" in text  # every truth is found by a box scored 0.875
    assert "Mixed upno class taken for another Missed0 of 8 objects False positives0" in text
    assert (
        "Measured on the 8 detections" in text
        and "is 0.1250 (95 % interval over photos 0.1250 to 0.1250), and 0.1250 over those" in text
    )


def test_the_confusion_matrix_has_a_row_a_class_and_one_for_background(run, tmp_path):
    dets = Detections.load(run / "final.npz")
    dets.take(np.arange(1, len(dets))).save(run / "final.npz")  # the first disc is missed
    source = report(run, tmp_path).source
    table = source[source.index('class="heat confusion') :]
    rows = re.findall("<tr><th>.*?</tr>", table[: table.index("</table>")], re.DOTALL)[1:]
    shown = [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall("<td.*?</td>", row)] for row in rows
    ]
    assert shown == [["3", "", "1"], ["", "4", ""], ["", "", ""]]
    right = [["wrong" not in cell for cell in re.findall("<td.*?</td>", row)] for row in rows]
    assert right == [[True, False, False], [False, True, False], [False, False, False]]


def test_detections_that_are_none_still_make_a_page(run, tmp_path):
    Detections.load(run / "final.npz").take(np.zeros(8, bool)).save(run / "final.npz")
    text = " ".join(report(run, tmp_path).text.split())
    assert "Missed8 of 8 objects" in text and "Measured on the 0 detections" in text


def test_the_page_asks_nothing_of_the_network(run, tmp_path):
    page = report(run, tmp_path)
    links = [
        v
        for _, attributes in page.tags
        for k, v in attributes.items()
        if k in ("src", "href", "xlink:href")
    ]
    assert links and all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert all(place.startswith("#") for place in re.findall(r"url\((.*?)\)", page.source))
    assert "@import" not in page.source
    policy = next(
        attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes
    )
    assert policy.startswith("default-src 'none'; img-src data:;") and "script-src" not in policy


def test_names_that_are_html_are_shown_as_text(run, tmp_path):
    page = report(run, tmp_path)
    assert page.count("script") == 0
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert RUN_NAME in page.text and HOSTILE in page.text


@pytest.mark.parametrize("missing", [*FILES, "first_batch.jpg"])
def test_the_page_does_without_any_one_file(run, tmp_path, missing):
    (run / missing).unlink()
    page = report(run, tmp_path)
    assert "</body>" in page.source
    reasons = {"run.json", "video.mp4", "video.npz"}  # that the page gives for a gap
    assert missing not in page.text or missing in reasons


@pytest.mark.parametrize("only", FILES)
def test_the_page_does_with_one_file_alone(run, tmp_path, only):
    for path in run.iterdir():
        if path.name != only:
            path.unlink()
    assert only in report(run, tmp_path).text


@pytest.mark.parametrize(
    ("gone", "headline"),
    [
        ([], "0.8123 AP50 on test, 4 photos"),
        (["score.json"], "0.5600 AP50 on validation, after the sweep"),
        (["score.json", "sweep.csv"], "0.5000 AP50 on validation, epoch 2, model"),
    ],
)
def test_the_headline_is_the_most_final_number_there_is(run, tmp_path, gone, headline):
    for name in gone:
        (run / name).unlink()
    assert headline in " ".join(report(run, tmp_path).text.split())


def test_without_the_photos_the_page_says_so(run, tmp_path):
    origin = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(origin | {"data": str(tmp_path / "moved")}))
    page = report(run, tmp_path)
    assert f"No photos: {tmp_path / 'moved'}: want a data set, nothing is there" in page.text
    assert page.count("figure") == 0


def test_a_folder_that_is_no_run_and_a_damaged_file_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="want the folder of a run"):
        write_report(tmp_path, tmp_path / "report.html")
    (run / "score.json").write_text("")
    with pytest.raises(InputError, match=r"score\.json: want JSON"):
        write_report(run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_same_run_gives_the_same_page(run, tmp_path):
    assert report(run, tmp_path).source == report(run, tmp_path).source


def test_the_curves_file_is_a_png(tmp_path):
    save_curves(write_log(tmp_path / "log.jsonl"), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "log.jsonl"]


def test_a_log_line_cut_short_by_a_kill_is_left_out(tmp_path):
    log = write_log(tmp_path / "log.jsonl")
    log.write_text(log.read_text() + '{"epoch": 2, "st')
    steps, epochs = read_log(log)
    assert (len(steps), len(epochs)) == (4, 2)


def two_photos() -> tuple[Detections, Dataset]:
    """Photo a: two cats, and a difficult one. Photo b: nothing. Boxes are 10 x 10, 20 apart."""
    xyxy = np.array([[x, 0, x + 10, 10] for x in (0, 20, 40, 60)], np.float32)
    truth = GroundTruth(
        ("a", "b"), ("cat",), np.zeros(3), np.zeros(3), xyxy[:3], np.array([False, False, True])
    )
    #        cat 0, cat 0 again, the difficult one, nothing, and one in b
    dets = Detections(
        ("a", "b"),
        ("cat",),
        image=np.array([0, 0, 0, 0, 1]),
        label=np.zeros(5),
        xyxy=xyxy[[0, 0, 2, 3, 0]],
        score=np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
    )
    return dets, Dataset(Path(), None, "test", (Path("a"), Path("b")), truth, ())


def test_a_photo_is_rated_by_hits_false_positives_and_misses():
    dets, data = two_photos()
    # a: of two cats one is hit; its double and the box on nothing are false positives; the
    # difficult one counts neither way
    assert rate(match(dets, data.truth), dets, data) == [Rating(2, 1, 2), Rating(0, 0, 1)]
    assert Rating(2, 1, 2).f1 == 2 / 5  # 2 hits / (2 truths + 3 detections)
    assert Rating(0, 0, 1).f1 == 0
    assert Rating(0, 0, 0).f1 == 1
    above = match(dets, data.truth).above(0.85)
    assert rate(above, dets, data) == [Rating(2, 1, 0), Rating(0, 0, 0)]


def test_the_gallery_takes_the_worst_first_then_the_best_and_no_photo_twice():
    ratings = [Rating(4, hits, 0) for hits in (4, 0, 2, 3, 1, 4, 2, 3, 0, 2, 1)]
    ratings.append(Rating(9, 9, 0))
    chosen = choose(ratings)
    assert chosen["Best"] == [11, 0, 5]  # the one with more objects first
    assert chosen["Worst"] == [1, 8, 4]
    rows = sum(chosen.values(), [])
    assert len(rows) == len(set(rows)) == 9
    assert list(chosen) == ["Worst", "Drawn by lot", "Best"]
    assert choose(ratings) == chosen
    assert choose(ratings[:2]) == {"Best": [0, 1]}


def test_cells_that_may_be_as_good_as_the_best_are_marked(run, tmp_path):
    best, level, behind = (
        sweep_csv.Cell(0.01, iou, 0.9 - iou / 10, 9, low, 0.1)
        for iou, low in ((0.4, 0.0), (0.5, -0.01), (0.6, 0.01))
    )
    sweep_csv.write_sweep([best, level, behind], run / "sweep.csv")
    page = report(run, tmp_path)
    marked = [
        a.get("class") for tag, a in page.tags if tag == "td" and "--heat" in a.get("style", "")
    ]
    assert marked[-3:] == ["best", "close", None]
    assert "1 more, in dots, cannot be told from it" in " ".join(page.text.split())


def test_thresholds_of_each_class_are_shown_where_they_are_what_was_applied(run, tmp_path):
    cells = [sweep_csv.Cell(0.01, 0.5, 0.9, 9)]
    sweep_csv.write_sweep(
        cells, run / "sweep.csv", [sweep_csv.ClassCell("disc", 0.125, 0.625, 0.5, 3)]
    )
    text = " ".join(report(run, tmp_path).text.split())
    assert "each class's own best pair is applied" in text and "Thresholdseach class's own" in text
    assert "disc0.1250.6250.5000" in text
    sweep_csv.write_sweep(cells, run / "sweep.csv")
    text = " ".join(report(run, tmp_path).text.split())
    assert "it is chosen here and applied" in text and "Thresholdsscore 0.01, NMS 0.5" in text


def test_colours_of_the_sweep_part_the_cells_near_the_best():
    cells = [sweep_csv.Cell(0.1, 0.5, ap, 9) for ap in (0.9, 0.899, 0.89, 0.8)]
    shown = heat_map([replace(cell, conf=i / 10) for i, cell in enumerate(cells)])
    best, near, far, last = (shown.heat(cell) for cell in cells)
    assert (best, last) == (1, 0)
    assert best - near > 0.1 and near - far > 0.1 and far - last > 0.1
    assert heat_map(cells[:1]).heat(cells[0]) == 1
