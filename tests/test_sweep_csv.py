"""evaluate.sweep.sweep_csv: a sweep's file, and what is refused of others."""

import pytest

from evaluate.exceptions import InputError
from evaluate.sweep.sweep_csv import Cell, ClassCell, read_sweep, read_thresholds, write_sweep
from evaluate.sweep.thresholds import apply, sweep
from tests.oracles import CLASSES, random_tables

HEADER = "conf,iou,map,boxes,behind_low,behind_high,class\n"
CELLS = [Cell(0.1, 1 / 3, 2 / 3, 12, -1e-5, 0.25), Cell(0.5, 0.5, 0.0, 0)]


def test_cells_survive_the_file_to_the_last_digit(tmp_path):
    result = sweep(*random_tables(0), confs=[0.1, 1 / 3], ious=[0.4, 2 / 3])
    write_sweep(result.cells + CELLS, tmp_path / "runs" / "sweep.csv", result.by_class)
    assert read_sweep(tmp_path / "runs" / "sweep.csv")[0] == result.cells + CELLS
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["sweep.csv"]


def test_a_line_a_cell_then_a_line_a_class(tmp_path):
    write_sweep(
        CELLS,
        tmp_path / "sweep.csv",
        [ClassCell("dog", 0.25, 0.5, 0.75, 9), ClassCell("cow", 0.1, 0.4, None, 0)],
    )
    assert (tmp_path / "sweep.csv").read_text().splitlines() == [
        HEADER.strip(),
        "0.1,0.3333333333333333,0.6666666666666666,12,-1e-05,0.25,",
        "0.5,0.5,0.0,0,,,",
        "0.25,0.5,0.75,9,,,dog",
        "0.1,0.4,,0,,,cow",
    ]


def test_the_thresholds_are_the_best_cells(tmp_path):
    write_sweep(CELLS[::-1], tmp_path / "sweep.csv")
    assert read_thresholds(tmp_path / "sweep.csv", CLASSES) == (0.1, 1 / 3)


def test_the_thresholds_are_the_classes_own_where_the_file_has_them_by_name(tmp_path):
    names = ("dog, small", 'the "cow"', "two\nlines")
    own = [ClassCell(name, n / 10, n / 7, None, n) for n, name in enumerate(names)]
    write_sweep(CELLS, tmp_path / "sweep.csv", own)
    conf, iou = read_thresholds(tmp_path / "sweep.csv", names[:0:-1])
    assert conf.tolist() == [0.2, 0.1] and iou.tolist() == [2 / 7, 1 / 7]


def test_apply_takes_what_the_file_gives(tmp_path):
    dets, truth = random_tables(1)
    result = sweep(dets, truth)
    write_sweep(result.cells, tmp_path / "sweep.csv", result.by_class)
    kept = apply(dets, *read_thresholds(tmp_path / "sweep.csv", dets.classes))
    for c, cell in enumerate(result.by_class):
        assert (kept.label == c).sum() == cell.boxes


def test_a_class_without_a_line_is_refused(tmp_path):
    write_sweep(CELLS, tmp_path / "sweep.csv", [ClassCell("dog", 0.1, 0.4, None, 0)])
    with pytest.raises(
        InputError, match=r"sweep\.csv: want a line for every class, cat, bird has none"
    ):
        read_thresholds(tmp_path / "sweep.csv", CLASSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "sweep.csv, line 1: want the header conf,iou,map,.*, there is ''"),
        ("iou,conf\n", "sweep.csv, line 1: want the header .*, there is 'iou,conf'"),
        (
            "conf,iou,map,boxes\n.1,.5,.7,3\n",
            "sweep.csv, line 1: want the header .*, there is 'conf,iou,map,boxes'",
        ),
        (HEADER, "sweep.csv: want at least one cell"),
        (HEADER + ".1,.5,.7,3,,,dog\n", "sweep.csv: want at least one cell"),
        (HEADER + ".1,.5,.7,3,,,\n.1,.5,x,3,,,\n", "sweep.csv, line 3: .* there is '.1,.5,x,3,,,'"),
        (HEADER + ".1,.5,.7,3\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,3,,,,\n", "sweep.csv, line 2"),
        (HEADER + "\n.1,.5,.7,3,,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,45,.7,3,,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,nan,3,,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,,3,,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,-3,,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,3,.1,,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,3,.2,.1,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,3,0,nan,\n", "sweep.csv, line 2"),
        (HEADER + ".1,.5,.7,3,,,\n.1,.5,1.7,3,,,dog\n", "sweep.csv, line 3"),
        (HEADER + ".1,.5,.7,3,,,\n.1,.5,.7,3,0,0,dog\n", "sweep.csv, line 3"),
        (HEADER + '.1,.5,.7,3,,,"dog\n', "sweep.csv, line 2"),
        (
            HEADER + ".1,.5,.7,3,,,\n" + 2 * ".1,.5,.7,3,,,dog\n",
            "sweep.csv: want one line for a class, dog has more",
        ),
    ],
)
def test_another_file_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "sweep.csv").write_text(text)
    for read in (read_sweep, lambda path: read_thresholds(path, CLASSES)):
        with pytest.raises(InputError, match=message) as caught:
            read(tmp_path / "sweep.csv")
        assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "sweep.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(InputError, match="line 1: want the header"):
        read_sweep(tmp_path / "sweep.csv")
