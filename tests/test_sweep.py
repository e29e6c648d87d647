"""evaluate.sweep: every cell is what the slow way gives, and the best one comes first."""

import math

import pytest

from evaluate.sweep import CONFS, IOUS, Cell, apply, best, read_csv, sweep, write_csv
from evaluate.tables import InputError
from evaluate.voc_map import voc_map
from tests.oracles import detections, random_tables, truths

HIT, TWIN = (0, 0, 0.9, 0, 0, 10, 10), (0, 0, 0.8, 0, 0, 10, 8)
TRUTH = truths((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 8))


def test_two_thresholds_worked_by_hand():
    # TWIN overlaps HIT by 0.8 and is a truth of its own: IoU 0.5 drops it (AP 1/2), IoU 0.9 keeps it (AP 1)
    cells = sweep(detections(HIT, TWIN), TRUTH, confs=[0.1, 0.85], ious=[0.5, 0.9])
    assert cells == [Cell(0.1, 0.9, 1.0, 2), Cell(0.85, 0.5, 0.5, 1), Cell(0.1, 0.5, 0.5, 1), Cell(0.85, 0.9, 0.5, 1)]


def test_of_equal_maps_the_best_has_fewest_boxes_then_lowest_iou_then_highest_conf():
    ranked = [
        Cell(0.1, 0.9, 0.8, 99),
        Cell(0.3, 0.5, 0.7, 3),
        Cell(0.2, 0.5, 0.7, 3),
        Cell(0.5, 0.6, 0.7, 3),
        Cell(0.0, 0.4, 0.7, 4),
    ]
    for n in range(len(ranked)):
        assert best(reversed(ranked[n:])) == ranked[n]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("caps", [{}, {"candidates_max": 12, "keep_max": 5}])
def test_every_cell_is_the_score_of_the_table_that_apply_gives(seed, caps):
    dets, truth = random_tables(seed)
    cells = sweep(dets, truth, **caps)
    assert len(cells) == len(CONFS) * len(IOUS) and cells[0] == best(cells)
    for cell in cells:
        final = apply(dets, cell.conf, cell.iou, **caps)
        assert (cell.map, cell.boxes) == (voc_map(final, truth).mean, len(final))


def test_eleven_points_are_passed_on():
    dets, truth = random_tables(0)
    (cell,) = sweep(dets, truth, confs=[0.1], ious=[0.5], eleven_point=True)
    assert cell.map == voc_map(apply(dets, 0.1, 0.5), truth, eleven_point=True).mean


def test_a_score_that_was_written_like_the_threshold_passes_it():
    # float32(0.01) is 0.00999999977...: below 0.01, and yet it is "0.01"
    dets = detections((0, 0, 0.01, 0, 0, 10, 10))
    assert float(dets.score[0]) < 0.01
    assert len(apply(dets, 0.01, 0.5)) == 1
    assert [cell.boxes for cell in sweep(dets, TRUTH, confs=[0.01, 0.0100001], ious=[0.5])] == [1, 0]


def test_progress_wraps_the_ious():
    seen = []
    sweep(detections(HIT), TRUTH, ious=[0.5, 0.6], progress=lambda ious: (seen.append(iou) or iou for iou in ious))
    assert seen == [0.5, 0.6]


@pytest.mark.parametrize(
    ("confs", "ious"), [([], [0.5]), ([0.5], []), ([1.5], [0.5]), ([0.5], [45]), ([math.nan], [0.5])]
)
def test_a_grid_that_is_empty_or_out_of_range_is_refused(confs, ious):
    with pytest.raises(InputError, match="want"):
        sweep(detections(HIT), TRUTH, confs=confs, ious=ious)


def test_the_reports_cells_are_in_the_default_grid():
    assert {0.05, 0.01} <= set(CONFS) and {0.45, 0.55, 0.60, 0.65} <= set(IOUS)


def test_cells_survive_the_csv_to_the_last_digit(tmp_path):
    cells = sweep(*random_tables(0), confs=[0.1, 1 / 3], ious=[0.4, 2 / 3])
    write_csv(cells, tmp_path / "runs" / "sweep.csv")
    assert read_csv(tmp_path / "runs" / "sweep.csv") == cells
    assert (tmp_path / "runs" / "sweep.csv").read_text().splitlines()[0] == "conf,iou,map,boxes"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["sweep.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "sweep.csv, line 1: want the header conf,iou,map,boxes, there is ''"),
        ("iou,conf\n", "sweep.csv, line 1: want the header conf,iou,map,boxes, there is 'iou,conf'"),
        ("conf,iou,map,boxes\n", "sweep.csv: want at least one cell"),
        ("conf,iou,map,boxes\n.1,.5,.7,3\n.1,.5,x,3\n", "sweep.csv, line 3: .* there is '.1,.5,x,3'"),
        ("conf,iou,map,boxes\n.1,.5,.7\n", "sweep.csv, line 2"),
        ("conf,iou,map,boxes\n.1,45,.7,3\n", "sweep.csv, line 2"),
        ("conf,iou,map,boxes\n.1,.5,nan,3\n", "sweep.csv, line 2"),
        ("conf,iou,map,boxes\n.1,.5,.7,-3\n", "sweep.csv, line 2"),
    ],
)
def test_another_file_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "sweep.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_csv(tmp_path / "sweep.csv")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "sweep.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(InputError, match="line 1: want the header"):
        read_csv(tmp_path / "sweep.csv")
