"""Which detectors to fuse, how, and whether it is worth it.

Out of a few tables, methods, IoUs and weights come thousands of ensembles. The best of those that
were tried on some images is partly the best because it suits these images, so its score there
promises more than other images will keep. Therefore half of the images choose, and the other half,
which the search never sees, judge:

1. the best single table, each with its own NMS: what an ensemble has to beat
2. on the choosing half, members are added one at a time, always the one that helps most, as often
   as it helps; how often each is in makes the weights (3 times a, once b: weights 3 and 1)
3. the best of these ensembles is changed in one thing at a time, its method, an IoU or a weight,
   while that helps
4. if its lead over WBF of all tables with equal weights could be chance even on the images that
   chose it, that plain ensemble is taken: on few images, the best of many is the luckiest
5. on the other half, the ensemble is compared with the single table; the bootstrap over these
   images gives the interval of the gain, and if that includes 0, fusing is not worth it

The single table of step 1 is chosen on all images, also on those that judge. That is unfair in its
favour, so a gain is not overstated.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np

from evaluate.ensemble.choice import Choice, Weights
from evaluate.ensemble.fuse import fuse_pool, thin
from evaluate.ensemble.pool import Pool
from evaluate.ensemble.rule import CONF_TYPES, FusionRule
from evaluate.exceptions import InputError
from evaluate.metrics.bootstrap import difference_with_interval
from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.progress import Advance, Progress, silent
from evaluate.tables import Array, Detections, GroundTruth, align

FUSION_IOUS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)  # also of the NMS of a single run
THINNING_IOUS = (0.35, 0.40, 0.45, 0.50, 0.55)  # of the NMS within each table
METHODS = (
    *(FusionRule("wbf", conf_type=conf_type) for conf_type in CONF_TYPES),
    FusionRule("nmw"),
    FusionRule("nms"),
    # thinned first: quicker than from candidates, and no worse (LOG.md)
    FusionRule("soft-nms", decay="linear", members_iou=0.7),
    FusionRule("soft-nms", decay="gaussian", members_iou=0.7),
)
PLAIN = METHODS[0]
ROUNDS_MAX = 3  # of step 3
MEMBERS_MAX = 10  # of step 2, each counted as often as it is in


def search(
    tables: Sequence[Detections],
    truth: GroundTruth,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> Choice:
    """The ensemble with the highest VOC mAP on half of the images, judged on the other half.

    `seed` draws the halves; the order of images and classes in the tables changes nothing.
    `progress` counts the ensembles that are scored.

    Source: step 2 is Caruana et al., "Ensemble Selection from Libraries of Models", 2004.
    Raises InputError, with the table's name (`names`, or table 1, 2, ...), for tables that do not
    fit each other or the truth; for fewer than two images; and what `voc_map` raises.
    """
    names = names or [f"table {i}" for i in range(1, len(tables) + 1)]
    tables = [_aligned(table, truth, name) for table, name in zip(tables, names, strict=True)]
    choosing, judging = _halves(truth, seed)

    # 1. the best single table
    single, single_iou = _best_single(tables, truth)
    alone = _after_nms(tables[single], single_iou)

    # 2. to 4. on the choosing half
    half = truth.of_images(choosing)
    with progress("search", unit="ensemble") as advance:
        trials = _Trials([table.of_images(choosing) for table in tables], half, names, advance)
        rule, weights = _chosen(trials)
        chosen_on = voc_map(alone.of_images(choosing), half).map, trials.map(rule, weights)

    # 5. on the other half
    pool = thin([table.of_images(judging) for table in tables], rule)
    fused = fuse_pool(pool, rule, weights=weights).dets
    gain, _ = difference_with_interval(alone.of_images(judging), fused, truth.of_images(judging))
    return Choice(rule, weights, single, single_iou, chosen_on, gain, len(trials.maps))


class _Trials:
    """Scores ensembles of the same tables, none of them twice.

    Tables are thinned once per IoU. Weights count by their ratios: (2, 2) is (1, 1).
    """

    def __init__(
        self,
        tables: Sequence[Detections],
        truth: GroundTruth,
        names: Sequence[str],
        advance: Advance,
    ) -> None:
        self.tables, self.truth, self.names, self.advance = tables, truth, names, advance
        self.pools: dict[float, Pool] = {}  # by the IoU of thinning
        self.maps: dict[tuple[FusionRule, Weights], float] = {}

    def fused(self, rule: FusionRule, weights: Weights) -> Detections:
        """The ensemble's table."""
        if rule.first_iou not in self.pools:
            self.pools[rule.first_iou] = thin(self.tables, rule, names=self.names)
        return fuse_pool(self.pools[rule.first_iou], rule, weights=weights).dets

    def map(self, rule: FusionRule, weights: Weights) -> float:
        """The ensemble's mAP."""
        key = rule, tuple(weight // gcd(*weights) for weight in weights)
        if key not in self.maps:
            self.maps[key] = voc_map(self.fused(rule, weights), self.truth).map
            self.advance(1)
        return self.maps[key]


def _best_single(tables: Sequence[Detections], truth: GroundTruth) -> tuple[int, float]:
    """The number of the table that scores best after NMS, and the IoU of that NMS."""

    def map_alone(member: tuple[int, float]) -> float:
        number, iou = member
        return voc_map(_after_nms(tables[number], iou), truth).map

    return max(product(range(len(tables)), FUSION_IOUS), key=map_alone)


def _chosen(trials: _Trials) -> tuple[FusionRule, Weights]:
    """The ensemble that the choosing half takes."""
    # steps 2 and 3
    rule, weights = _improved(trials, PLAIN, _selected(trials, PLAIN))

    # step 4: the lead has to be certain
    equal: Weights = (1,) * len(trials.tables)
    lead, _ = difference_with_interval(
        trials.fused(PLAIN, equal), trials.fused(rule, weights), trials.truth
    )
    return (rule, weights) if lead.low > 0 else (PLAIN, equal)


def _selected(trials: _Trials, rule: FusionRule) -> Weights:
    """Step 2: how often each table is in the best of the ensembles that grow one by one."""
    count = len(trials.tables)
    weights: Weights = (0,) * count
    grown = []
    for _ in range(min(2 * count, MEMBERS_MAX)):  # also past the best: it may rise again
        larger = [_changed(weights, i, 1) for i in range(count)]
        weights = max(larger, key=lambda candidate: trials.map(rule, candidate))
        grown.append(weights)
    return max(grown, key=lambda candidate: trials.map(rule, candidate))


def _improved(trials: _Trials, rule: FusionRule, weights: Weights) -> tuple[FusionRule, Weights]:
    """Step 3: the ensemble after every change of one thing that helps, round after round."""
    for _ in range(ROUNDS_MAX):
        before = trials.map(rule, weights)
        for changes in (
            [replace(method, iou=rule.iou) for method in METHODS],
            [replace(rule, iou=iou) for iou in FUSION_IOUS],
            [replace(rule, members_iou=iou) for iou in THINNING_IOUS],
        ):
            # of equals the first is taken, so a rule stays unless another is better
            rule = max(rule, *changes, key=lambda candidate: trials.map(candidate, weights))
        for i, step in product(range(len(weights)), (1, -1)):
            other = _changed(weights, i, step)
            if any(other) and min(other) >= 0:
                weights = max(weights, other, key=lambda candidate: trials.map(rule, candidate))
        if trials.map(rule, weights) == before:
            break
    return rule, weights


def _changed(weights: Weights, i: int, step: int) -> Weights:
    """The weights with `step` added to the i-th."""
    return tuple(weight + step * (k == i) for k, weight in enumerate(weights))


def _after_nms(table: Detections, iou_max: float) -> Detections:
    """The table after NMS without caps."""
    return nms(table, iou_max, candidates_max=len(table), keep_max=len(table))


def _halves(truth: GroundTruth, seed: int) -> tuple[Array, Array]:
    """The images that choose and those that judge, as rows of image_ids.

    They are drawn from the sorted ids, so that the order of images does not matter.
    """
    if len(truth.image_ids) < 2:
        raise InputError(
            "want at least 2 images, one to choose an ensemble on and one to judge it on; "
            f"there is {len(truth.image_ids)}"
        )
    by_id = np.argsort(np.array(truth.image_ids, np.str_))
    shuffled = by_id[np.random.default_rng(seed).permutation(len(by_id))]
    middle = len(shuffled) // 2
    return np.sort(shuffled[:middle]), np.sort(shuffled[middle:])


def _aligned(table: Detections, truth: GroundTruth, name: str) -> Detections:
    """`tables.align`, with the table's name in front of what is wrong."""
    try:
        return align(table, truth)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
