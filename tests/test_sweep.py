"""evaluate.sweep.thresholds: every cell is what the slow way gives, the best one first."""

import json
import math
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.exceptions import InputError
from evaluate.metrics.bootstrap import difference_with_interval
from evaluate.metrics.voc import voc_map
from evaluate.sweep.class_ap import RESAMPLES_AT_ONCE
from evaluate.sweep.grid import GridSettings, score_grid
from evaluate.sweep.sweep_csv import Cell, best_cell
from evaluate.sweep.thresholds import CONFS, IOUS, apply, sweep
from evaluate.tables import Detections, GroundTruth
from harness.cli.main import main
from tests.oracles import crowd, detections, random_tables, reordered, truths

HIT, TWIN = (0, 0, 0.9, 0, 0, 10, 10), (0, 0, 0.8, 0, 0, 10, 8)
TRUTH = truths((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 8))


def test_two_thresholds_worked_by_hand():
    # TWIN overlaps HIT by 0.8 and is a truth of its own:
    # IoU 0.5 drops it (AP 1/2), IoU 0.9 keeps it (AP 1)
    cells = sweep(
        detections(HIT, TWIN), TRUTH, confs=[0.1, 0.85], ious=[0.5, 0.9], replicates=0
    ).cells
    assert cells == [
        Cell(0.1, 0.9, 1.0, 2),
        Cell(0.85, 0.5, 0.5, 1),
        Cell(0.1, 0.5, 0.5, 1),
        Cell(0.85, 0.9, 0.5, 1),
    ]


def test_of_equal_maps_the_best_has_fewest_boxes_then_lowest_iou_then_highest_conf():
    ranked = [
        Cell(0.1, 0.9, 0.8, 99),
        Cell(0.3, 0.5, 0.7, 3),
        Cell(0.2, 0.5, 0.7, 3),
        Cell(0.5, 0.6, 0.7, 3),
        Cell(0.0, 0.4, 0.7, 4),
    ]
    for n in range(len(ranked)):
        assert best_cell(reversed(ranked[n:])) == ranked[n]


def every_cell_is_right(dets, truth, **options):
    result = sweep(dets, truth, replicates=0, **options)
    assert result.cells[0] == best_cell(result.cells)
    grid = {"confs", "ious", "eleven_point"}
    caps = {name: value for name, value in options.items() if name not in grid}
    for cell in result.cells:
        final = apply(dets, cell.conf, cell.iou, **caps)
        wanted = voc_map(final, truth, eleven_point=options.get("eleven_point", False)).map
        assert (cell.map, cell.boxes) == (wanted, len(final))
    return len(result.cells)


@pytest.mark.parametrize("seed", range(3))
def test_every_cell_is_the_score_of_the_table_that_apply_gives(seed):
    assert every_cell_is_right(*random_tables(seed)) == len(CONFS) * len(IOUS)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    confs=st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.35, 0.7, 1.0]), min_size=1, max_size=4),
    ious=st.lists(
        st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1 / 3, 0.5, 1.0])), min_size=1, max_size=5
    ),
    candidates_max=st.sampled_from([3000, 12, 0]),
    keep_max=st.sampled_from([3000, 5]),
    eleven_point=st.booleans(),
)
def test_so_it_is_with_any_grid_caps_and_ties(seed, eleven_point, **options):
    every_cell_is_right(*random_tables(seed), eleven_point=eleven_point, **options)


def test_64_ious_are_one_pass_and_65_are_refused():
    every_cell_is_right(crowd(0), TRUTH, confs=[0.5], ious=np.linspace(0, 1, 64).tolist())
    with pytest.raises(InputError, match="want at most 64"):
        sweep(crowd(0), TRUTH, ious=np.linspace(0, 1, 65).tolist())


def test_tables_that_list_images_and_classes_in_other_orders_are_aligned():
    dets, truth = random_tables(2)
    moved = replace(
        dets,
        image_ids=dets.image_ids[::-1],
        classes=dets.classes[::-1],
        image=len(dets.image_ids) - 1 - dets.image,
        label=len(dets.classes) - 1 - dets.label,
    )
    assert sweep(moved, truth, replicates=5) == sweep(dets, truth, replicates=5)


def test_no_candidates_score_nothing_everywhere():
    assert {(cell.map, cell.boxes) for cell in sweep(detections(), TRUTH).cells} == {(0.0, 0)}


def test_a_truth_that_counts_nothing_is_refused():
    for truth in (truths(), truths((0, 0, 0, 0, 10, 10), difficult=(0,))):
        with pytest.raises(InputError, match="nothing to score against"):
            sweep(detections(HIT), truth)


def test_a_score_that_was_written_like_the_threshold_passes_it():
    # float32(0.01) is 0.00999999977...: below 0.01, and yet it is "0.01"
    dets = detections((0, 0, 0.01, 0, 0, 10, 10))
    assert float(dets.score[0]) < 0.01
    assert len(apply(dets, 0.01, 0.5)) == 1
    assert [
        cell.boxes for cell in sweep(dets, TRUTH, confs=[0.01, 0.0100001], ious=[0.5]).cells
    ] == [1, 0]


def test_progress_counts_the_blocks_of_images_and_the_classes():
    steps = []

    @contextmanager
    def recorded(task, *, total=None, unit="it", done=0):
        yield lambda units=1: steps.append((task, total, units))

    sweep(detections(HIT), TRUTH, progress=recorded)
    assert steps == [("NMS", None, 1)] + [("AP of classes", 3, 1)] * 3


@pytest.mark.parametrize(
    ("confs", "ious"),
    [([], [0.5]), ([0.5], []), ([1.5], [0.5]), ([0.5], [45]), ([math.nan], [0.5])],
)
def test_a_grid_that_is_empty_or_out_of_range_is_refused(confs, ious):
    with pytest.raises(InputError, match="want"):
        sweep(detections(HIT), TRUTH, confs=confs, ious=ious)


def test_the_reports_cells_are_in_the_default_grid():
    assert {0.05, 0.01} <= set(CONFS) and {0.45, 0.55, 0.60, 0.65} <= set(IOUS)


def without_ties(dets):
    rng = np.random.default_rng(1)
    return replace(dets, score=rng.permutation(np.linspace(0.1, 0.9, len(dets))).astype(np.float32))


def drawn(table, counts):
    """The table with image i there counts[i] times, under names of their own."""
    rows = list(table.rows_by_image())
    picks = np.repeat(np.arange(len(counts)), counts)
    chosen = np.concatenate([rows[p] for p in picks])
    image = np.repeat(np.arange(len(picks)), [len(rows[p]) for p in picks])
    return replace(
        table.take(chosen), image_ids=tuple(f"{k:04d}" for k in range(len(picks))), image=image
    )


@pytest.mark.parametrize("eleven_point", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_counting_an_image_twice_is_having_it_twice(seed, eleven_point):
    dets, truth = random_tables(seed)
    dets = without_ties(dets)
    counts = (
        np.random.default_rng(seed)
        .multinomial(6, np.full(6, 1 / 6), RESAMPLES_AT_ONCE + 2)
        .T.astype(np.int32)
    )
    settings = GridSettings([0.2, 0.5], [0.6, 0.3], eleven_point=eleven_point)
    grid = score_grid(dets, truth, settings, resamples=counts, parts=counts)
    for r in (0, RESAMPLES_AT_ONCE, RESAMPLES_AT_ONCE + 1):
        again = drawn(truth, counts[:, r])
        if again.difficult.all():
            continue
        for n, cell in enumerate(grid.cells):
            wanted = voc_map(
                drawn(apply(dets, *cell), counts[:, r]), again, eleven_point=eleven_point
            ).ap
            np.testing.assert_allclose(grid.part_ap[:, n, r], wanted, rtol=1e-12)
            assert grid.resampled_map[n, r] == pytest.approx(np.nanmean(wanted), rel=1e-12)


def test_how_far_a_cell_is_behind_is_what_comparing_it_with_the_best_gives():
    dets, truth = random_tables(3, images=30)
    cells = sweep(dets, truth, confs=[0.2, 0.5], ious=[0.3, 0.7]).cells
    top = apply(dets, cells[0].conf, cells[0].iou)
    for cell in cells:
        mean, _ = difference_with_interval(apply(dets, cell.conf, cell.iou), top, truth)
        assert (cell.behind_low, cell.behind_high) == pytest.approx(
            (mean.low, mean.high), abs=1e-12
        )
    assert (cells[0].behind_low, cells[0].behind_high) == (0, 0)


def test_a_cell_that_misses_everything_cannot_be_best_and_a_copy_of_the_best_can():
    n = 30
    ids, image, boxes = tuple(map(str, range(n))), np.arange(n), np.tile([0, 0, 9, 9], (n, 1))
    truth = GroundTruth(ids, ("dog",), image, np.zeros(n), boxes, np.zeros(n, bool))
    dets = Detections(ids, ("dog",), image, np.zeros(n), boxes, np.full(n, 0.5))
    top, copy, bad, worse = sweep(dets, truth, confs=[0.1, 0.9], ious=[0.5, 0.6]).cells
    assert (
        copy.could_be_best
        and (copy.behind_low, copy.behind_high) == (0, 0)
        and top.map == copy.map == 1
    )
    assert (
        not bad.could_be_best
        and not worse.could_be_best
        and (bad.behind_low, bad.behind_high) == (1, 1)
    )


def test_without_replicates_there_are_no_intervals_and_with_a_seed_they_are_the_same():
    tables = random_tables(0)
    assert {cell.behind_low for cell in sweep(*tables, replicates=0).cells} == {None}
    assert not any(cell.could_be_best for cell in sweep(*tables, replicates=0).cells)
    assert (
        sweep(*tables, replicates=20)
        == sweep(*tables, replicates=20)
        != sweep(*tables, replicates=20, seed=1)
    )


def test_order_of_rows_images_and_classes_changes_nothing():
    dets, truth = random_tables(3, images=20)
    dets = without_ties(dets)
    first, second = sweep(dets, truth), sweep(reordered(dets, 1), reordered(truth, 2))
    key = lambda cell: (cell.conf, cell.iou)  # noqa: E731
    for one, other in zip(sorted(first.cells, key=key), sorted(second.cells, key=key)):
        assert asdict(one) == pytest.approx(asdict(other), abs=1e-12)
    assert sorted(first.by_class, key=str) == sorted(second.by_class, key=str)
    assert asdict(first.held_out) == pytest.approx(asdict(second.held_out), abs=1e-12)


def two_tastes(images=40):
    """Per image two cats that only a high IoU keeps, and a dog with two close boxes on it."""
    rows, annotated = [], []
    for i in range(images):
        cats, dog = [(0, 0, 10, 10), (3, 0, 13, 10)], (50, 50, 60, 60)  # the cats overlap by 7/13
        rows += [
            (i, 0, 0.8, *cats[0]),
            (i, 0, 0.7, *cats[1]),
            (i, 1, 0.9, *dog),
            (i, 1, 0.85, 51, 50, 61, 60),
        ]
        annotated += [(i, 0, *cats[0]), (i, 0, *cats[1]), (i, 1, *dog)]
    ids, rows, annotated = tuple(map(str, range(images))), np.array(rows), np.array(annotated)
    return (
        Detections(ids, ("cat", "dog", "cow"), rows[:, 0], rows[:, 1], rows[:, 3:], rows[:, 2]),
        GroundTruth(
            ids,
            ("cat", "dog", "cow"),
            annotated[:, 0],
            annotated[:, 1],
            annotated[:, 2:],
            np.zeros(len(annotated)),
        ),
    )


def test_each_class_gets_the_cell_that_is_best_for_it():
    dets, truth = two_tastes()
    dets = replace(
        dets, score=dets.score - np.where(dets.label == 1, dets.image / np.float32(100), 0)
    )
    # IoU 0.6 keeps both cats and drops the second dog (IoU 9/11); 0.5 loses one of the cats;
    # 0.9 keeps the second dog too
    result = sweep(dets, truth, confs=[0.1, 0.01], ious=[0.9, 0.5, 0.6])
    assert [(cell.name, cell.conf, cell.iou, cell.ap) for cell in result.by_class] == [
        ("cat", 0.01, 0.6, 1.0),
        ("dog", 0.01, 0.5, 1.0),
        ("cow", result.cells[0].conf, result.cells[0].iou, None),
    ]
    assert [cell.boxes for cell in result.by_class] == [80, 40, 0]
    assert (
        result.held_out.halves == 40 and result.held_out.one_cell == result.held_out.by_class == 1
    )


def test_the_held_out_score_is_that_of_thresholds_chosen_on_the_other_half():
    dets, truth = random_tables(4, images=24)
    dets, confs, ious = without_ties(dets), [0.1, 0.4, 0.7], [0.2, 0.5, 0.8]
    images = len(truth.image_ids)
    rng = np.random.default_rng(0)
    rng.multinomial(images, np.full(images, 1 / images), 0)
    first = rng.permuted(np.tile(np.arange(images) % 2, (20, 1)), axis=1).astype(bool)
    scores = []
    place = np.argsort(np.argsort(truth.image_ids))
    for half in (*first[:, place], *~first[:, place]):
        tables = [
            [drawn(table, part.astype(int)) for table in (dets, truth)] for part in (half, ~half)
        ]
        if any(annotated.difficult.all() for _, annotated in tables):
            continue
        result = sweep(*tables[0], confs=confs, ious=ious, replicates=0)
        one = result.cells[0]
        fewest = {}  # the boxes of a cell are those on all images
        for cell in result.cells:
            fewest[cell.conf, cell.iou] = len(apply(dets, cell.conf, cell.iou))
        one = min(result.cells, key=lambda c: (-c.map, fewest[c.conf, c.iou], c.iou, -c.conf))
        own = [
            (c.conf, c.iou) if c.ap is not None else (one.conf, one.iou) for c in result.by_class
        ]
        scores.append(
            [
                voc_map(apply(tables[1][0], *thresholds), tables[1][1]).map
                for thresholds in ((one.conf, one.iou), np.transpose(own))
            ]
        )
    held_out = sweep(dets, truth, confs=confs, ious=ious, replicates=0).held_out
    assert held_out.halves == len(scores) > 30
    assert (held_out.one_cell, held_out.by_class) == pytest.approx(
        tuple(np.mean(scores, axis=0)), abs=1e-12
    )


def test_one_image_cannot_be_halved():
    ids, box = ("a",), [[0, 0, 9, 9]]
    truth = GroundTruth(ids, ("dog",), [0], [0], box, [False])
    assert sweep(Detections(ids, ("dog",), [0], [0], box, [0.5]), truth).held_out is None


def run_cli(tmp_path, capsys, *words, tables=None):
    for table, name in zip(tables or two_tastes(), ("candidates", "truth")):
        table.save(tmp_path / f"{name}.npz")
    files = [str(tmp_path / "candidates.npz"), "--truth", str(tmp_path / "truth.npz")]
    capsys.readouterr()
    assert main(["sweep", *files, "--out", str(tmp_path / "sweep.csv"), *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_command_says_which_cells_could_be_as_good(tmp_path, capsys):
    (line,) = run_cli(tmp_path, capsys, "--iou", "0.9,0.5,0.6", "--conf", "0.01,0.1")
    assert line.endswith(
        "best AP50 1.0000 at conf 0.1 iou 0.6, 120 boxes; 3 of the other 5 cells could be as good"
    )


def test_the_command_says_what_choosing_by_class_is_worth_and_apply_does_it(tmp_path, capsys):
    _, line = run_cli(tmp_path, capsys, "--iou", "0.5,0.6", "--per-class")
    assert line == (
        "each class at its own best cell: 1.0000 on the images it was chosen on; "
        "chosen on one half and scored on the other 1.0000, one cell for all 1.0000"
    )
    words = ["apply", str(tmp_path / "candidates.npz"), "--sweep", str(tmp_path / "sweep.csv")]
    assert main([*words, "--out", str(tmp_path / "final.npz")]) == 0
    assert "120 detections on 40 images at each class's own conf and iou" in capsys.readouterr().out
    assert voc_map(Detections.load(tmp_path / "final.npz"), two_tastes()[1]).map == 1


def test_the_commands_json_holds_all_of_it(tmp_path, capsys):
    tables = random_tables(3, images=30)
    words = ["--conf", "0.1,0.5", "--iou", "0.3,0.6"]
    (plain,) = run_cli(tmp_path, capsys, *words, "--json", tables=tables)
    (full,) = run_cli(tmp_path, capsys, *words, "--json", "--per-class", tables=tables)
    result = sweep(*tables, confs=[0.1, 0.5], ious=[0.3, 0.6])
    assert json.loads(plain) == {
        "best": asdict(result.cells[0]),
        "cells": [asdict(cell) for cell in result.cells],
    }
    assert json.loads(full) == json.loads(plain) | {
        "per_class": [asdict(cell) for cell in result.by_class],
        "held_out": asdict(result.held_out),
    }
