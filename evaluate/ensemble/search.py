"""Which detectors to fuse, how, and whether it is worth it. Imports numba: import this module late."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd

import numpy as np

from evaluate.ensemble.fuse import fuse_pool, thin
from evaluate.ensemble.pool import Pool
from evaluate.ensemble.rule import CONF_TYPES, FusionRule
from evaluate.exceptions import InputError
from evaluate.metrics import bootstrap
from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import Array, Detections, GroundTruth, align

Weights = tuple[int, ...]

IOUS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)  # of the fusion, and of the NMS of a single run
MEMBERS_IOUS = (0.35, 0.40, 0.45, 0.50, 0.55)  # of the NMS within each table
KINDS = (
    *(FusionRule("wbf", conf_type=conf_type) for conf_type in CONF_TYPES),
    FusionRule("nmw"),
    FusionRule("nms"),
    FusionRule(
        "soft-nms", decay="linear", members_iou=0.7
    ),  # quicker than from candidates, and no worse (LOG.md)
    FusionRule("soft-nms", decay="gaussian", members_iou=0.7),
)
ROUNDS = 3


@dataclass(frozen=True)
class Choice:
    """An ensemble that was chosen on one half of the images, and what it is worth on the other."""

    rule: FusionRule
    weights: Weights  # one a table, 0: left out
    single: int  # the table that is best alone, from 0
    single_iou: float  # of its NMS
    chosen_on: tuple[
        float, float
    ]  # mAP of that table and of the ensemble on the half that chose the ensemble
    gain: bootstrap.Difference  # from that table to the ensemble on the other half
    tried: int  # ensembles that were scored

    @property
    def worth_it(self) -> bool:
        """Whether the gain is more than other images may bring about."""
        return self.gain.low > 0


def search(
    tables: Sequence[Detections],
    truth: GroundTruth,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    done: Callable[[], object] = lambda: None,
) -> Choice:
    """The ensemble with the highest VOC mAP on half of the images, compared with the best single table on the rest.

    Members are added one at a time, each as often as it helps, which makes the weights; the best of these ensembles
    is then changed in one thing at a time (method, IoUs, a weight by 1) while that helps, for a few rounds. What comes
    out is the best of some dozens on few images; unless its lead over WBF of all tables with equal weights is certain
    on the very images that chose it, that plain ensemble is taken.

    The best single table and the IoU of its NMS are chosen on all images, also on those that judge, which is in its
    favour. `seed` draws the half, whatever the order of the images; `done` is called after each ensemble.

    Source: the first part is Caruana et al., "Ensemble Selection from Libraries of Models", 2004.
    Raises InputError for tables that do not fit each other or the truth, and what `voc_map` raises.
    """
    names = names or [f"table {i}" for i in range(1, len(tables) + 1)]
    tables = [_aligned(table, truth, name) for table, name in zip(tables, names, strict=True)]
    choosing, holding = _halves(truth, seed)
    single, single_iou = max(
        product(range(len(tables)), IOUS),
        key=lambda one: voc_map(_alone(tables[one[0]], one[1]), truth).map,
    )
    half = truth.of_images(choosing)
    trial = _Trial([table.of_images(choosing) for table in tables], half, names, done)
    plain = KINDS[0], (1,) * len(tables)
    rule, weights = _improved(trial, KINDS[0], _selected(trial, KINDS[0]))
    lead, _ = bootstrap.difference_with_interval(
        trial.fused(*plain), trial.fused(rule, weights), half
    )
    if lead.low <= 0:
        rule, weights = plain

    alone = _alone(tables[single], single_iou)
    chosen_on = voc_map(alone.of_images(choosing), half).map, trial.map(rule, weights)
    fused = fuse_pool(
        thin([table.of_images(holding) for table in tables], rule), rule, weights=weights
    ).dets
    gain, _ = bootstrap.difference_with_interval(
        alone.of_images(holding), fused, truth.of_images(holding)
    )
    return Choice(rule, weights, single, single_iou, chosen_on, gain, len(trial.maps))


class _Trial:
    """Scores ensembles of the same tables; thins them once for each IoU, and scores no ensemble twice."""

    def __init__(
        self,
        tables: Sequence[Detections],
        truth: GroundTruth,
        names: Sequence[str],
        done: Callable[[], object],
    ) -> None:
        self.tables, self.truth, self.names, self.done = tables, truth, names, done
        self.pools: dict[float, Pool] = {}
        self.maps: dict[tuple[FusionRule, Weights], float] = {}

    def fused(self, rule: FusionRule, weights: Weights) -> Detections:
        if rule.first_iou not in self.pools:
            self.pools[rule.first_iou] = thin(self.tables, rule, names=self.names)
        return fuse_pool(self.pools[rule.first_iou], rule, weights=weights).dets

    def map(self, rule: FusionRule, weights: Weights) -> float:
        key = rule, tuple(weight // gcd(*weights) for weight in weights)
        if key not in self.maps:
            self.maps[key] = voc_map(self.fused(rule, weights), self.truth).map
            self.done()
        return self.maps[key]


def _selected(trial: _Trial, rule: FusionRule) -> Weights:
    """How often each table is in the best of the ensembles that grow by the table that helps most."""
    count = len(trial.tables)
    weights: Weights = (0,) * count
    grown = []
    for _ in range(min(2 * count, 10)):
        weights = max(
            (_with(weights, i, 1) for i in range(count)), key=lambda one: trial.map(rule, one)
        )
        grown.append(weights)
    return max(grown, key=lambda one: trial.map(rule, one))


def _improved(trial: _Trial, rule: FusionRule, weights: Weights) -> tuple[FusionRule, Weights]:
    """Take any change of one thing that helps, round after round."""
    for _ in range(ROUNDS):
        before = trial.map(rule, weights)
        for changes in (
            [replace(kind, iou=rule.iou) for kind in KINDS],
            [replace(rule, iou=iou) for iou in IOUS],
            [replace(rule, members_iou=iou) for iou in MEMBERS_IOUS],
        ):
            rule = max(rule, *changes, key=lambda one: trial.map(one, weights))
        for i, step in product(range(len(weights)), (1, -1)):
            other = _with(weights, i, step)
            if any(other) and min(other) >= 0:
                weights = max(weights, other, key=lambda one: trial.map(rule, one))
        if trial.map(rule, weights) == before:
            break
    return rule, weights


def _with(weights: Weights, i: int, step: int) -> Weights:
    return tuple(weight + step * (k == i) for k, weight in enumerate(weights))


def _alone(table: Detections, iou: float) -> Detections:
    return nms(table, iou, candidates_max=len(table), keep_max=len(table))


def _halves(truth: GroundTruth, seed: int) -> tuple[Array, Array]:
    """Two halves of the images as rows of image_ids, drawn from the ids alone."""
    if len(truth.image_ids) < 2:
        raise InputError(
            f"want at least 2 images, to choose on one and report on the other; {len(truth.image_ids)}"
        )
    by_id = np.argsort(np.array(truth.image_ids, np.str_))
    drawn = by_id[np.random.default_rng(seed).permutation(len(by_id))]
    return np.sort(drawn[: len(drawn) // 2]), np.sort(drawn[len(drawn) // 2 :])


def _aligned(table: Detections, truth: GroundTruth, name: str) -> Detections:
    try:
        return align(table, truth)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
