"""harness.report.leaderboard: one table as text, as JSON, and as a page that sorts and filters."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.board import Board, BoardEntry, make_board
from harness.report.board_charts import Axis, over_time
from harness.report.leaderboard import board_json, board_text, write_board
from submit.kaggle.standing import PublicLeaderboard
from tests import chromium
from tests.rows import ROW, SENT
from tests.test_report import HOSTILE, Page

SCORES = [
    replace(ROW, id=1, name="v5m/val.npz", map=0.71, interval=None),
    replace(
        ROW, id=2, name="v5l/val.npz", map=0.7487, dirty=False, detections_path="runs/v 5l/val.npz"
    ),
    replace(ROW, id=3, name="v5l/val.npz", map=0.5, metric="coco", conf=None, iou=None, recipe={}),
    replace(
        ROW,
        id=4,
        name=HOSTILE,
        map=0.4295,
        time="2030-01-01T00:00:00+00:00",
        recipe={"model": HOSTILE},
    ),
]
SUBMISSIONS = [
    replace(SENT, id=1, score_id=2, state="complete", ref=11, public=0.7819, private=0.76),
    replace(SENT, id=2, score_id=1, state="complete", ref=12, public=0.69),
    replace(SENT, id=3, score_id=None, state="pending", ref=13),
]
TEAMS = PublicLeaderboard("voc", tuple(n / 100 for n in range(80, 60, -1)))  # 0.80 to 0.61
BROWSER = pytest.mark.skipif(chromium.NAME is None, reason="no Chromium")


def test_the_best_is_first_and_each_metric_is_ranked_by_itself():
    rows = make_board(SCORES, SUBMISSIONS).entries
    assert [(row.rank, row.metric, row.map) for row in rows] == [
        (1, "coco", 0.5),
        (1, "voc-area", 0.7487),
        (2, "voc-area", 0.71),
        (3, "voc-area", 0.4295),
        (None, None, None),
    ]
    assert [(row.public, row.state) for row in rows] == [
        (None, None),
        (0.7819, "complete"),
        (0.69, "complete"),
        (None, None),
        (None, "pending"),
    ]
    assert [row.gap and round(row.gap, 4) for row in rows] == [None, -0.0332, 0.02, None, None]


def test_a_score_that_was_submitted_twice_has_two_rows():
    again = replace(SUBMISSIONS[0], id=4, ref=14, public=0.79)
    rows = make_board(SCORES[1:2], [SUBMISSIONS[0], again]).entries
    assert [(row.rank, row.public) for row in rows] == [(1, 0.7819), (1, 0.79)]


def test_a_submission_that_never_arrived_is_not_on_the_board():
    rows = make_board(
        SCORES[:1],
        [replace(SUBMISSIONS[1], state="failed"), replace(SUBMISSIONS[2], state="failed")],
    ).entries
    assert [(row.name, row.state) for row in rows] == [("v5m/val.npz", None)]


def test_the_text_is_aligned_and_says_everything():
    heading, *lines = board_text(make_board(SCORES, SUBMISSIONS)).splitlines()
    assert heading.split()[:7] == ["rank", "run", "score", "interval", "public", "private", "gap"]
    assert [line.split()[:2] for line in lines[:3]] == [
        ["1", "v5l/val.npz"],
        ["1", "v5l/val.npz"],
        ["2", "v5m/val.npz"],
    ]
    best, command = lines[1].split("  harness ")
    assert command == "score x.npz"
    assert best.split()[2:] == [
        *("0.7487", "0.7200-0.7700", "0.7819", "0.7600", "-0.0332", "val", "voc-area"),
        *("0.01", "0.55", "1254", "99", "abc1234", "2030-01-02", "03:04"),
    ]
    assert lines[2].split()[-8] == "99" or "abc1234+" in lines[2]
    assert [line.index("val  ") for line in lines[:4]] == [heading.index("split")] * 4
    assert lines[4].split() == ["v5l/submission.csv", "pending", "2030-01-02", "03:04"]


def test_an_empty_ledger_is_a_heading():
    assert board_text(Board([])).splitlines() == [board_text(Board([]))] and board_text(
        Board([])
    ).startswith("rank")
    assert board_json(Board([])) == {"rows": [], "leaderboard": None}


def test_json_has_every_field():
    board = json.loads(json.dumps(board_json(make_board(SCORES, SUBMISSIONS, TEAMS))))
    best = board["rows"][1]
    assert (best["name"], best["map"], best["stands"]) == ("v5l/val.npz", 0.7487, 3)
    assert best["interval"] == [0.72, 0.77]
    assert best["recipe"] == {"size": 640, "anchors": [[10, 13]]}
    assert (best["ref"], best["competition"]) == (11, "voc")
    assert board["leaderboard"]["teams"] == 20
    assert board["leaderboard"]["medals"]["gold"] == {"rank": 2, "score": 0.79}


def test_a_score_stands_by_its_public_score_or_else_its_local_one():
    board = make_board(SCORES, SUBMISSIONS, TEAMS)
    rows = board.entries
    # public 0.7819 is behind 0.80 and 0.79; public 0.69 behind 0.80 ... 0.69; local 0.5 behind all
    assert [(row.stands, row.medal) for row in rows] == [
        (21, ""),
        (3, "silver"),
        (13, ""),
        (21, ""),
        (None, None),
    ]
    text = board_text(board).splitlines()
    assert (
        text[-4]
        == "voc has 20 teams; the last rank that earns a medal, if the competition gives any:"
    )
    assert text[-3:] == [
        "gold    rank     2  score 0.79",
        "silver  rank     4  score 0.77",
        "bronze  rank     8  score 0.73",
    ]
    elsewhere = [replace(SUBMISSIONS[0], competition="coco")]
    assert make_board(SCORES[1:2], elsewhere, TEAMS).entries[0].stands is None


def test_the_page_needs_nothing_but_its_own_script(tmp_path):
    write_board(make_board(SCORES, SUBMISSIONS, TEAMS), tmp_path / "board.html")
    page = Page(tmp_path / "board.html")
    assert page.count("script") == 1 and page.count("tr") == 6 and HOSTILE in page.text
    script = re.search("<script>(.*?)</script>", page.source, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(
        attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes
    )
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    links = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert links and all(link.startswith("#row-") for link in links)


def test_a_run_with_a_report_is_a_link_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/v 5l", "pages"):
        Path(folder).mkdir(parents=True)
    Path("runs/v 5l/report.html").write_text("")
    write_board(make_board(SCORES, SUBMISSIONS), Path("pages/board.html"))
    links = [
        attributes["href"] for tag, attributes in Page(Path("pages/board.html")).tags if tag == "a"
    ]
    assert [link for link in links if not link.startswith("#")] == ["../runs/v%205l/report.html"]


def test_charts_are_left_out_while_they_would_be_empty(tmp_path):
    for scores, submissions, charts in (
        ([], [], 0),
        (SCORES, [], 1),
        (SCORES[:1], SUBMISSIONS[1:2], 2),
    ):
        write_board(make_board(scores, submissions), tmp_path / "board.html")
        page = Page(tmp_path / "board.html")
        assert page.count("svg") == charts
        assert ("No submission has a public score yet" in page.text) == (charts < 2)


def test_ticks_are_round_values_inside_the_axis():
    axis = Axis(0.695, 0.785, 100, 0)
    # a fifth of 0.09 is 0.018, so the step is 0.02; 0.70 lies 0.005 of 0.09 from the start
    assert [text for _, text in axis.ticks()] == ["0.7", "0.72", "0.74", "0.76", "0.78"]
    assert axis.ticks()[0][0] == round(100 - 100 * 0.005 / 0.09, 1)


def test_the_line_of_the_best_so_far_is_a_staircase():
    fields = {"truth_sha256": "x", "metric": "voc-area", "split": "val", "name": "", "path": ""}
    days, scores = (1, 3, 7), (0.1, 0.5, 0.3)
    entries = [
        BoardEntry(time=f"2030-01-{day:02}T00:00:00+00:00", map=score, **fields)
        for day, score in zip(days, scores)
    ]
    chart = over_time(entries)
    first, second, third = ((point.x, point.y) for point in chart.points)
    corners = [first, (second[0], first[1]), second, (third[0], second[1])]
    assert chart.lines == [(0, " ".join(f"{x},{y}" for x, y in corners))]


@pytest.fixture(scope="module")
def chromium_page(tmp_path_factory):
    with chromium.Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def browser(chromium_page, tmp_path):
    """The page, open, and without a complaint on the console in the end."""
    write_board(make_board(SCORES, SUBMISSIONS, TEAMS), tmp_path / "board.html")
    chromium_page.open(tmp_path / "board.html")
    yield chromium_page
    assert chromium_page.complaints == []


def column(page, name):
    """Text of a column, of the rows that can be seen."""
    return page.run(
        f"[...document.querySelectorAll('tbody tr')].filter(row => row.checkVisibility())"
        f".map(row => row.querySelector('td.{name}').textContent)"
    )


def press(page, name):
    page.run(
        f"[...document.querySelectorAll('thead button')]"
        f".find(button => button.textContent === '{name}').click()"
    )


@BROWSER
def test_in_a_browser_headings_sort_numbers_as_numbers_with_gaps_last(browser):
    press(browser, "score")
    assert column(browser, "score") == ["0.7487", "0.7100", "0.5000", "0.4295", ""]
    press(browser, "score")
    assert column(browser, "score") == ["0.4295", "0.5000", "0.7100", "0.7487", ""]
    assert browser.run("document.querySelector('[aria-sort]').ariaSort") == "ascending"
    press(browser, "stands")
    assert column(browser, "stands") == ["21", "21", "13", "3 silver", ""]
    press(browser, "run")
    assert column(browser, "run")[-1] == "v5m/val.npz"
    assert browser.run("document.querySelectorAll('[aria-sort]').length") == 1


@BROWSER
def test_in_a_browser_the_filter_keeps_rows_and_points_with_every_word(browser):
    points = (
        "[...document.querySelectorAll('[data-row]')]"
        ".filter(point => point.checkVisibility()).length"
    )
    assert browser.run(points) == 4 + 2
    assert browser.run("document.querySelector('output').textContent") == ""
    browser.run("document.querySelector('#filter').focus()")
    browser.type("V5L coco")
    assert column(browser, "score") == ["0.5000"] and browser.run(points) == 1
    assert browser.run("document.querySelector('output').textContent") == "1 of 5"
    browser.type("x")
    assert column(browser, "score") == [] and browser.run(points) == 0


@BROWSER
def test_in_a_browser_the_keyboard_alone_filters_sorts_and_follows_a_point(browser):
    for _ in range(4 + 2 + 1):  # every point of two charts, then the filter
        browser.press("Tab")
    assert browser.run("document.activeElement.id") == "filter"
    for _ in range(1 + 3):  # the table, which scrolls, then its third heading
        browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "score"
    browser.press("Enter", "\r")
    assert column(browser, "score")[0] == "0.7487"
    browser.run("document.querySelector('[data-row=\"2\"]').focus()")
    browser.press("Enter", "\r")
    assert browser.run("document.querySelector('tr:target .run').textContent") == "v5m/val.npz"


@BROWSER
def test_in_a_browser_names_that_are_html_are_text(browser):
    assert column(browser, "run")[3] == HOSTILE and column(browser, "model")[3] == HOSTILE
    assert (
        browser.run("document.scripts.length") == 1 and browser.run("document.images.length") == 0
    )
    assert browser.run("document.querySelectorAll('title')[4].textContent").startswith(HOSTILE)


@BROWSER
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser_a_narrow_page_in_light_and_dark_does_not_scroll_sideways(
    browser, tmp_path, dark
):
    browser.open(tmp_path / "board.html", width=360, dark=dark)
    assert (
        browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        == 0
    )
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    ink = browser.run("getComputedStyle(document.querySelector('.charts text')).fill")
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
    assert (brightness[0] < brightness[1]) == dark and abs(brightness[0] - brightness[1]) > 300
