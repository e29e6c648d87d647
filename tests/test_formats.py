"""submit.csv.formats: the CSV by hand, round trips, and every trap that a submission has fallen
into.
"""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluate.exceptions import BadRows, InputError
from evaluate.metrics.voc import voc_map
from evaluate.tables import Detections
from submit.csv import rows as submission_rows
from submit.csv.formats import read_submission, write_submission
from submit.csv.profile import load_profile
from submit.csv.rows import Columns
from tests.oracles import detections, random_tables, truths

HEADER = "id,image_id,prediction_list\n"
WANTED = "line 1: want the header id,image_id,prediction_list, there is"


def saved(tmp_path, text, name="s.csv"):
    (tmp_path / name).write_text(text, newline="", encoding="utf-8")
    return tmp_path / name


def one_cell(tmp_path, cell):
    quoted = cell.replace('"', '""')
    return saved(tmp_path, f'{HEADER}1,a.jpg,"{quoted}"\n')


def problems(path, *args, **kwargs):
    with pytest.raises(BadRows) as caught:
        read_submission(path, *args, **kwargs)
    return caught.value.problems


def as_rows(table):
    names = [table.classes[label] for label in table.label]
    ids = [table.image_ids[image] for image in table.image]
    return sorted(zip(ids, names, table.score.tolist(), map(tuple, table.xyxy.tolist())))


def test_the_file_to_the_byte(tmp_path):
    # edges (47, 239, 195, 371) are VOC's inclusive pixels 48 ... 195 and 240 ... 371
    dets = detections((0, 0, 0.25, 0, 0, 1, 1), (0, 1, 0.9123456, 47, 239, 195, 371.129))
    write_submission(dets, tmp_path / "new" / "s.csv")
    assert (tmp_path / "new" / "s.csv").read_bytes().decode() == (
        f"{HEADER}"
        "1,a,\"[['dog', 0.91235, 48.00, 240.00, 195.00, 371.13], ['cat', 0.25000, 1.00, 1.00, "
        '1.00, 1.00]]"\n'
        "2,b,[]\n"
    )
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["s.csv"]


@pytest.mark.parametrize("seed", range(5))
def test_a_table_comes_back_and_is_written_again_to_the_byte(tmp_path, seed):
    dets, truth = random_tables(seed)
    dets = dets.take((dets.xyxy[:, 2:] - dets.xyxy[:, :2] >= 1).all(axis=1))
    write_submission(dets, tmp_path / "s.csv")
    back = read_submission(tmp_path / "s.csv", dets.classes)
    assert (back.image_ids, back.classes) == (dets.image_ids, dets.classes)
    assert as_rows(back) == as_rows(dets)
    assert voc_map(back, truth).per_class == voc_map(dets, truth).per_class
    write_submission(back, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "s.csv").read_bytes()


@given(
    st.lists(
        st.tuples(
            *[st.floats(-50, 5000, width=32)] * 2,
            *[st.floats(0, 500, width=32)] * 2,
            st.floats(0, 1),
        )
    )
)
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_rounding_keeps_the_order_and_turns_no_box_inside_out(tmp_path, boxes):
    rows = [(0, 0, score, x, y, x + width, y + height) for x, y, width, height, score in boxes]
    dets = detections(*rows)
    write_submission(dets, tmp_path / "s.csv")
    back = read_submission(tmp_path / "s.csv", dets.classes)
    assert (np.diff(back.score) <= 0).all()
    assert (back.xyxy[:, 2:] - back.xyxy[:, :2] > 0.998).all()  # one pixel, but for float32
    ranked = dets.take(np.argsort(-dets.score, kind="stable"))
    np.testing.assert_allclose(back.score, ranked.score, atol=6e-6)
    np.testing.assert_allclose(back.xyxy[:, :2], ranked.xyxy[:, :2], atol=1.1e-2)
    wide = ranked.xyxy[:, 2:] - ranked.xyxy[:, :2] >= 1
    np.testing.assert_allclose(back.xyxy[:, :2][wide], ranked.xyxy[:, :2][wide], atol=6e-3)
    np.testing.assert_allclose(back.xyxy[:, 2:][wide], ranked.xyxy[:, 2:][wide], atol=7e-3)


def test_a_box_under_one_pixel_becomes_one_pixel(tmp_path):
    write_submission(detections((0, 0, 0.5, 10, 20, 10.25, 20)), tmp_path / "s.csv")
    assert "11.00, 21.00, 11.00, 21.00" in (tmp_path / "s.csv").read_text()
    assert read_submission(tmp_path / "s.csv").xyxy.tolist() == [[10, 20, 11, 21]]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4, unique=True)
)
@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_class_and_image_names_survive(tmp_path, names):
    images = tuple(name + "x" for name in names)
    n = np.arange(len(names))
    dets = Detections(
        images, tuple(names), n, n, np.tile([0, 0, 5, 5], (len(n), 1)), np.full(len(n), 0.5)
    )
    write_submission(dets, tmp_path / "s.csv")
    assert (
        as_rows(read_submission(tmp_path / "s.csv", names))
        == as_rows(read_submission(tmp_path / "s.csv"))
        == as_rows(dets)
    )


@pytest.mark.parametrize(
    "name",
    ["it's", 'a "dog"', "a, b", "'", '"', '", "', "', '", "it\\'s", "d\\og", "é", "%s {}", "\n"],
)
def test_awkward_class_names_survive(tmp_path, name):
    dets = Detections(("a",), (name,), [0], [0], [[0, 0, 5, 5]], [0.5])
    write_submission(dets, tmp_path / "s.csv")
    assert as_rows(read_submission(tmp_path / "s.csv")) == as_rows(dets)


@pytest.mark.parametrize(
    "cell",
    [
        "[['dog', 0.5, 1, 1, 5, 5]]",
        '[["dog", 0.5, 1, 1, 5, 5]]',
        "[['dog', .5, 1., 1, 5e0, 5]]",
        " [ [ 'd' 'og',0.50,\n1,1,5,5 ] ] ",
        '[["dog", 0.5, 1, 1, 5, 5,],]',
        "[['d\\x6fg', 0.5, 1, 1, 5, 5]]",
    ],
)
def test_other_ways_to_write_the_same_list_are_read(tmp_path, cell):
    assert as_rows(read_submission(one_cell(tmp_path, cell))) == [
        ("a.jpg", "dog", 0.5, (0, 0, 5, 5))
    ]


def test_an_escaped_quote_is_not_swapped(tmp_path):
    assert read_submission(one_cell(tmp_path, r"[['it\'s', 0.5, 1, 1, 5, 5]]")).classes == ("it's",)


@pytest.mark.parametrize("cell", ["", " ", "[]", " [ ] "])
def test_an_empty_cell_is_an_image_without_boxes(tmp_path, cell):
    back = read_submission(one_cell(tmp_path, cell))
    assert (back.image_ids, len(back)) == (("a.jpg",), 0)


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        (
            "[['dog', np.float32(0.9), 1, 1, 5, 5]]",
            "want a Python list, .*write plain numbers: NumPy prints",
        ),
        ("[['dog', 0.9, 1, 1, 5, 5]", "want a Python list, there is "),
        ("dog 0.9 1 1 5 5", "want a Python list"),
        ("{'dog': 1}", "want a Python list"),
        ("0.9", "want a Python list"),
        ("None", "want a Python list"),
        ("[" * 100_000, "want a Python list"),
        ("-" * 100_000 + "1", "want a Python list"),
        (
            "['dog', 0.9, 1, 1, 5, 5]",
            r"box 1 of 6: want \[class, score, xmin, ymin, xmax, ymax\], there is dog",
        ),
        ("[['dog', 0.9, 1, 1, 5, 5], ['dog', 0.9, 1, 1, 5]]", "box 2 of 2: want .class, score"),
        ("[['dog', 0.9, 1, 1, 5, 5, 5]]", "box 1 of 1: want .class, score"),
        ("[('dog', 0.9, 1, 1, 5, 5)]", "box 1 of 1: want .class, score"),
        ("[[1, 0.9, 1, 1, 5, 5]]", "want the class as a string"),
        ("[['Dog', 0.9, 1, 1, 5, 5]]", "unknown class, there is .'Dog'"),
        ("[['dog', '0.9', 1, 1, 5, 5]]", "want five numbers"),
        ("[['dog', True, 1, 1, 5, 5]]", "want five numbers"),
        ('[["dog", true, 1, 1, 5, 5]]', "want five numbers"),
        ("[['dog', None, 1, 1, 5, 5]]", "want five numbers"),
        ("[['dog', nan, 1, 1, 5, 5]]", "want a Python list"),
        ("[['dog', 1e999, 1, 1, 5, 5]]", "want a score from 0 to 1"),
        ("[['dog', -0.1, 1, 1, 5, 5]]", "want a score from 0 to 1"),
        (
            "[['dog', 0.5, 1, 1, 5, 5], ['dog', 91, 1, 1, 5, 5]]",
            "box 2 of 2: want a score .*, there is .'dog', 91",
        ),
        ("[['dog', 0.5, 1, 1, 1e999, 5]]", "want corners in pixels"),
        (f"[['dog', 0.5, 1, 1, 5, 1{'0' * 400}]]", "int too large"),
        (
            "[['dog', 2, 1, 1, 5, 5], ['dog', 1, 1, 1, 5, 5], ['dog', -1, 1, 1, 5, 5]]",
            "box 1 of 3.*, and 1 more like it$",
        ),
        ("[['dog', 0.5, 5, 1, 4, 5]]", "want xmin <= xmax and ymin <= ymax"),
        ("[['dog', 0.5, 1, 5, 5, 4]]", "want xmin <= xmax and ymin <= ymax"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, cell, wrong):
    (problem,) = problems(one_cell(tmp_path, cell), ["dog"])
    assert problem.startswith("line 2, id 1, image a.jpg: ")
    assert len(problem) < 250
    with pytest.raises(BadRows, match=wrong):
        read_submission(one_cell(tmp_path, cell), ["dog"])


def test_every_bad_row_is_reported_at_once_by_its_line(tmp_path):
    path = saved(
        tmp_path,
        HEADER
        + "1,a,\"[['dog', 2, 1, 1, 5, 5]]\"\n"
        + '2,b,"[\n]"\n'  # spans lines 3 and 4
        + "3,a,[]\n"
        + "2,c,[]\n"
        + "9,d,[]\n"
        + "\n"
        + "6,zz,[]\n"
        + "7,e,[],\n",
    )
    assert problems(path, ["dog"], image_ids=list("abcdefg")) == [
        "line 2, id 1, image a: box 1 of 1: want a score from 0 to 1, there is ['dog', 2, 1, 1, 5, "
        "5]",
        "line 5, id 3, image a: the image is on line 2 already",
        "line 6, id 2, image c: the id is on line 3 already",
        "line 7, id 9, image d: want an id from 1 to 7",
        "line 9, id 6, image zz: unknown image",
        "line 10, id 7, image e: want 3 columns, there are 4: is the cell in quotes?",
        "image f has no row",
        "image g has no row",
    ]
    with pytest.raises(BadRows, match=r"s.csv: line 2, .*; line 5, .*; image g has no row$"):
        read_submission(path, ["dog"], image_ids=list("abcdefg"))


def test_the_message_names_ten_bad_rows_and_counts_the_others(tmp_path):
    path = saved(tmp_path, HEADER + "".join(f"{n},img{n},x\n" for n in range(1, 16)))
    wanted = r"s.csv: line 2, ([^;]*; ){9}line 11, [^;]*; and 5 more$"
    with pytest.raises(BadRows, match=wanted) as caught:
        read_submission(path, ["dog"])
    assert len(caught.value.problems) == 15


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", f"{WANTED} ''"),
        (
            "id,prediction_list\n",
            f"{WANTED} 'id,prediction_list'; or want another --profile?",
        ),
        (
            "\ufeff" + HEADER + "1,a,[]\n",
            f"{WANTED} '\\ufeffid,image_id,prediction_list'; or want another --profile?",
        ),
        (
            HEADER + "1,a,[['dog', 0.9, 1, 1, 5, 5]]\n",
            "line 2, id 1, image a: want 3 columns, there are 8: is the cell in quotes?",
        ),
        (
            HEADER + "1,a\n2,b,[]\n",
            "line 2, id 1, image a: want 3 columns, there are 2: is the cell in quotes?",
        ),
        (HEADER + '1,a,"[]\n2,b,[]\n', "line 2: not a row of a CSV: unexpected end of data"),
        (HEADER + '1,a,"[]"x\n', "line 2: not a row of a CSV: ',' expected after '\"'"),
        (HEADER + "0,a,[]\n", "line 2, id 0, image a: want an id from 1 to 1"),
        (HEADER + "1,,[]\n", "line 2, id 1: unknown image"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path, text, wrong):
    assert problems(saved(tmp_path, text)) == [wrong]


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "s.csv").write_bytes(HEADER.encode() + b"1,a,[]\n2,\xff,[]\n")
    assert problems(tmp_path / "s.csv") == ["line 3: not UTF-8: invalid start byte"]


def test_windows_line_ends_and_blank_lines_are_read(tmp_path):
    path = saved(tmp_path, (HEADER + "1,a,[]\n\n2,b,[]\n\n").replace("\n", "\r\n"))
    assert read_submission(path).image_ids == ("a", "b")


def test_a_cell_may_be_longer_than_csv_allows_by_default(tmp_path):
    dets = detections(*[(0, 0, 0.5, 0, 0, 5, 5)] * 4000)
    write_submission(dets, tmp_path / "s.csv")
    assert csv.field_size_limit() < (tmp_path / "s.csv").stat().st_size
    assert len(read_submission(tmp_path / "s.csv")) == 4000
    assert csv.field_size_limit() == 131072


def test_order_of_the_rows_is_free_and_images_come_as_asked(tmp_path):
    path = saved(tmp_path, HEADER + "2,b,\"[['dog', 0.5, 1, 1, 5, 5]]\"\n1,a,[]\n")
    assert read_submission(path).image_ids == ("b", "a")
    table = read_submission(path, image_ids=["a", "b"])
    assert table.image_ids == ("a", "b") and table.image.tolist() == [1]


def test_classes_that_are_not_given_are_those_of_the_file_sorted(tmp_path):
    path = one_cell(
        tmp_path, "[['dog', 0.5, 1, 1, 5, 5], ['ant', 0.5, 1, 1, 5, 5], ['dog', 0.4, 1, 1, 5, 5]]"
    )
    assert read_submission(path).classes == ("ant", "dog") and read_submission(
        path
    ).label.tolist() == [1, 0, 1]
    assert read_submission(path, ["dog", "cow", "ant"]).label.tolist() == [0, 2, 0]


def test_the_sample_gives_ids_and_order(tmp_path):
    sample = saved(tmp_path, HEADER + "0012,b,[]\n0007,a,[]\n", "sample.csv")
    dets = detections((0, 0, 0.5, 0, 0, 5, 5))
    write_submission(dets, tmp_path / "s.csv", sample=sample)
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["0012", "b"], ["0007", "a"]]
    assert read_submission(tmp_path / "s.csv", sample=sample).image_ids == ("b", "a")
    swapped = saved(tmp_path, HEADER + "0007,b,[]\n1,a,[]\n")
    assert problems(swapped, sample=sample) == [
        "line 2, id 0007, image b: want the sample's id 0012",
        "line 3, id 1, image a: want the sample's id 0007",
    ]
    assert problems(saved(tmp_path, HEADER + "0007,a,[]\n"), sample=sample) == [
        "image b has no row"
    ]


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ("1,a,[]\n", "sample.csv lists not all images of the table, it lacks: 1, such as b"),
        (
            "1,a,[]\n2,b,[]\n3,c,[]\n",
            "sample.csv lists images that are not in the table: 1, such as c",
        ),
        ("1,a,[]\n2,a,[]\n", "sample.csv: want every image and every id once"),
        ("1,a,[]\n1,b,[]\n", "sample.csv: want every image and every id once"),
        ("1,a,[]\n2,b\n", "sample.csv: line 3, id 2, image b: want 3 columns, there are 2"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_and_the_old_file_stays(tmp_path, rows, wrong):
    sample, old = saved(tmp_path, HEADER + rows, "sample.csv"), saved(tmp_path, "old")
    with pytest.raises(InputError, match=wrong):
        write_submission(detections(), old, sample=sample)
    assert old.read_text() == "old"


def test_the_truth_as_a_submission_scores_one(tmp_path):
    truth = truths((0, 0, 10, 10, 60, 40), (1, 1, 0, 0, 5.5, 7.25))
    write_submission(
        Detections(truth.image_ids, truth.classes, truth.image, truth.label, truth.xyxy, [1, 1]),
        tmp_path / "s.csv",
    )
    assert voc_map(read_submission(tmp_path / "s.csv"), truth, iou_min=0.99).map == 1


@pytest.fixture
def compiled(monkeypatch):
    """Files of any size are read by compiled code where they are plain."""
    monkeypatch.setattr("submit.csv.list_cells.PLENTY", 0)


@pytest.mark.parametrize("seed", range(3))
def test_compiled_code_reads_the_same_table_to_the_bit(tmp_path, monkeypatch, seed):
    dets, _ = random_tables(seed)
    write_submission(dets, tmp_path / "s.csv")
    slow = read_submission(tmp_path / "s.csv", dets.classes)
    monkeypatch.setattr("submit.csv.list_cells.PLENTY", 0)
    monkeypatch.setattr("submit.csv.cells.parse_cell", None)
    fast = read_submission(tmp_path / "s.csv", dets.classes)
    for column in ("image", "label", "xyxy", "score"):
        assert getattr(fast, column).tobytes() == getattr(slow, column).tobytes()


def test_plain_and_other_cells_of_one_file_stay_in_order(tmp_path, compiled):
    cells = [
        "[['dog', 0.5, 1, 1, 5, 5]]",
        "[['dog', 5e-1, 2, 1, 5, 5]]",
        "",
        "[['cat', 0.50, 3, 1, 5, 5.0]]",
    ]
    path = saved(
        tmp_path,
        HEADER + "".join(f'{n},{n}.jpg,"{cell}"\n' for n, cell in enumerate(cells, start=1)),
    )
    table = read_submission(path, ["dog", "cat"])
    assert (table.image.tolist(), table.label.tolist()) == ([0, 1, 3], [0, 0, 1])
    assert table.xyxy[:, 0].tolist() == [0, 1, 2] and table.score.tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        ("[['cow', 0.5, 1, 1, 5, 5]]", "unknown class"),
        ("[['dog', 1.5, 1, 1, 5, 5]]", "want a score from 0 to 1"),
        ("[['dog', -0.5, 1, 1, 5, 5]]", "want a score from 0 to 1"),
        ("[['dog', 0.5, 5, 1, 4, 5]]", "want xmin <= xmax"),
        ("[['dog', 0.5, 1, 5, 5, 4]]", "want xmin <= xmax"),
        ("[['dog', 0.5, 1, 1, 5, 16777216]]", "want corners in pixels"),
        ("[['dog', 0.5, 1, 1, 5]]", "want .class, score"),
        ("[['dog', 0.5, 1, 1, 5, 5]", "want a Python list"),
    ],
)
def test_compiled_code_finds_the_same_faults(tmp_path, compiled, cell, wrong):
    path = saved(tmp_path, f'{HEADER}1,a.jpg,"[[\'dog\', 0.5, 1, 1, 5, 5]]"\n2,b.jpg,"{cell}"\n')
    (problem,) = problems(path, ["dog"])
    assert problem.startswith("line 3, id 2, image b.jpg: ")
    with pytest.raises(BadRows, match=wrong):
        read_submission(path, ["dog"])


@given(
    st.text(st.sampled_from("1a,\"\n\r[]'"), max_size=30),
    st.sampled_from(["voc-list", "global-wheat"]),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_rows_found_without_a_copy_are_those_of_csv(text, name):
    columns = Columns.of(load_profile(name))
    rows = submission_rows._plain_rows(text.encode(), columns)
    assert not rows or rows == submission_rows._rows(text, columns)
