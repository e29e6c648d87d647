"""evaluate.ensemble.search: it finds what is there to find, and says when there is nothing."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.rule import FusionRule
from evaluate.ensemble.search import _halves, _selected, search
from evaluate.exceptions import InputError
from evaluate.metrics.voc import voc_map
from evaluate.sweep.thresholds import apply
from evaluate.tables import Detections, GroundTruth
from tests.oracles import reordered

IMAGES = 40


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    n = 4 * IMAGES
    low = np.array([[0, 0], [100, 0], [0, 100], [100, 100]] * IMAGES) + rng.integers(0, 20, (n, 2))
    xyxy = np.concatenate([low, low + rng.integers(30, 70, (n, 2))], axis=1)
    ids = tuple(f"{i:03d}.jpg" for i in range(IMAGES))
    return GroundTruth(
        ids, ("cat", "dog"), np.arange(n) // 4, rng.integers(0, 2, n), xyxy, np.zeros(n)
    )


def detector(truth, seed, share=0.75):
    """Sees a share of the truths, each loosely and twice, and as many things that are not there."""
    rng = np.random.default_rng(seed)
    seen = np.flatnonzero(rng.random(len(truth)) < share).repeat(2)
    noise = rng.integers(0, len(truth), len(truth))
    xyxy = np.concatenate(
        [truth.xyxy[seen] + rng.normal(0, 4, (len(seen), 4)), truth.xyxy[noise] + 60]
    )
    image, label = (np.append(column[seen], column[noise]) for column in (truth.image, truth.label))
    score = np.append(rng.uniform(0.3, 1, len(seen)), rng.uniform(0.01, 0.8, len(noise)))
    return Detections(truth.image_ids, truth.classes, image, label, xyxy, score)


def test_detectors_that_err_apart_are_fused_and_a_useless_one_is_left_out(truth):
    tables = [detector(truth, 1), detector(truth, 2, share=0.0), detector(truth, 3)]
    scored = []

    @contextmanager
    def counted(task, *, total=None, unit="it", done=0):
        yield lambda units=1, /, **shown: scored.append(units)

    choice = search(tables, truth, progress=counted)
    assert choice.weights[0] > 0 and choice.weights[2] > 0
    assert choice.weights[1] < min(choice.weights[0], choice.weights[2])
    assert choice.worth_it and choice.gain.value > 0.05 and choice.single in (0, 2)
    assert choice.chosen_on[1] > choice.chosen_on[0] and sum(scored) == choice.tried


def test_tables_are_added_as_often_as_it_helps():
    class Trial:
        """Likes twice as much of the first table as of the second, and none of the third."""

        tables = [None] * 3

        def map(self, rule, weights):
            return -np.abs(np.array(weights) / sum(weights) - [2 / 3, 1 / 3, 0]).sum()

    assert _selected(Trial(), FusionRule()) in ((2, 1, 0), (4, 2, 0))


def test_a_lead_over_equal_weights_that_could_be_chance_is_not_taken(truth):
    few = np.arange(6)
    choice = search([detector(truth, seed).of_images(few) for seed in (1, 3)], truth.of_images(few))
    assert (choice.rule, choice.weights) == (FusionRule(), (1, 1)) and choice.tried > 10


def test_a_copy_of_a_run_is_not_worth_it(truth):
    table = detector(truth, 1)
    choice = search([table, table], truth)
    assert not choice.worth_it and abs(choice.gain.value) < 0.02


def test_the_gain_is_that_of_applying_the_choice_to_the_images_that_did_not_choose(truth):
    tables = [detector(truth, 1, share=0.9), detector(truth, 2, share=0.5)]
    choice = search(tables, truth)
    assert choice.weights[0] > choice.weights[1] > 0
    choosing, holding = _halves(truth, 0)
    assert sorted([*choosing, *holding]) == list(range(IMAGES)) and len(choosing) == IMAGES // 2
    whole = fuse_tables(tables, choice.rule, weights=choice.weights).dets
    for images, after in ((choosing, choice.chosen_on[1]), (holding, choice.gain.after)):
        assert voc_map(whole.of_images(images), truth.of_images(images)).map == after
    single = apply(tables[choice.single], 0, choice.single_iou)
    assert voc_map(single.of_images(holding), truth.of_images(holding)).map == choice.gain.before
    assert choice.gain.low <= choice.gain.value <= choice.gain.high


def test_the_order_of_images_and_classes_changes_nothing(truth):
    tables = [detector(truth, 1), detector(truth, 2)]
    choice = search(tables, truth)
    assert search([reordered(t, k) for k, t in enumerate(tables)], reordered(truth, 5)) == choice


def test_one_table_alone_can_be_searched(truth):
    choice = search([detector(truth, 1)], truth)
    assert choice.weights != (0,) and choice.single == 0


def test_a_table_of_other_images_is_refused_by_name(truth):
    other = replace(detector(truth, 1), image_ids=("x.jpg", *truth.image_ids[1:]))
    with pytest.raises(InputError, match="^other.npz: detections look at images"):
        search([detector(truth, 2), other], truth, names=["a.npz", "other.npz"])


def test_one_image_is_too_few(truth):
    one = np.array([0])
    with pytest.raises(InputError, match="at least 2 images"):
        search([detector(truth, 1).of_images(one)], truth.of_images(one))
