"""evaluate.diagnosis.tide: each kind by hand, TIDE in plain loops, tidecv's own numbers, laws."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from evaluate.diagnosis.judge import judge_matches
from evaluate.diagnosis.tide import FIXES, tide
from evaluate.diagnosis.verdicts import HIT, KINDS, SIZES, TIDECV, VOC, MatchRule
from evaluate.exceptions import InputError
from evaluate.metrics.matching import match
from evaluate.metrics.voc import voc_map
from evaluate.tables import Detections, GroundTruth
from tests.oracles import detections, random_tables, reordered, truths

CAT, DOG = 0, 1
TRUTH = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60))
DOG_TOO = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60), (0, DOG, 80, 80, 90, 90))
FIRST, SECOND = (0, CAT, 0.9, 0, 0, 10, 10), (0, CAT, 0.7, 50, 50, 60, 60)
THE_DOG = (0, DOG, 0.8, 80, 80, 90, 90)
RULES = [VOC, TIDECV, MatchRule(recall_points=11, detections_max=9)]


def errors(dets, truth, **options):
    return tide(match(dets, truth), truth, **options)


def verdicts(dets, truth, **options):
    return judge_matches(match(dets, truth), truth, **options)


def gains(tide_errors):
    """What adds to mAP, without the zeros."""
    return {fix: gain for fix, gain in tide_errors.total.items() if gain}


def counts(tide_errors):
    return {
        fix: n for fix, n in zip(FIXES, tide_errors.count[0].sum(1).tolist()) if n and fix in KINDS
    }


def kind(det, truth=TRUTH, rule=VOC):
    (only,) = verdicts(detections(det), truth, rule=rule).kind
    return "hit" if only == HIT else KINDS[only] if only >= 0 else "neutral"


def mixed_tables(seed):
    """`random_tables` in all three sizes, with a third of the detections under another class."""
    dets, truth = random_tables(seed)
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(len(dets)) < 1 / 3, rng.integers(0, 3, len(dets)), dets.label)
    return replace(dets, xyxy=dets.xyxy * 5, label=label), replace(truth, xyxy=truth.xyxy * 5)


def test_a_box_that_is_off_is_a_localisation_error():
    # ranks: false positive (IoU 0.4), hit: AP = 1/2 * 1/2. Fixed: hit, hit: 1. Dropped: one of two
    # is found: 1/2. One truth to find: precision 1/2. The other is not missed, because the fix of
    # the box would find it.
    tide_errors = errors(detections((0, CAT, 0.9, 0, 0, 10, 4), SECOND), TRUTH)
    assert tide_errors.mean == 1 / 4 and counts(tide_errors) == {"localisation": 1}
    assert gains(tide_errors) == {
        "localisation": 3 / 4,
        "false_positive": 1 / 4,
        "false_negative": 1 / 4,
    }


def test_a_right_box_of_the_wrong_class_costs_both_classes():
    # cat: one of two found, 1/2. dog: false positive, hit, 1/2. Fixed, the first is a cat: 1 and 1.
    tide_errors = errors(detections((0, DOG, 0.9, 0, 0, 10, 10), SECOND, THE_DOG), DOG_TOO)
    assert tide_errors.ap.tolist()[:2] == [1 / 2, 1 / 2] and counts(tide_errors) == {"class": 1}
    assert gains(tide_errors) == {"class": 1 / 2, "false_positive": 1 / 4, "false_negative": 1 / 4}
    assert tide_errors.per_class["cat"]["class"] == tide_errors.per_class["dog"]["class"] == 1 / 2
    assert tide_errors.per_class["bird"] is None


def test_a_wrong_box_of_the_wrong_class_is_both_and_finds_nothing():
    # as above with IoU 0.4: the fix drops it (dog 1), and the cat is missed (without it one of one
    # is found: cat 1)
    tide_errors = errors(detections((0, DOG, 0.9, 0, 0, 10, 4), SECOND, THE_DOG), DOG_TOO)
    assert counts(tide_errors) == {"both": 1, "missed": 1}
    assert gains(tide_errors) == {
        "both": 1 / 4,
        "missed": 1 / 4,
        "false_positive": 1 / 4,
        "false_negative": 1 / 4,
    }


def test_a_second_box_is_a_duplicate():
    # hit, false positive, hit: (1 + 2/3) / 2 = 5/6
    tide_errors = errors(detections(FIRST, (0, CAT, 0.8, 0, 0, 10, 9), SECOND), TRUTH)
    assert counts(tide_errors) == {"duplicate": 1}
    assert gains(tide_errors) == pytest.approx({"duplicate": 1 / 6, "false_positive": 1 / 6})


def test_a_box_on_nothing_is_background():
    # false positive, hit, hit: precision 1/2, 2/3, its envelope 2/3
    tide_errors = errors(detections((0, CAT, 1, 90, 90, 99, 99), FIRST, SECOND), TRUTH)
    assert counts(tide_errors) == {"background": 1}
    assert gains(tide_errors) == pytest.approx({"background": 1 / 3, "false_positive": 1 / 3})


def test_a_truth_that_nothing_is_near_is_missed():
    tide_errors = errors(detections(FIRST), TRUTH)  # one of two, then one of one
    assert counts(tide_errors) == {"missed": 1} and gains(tide_errors) == {
        "missed": 1 / 2,
        "false_negative": 1 / 2,
    }


def test_the_example_of_judge_is_true():
    truth = truths((0, CAT, 0, 0, 10, 10))
    named = ((CAT, 9), (CAT, 10), (CAT, 4), (DOG, 10), (DOG, 4))  # class and lower edge
    on_cat = [(0, label, 0.9 - n / 10, 0, 0, 10, y2) for n, (label, y2) in enumerate(named)]
    judged = verdicts(detections(*on_cat, (0, CAT, 0.1, 90, 0, 99, 9)), truth)
    kinds = ["hit" if k == HIT else KINDS[k] for k in judged.kind]
    assert kinds == ["hit", "duplicate", "localisation", "class", "both", "background"]


@pytest.mark.parametrize(
    ("label", "y2", "expected"),
    [
        (CAT, 10, "hit"),
        (CAT, 5, "hit"),
        (CAT, 4, "localisation"),
        (CAT, 1, "localisation"),  # IoU 0.1 is in
        (CAT, 0.5, "background"),
        (DOG, 5, "class"),  # IoU 0.5 is in
        (DOG, 4, "both"),
        (DOG, 1, "background"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_limits_belong_to_the_kind_that_tide_gives_them_to(label, y2, expected, rule):
    assert kind((0, label, 0.9, 0, 0, 10, y2), rule=rule) == expected


def test_a_second_box_of_exactly_the_threshold_is_a_localisation_error_that_finds_nothing():
    tide_errors = errors(detections(FIRST, (0, CAT, 0.8, 0, 0, 10, 5), SECOND), TRUTH)
    assert counts(tide_errors) == {"localisation": 1} and tide_errors.total[
        "localisation"
    ] == pytest.approx(1 / 6)


def test_a_box_near_its_own_class_is_a_localisation_error_whatever_else_it_covers():
    truth = truths((0, CAT, 0, 0, 10, 4), (0, DOG, 0, 0, 10, 10))
    assert kind((0, CAT, 0.9, 0, 0, 10, 10), truth) == "localisation"


def test_one_error_per_truth_is_fixed_and_it_is_the_best_of_either_kind():
    # dog on the cat, cat with IoU 0.4: AP 0. The dog ranks first, so fixing classes makes it a hit:
    # AP 1. Fixing boxes only drops the other. With the ranks swapped it is the other way round.
    truth = truths((0, CAT, 0, 0, 10, 10))
    dog, near = (0, DOG, 0.9, 0, 0, 10, 10), (0, CAT, 0.8, 0, 0, 10, 4)
    assert gains(errors(detections(dog, near), truth)) == {"class": 1}
    near = (0, CAT, 1, 0, 0, 10, 4)
    assert gains(errors(detections(dog, near), truth)) == {"localisation": 1}
    assert errors(detections(dog, near), truth).total["class"] == 0


def test_a_class_that_is_never_found_is_missed_unless_it_has_false_positives():
    truth = truths((0, CAT, 0, 0, 10, 10), (0, DOG, 50, 50, 60, 60))
    assert errors(detections(FIRST), truth).per_class["dog"]["missed"] == 1
    assert (
        errors(detections(FIRST, (0, DOG, 0.1, 90, 0, 99, 9)), truth).per_class["dog"]["missed"]
        == 0
    )
    assert gains(errors(detections(), truth)) == {"missed": 1, "false_negative": 1}


@pytest.mark.parametrize("rule", RULES)
def test_difficult_truth_is_neither_missed_nor_near_anything(rule):
    hard = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60), difficult=(0,))
    assert gains(errors(detections(FIRST, FIRST, SECOND), hard, rule=rule)) == {}
    assert kind(FIRST, hard, rule) == "neutral"
    assert (
        kind((0, CAT, 0.9, 6, 0, 16, 10), hard, rule) == "background"
    )  # IoU and part inside: 1/4, 0.4
    assert kind((0, DOG, 0.9, 0, 0, 10, 10), hard, rule) == "background"


@pytest.mark.parametrize("rule", RULES)
def test_difficult_truth_is_not_among_the_missed(rule):
    hard = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60), difficult=(0,))
    tide_errors = errors(detections(), hard, rule=rule)
    assert (
        counts(tide_errors) == {"missed": 1}
        and tide_errors.total["missed"] == tide_errors.total["false_negative"] == 1
    )


@pytest.mark.parametrize(
    ("box", "expected"), [((0, 0, 1, 1), "neutral"), ((0, 5, 10, 15), "background")]
)
def test_by_cocos_rule_a_difficult_truth_excuses_what_is_more_than_half_inside(box, expected):
    hard = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60), difficult=(0,))
    assert kind((0, CAT, 0.9, *box), hard, TIDECV) == expected
    assert kind((0, CAT, 0.9, *box), hard) == "background"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("det", "first", "second"),
    [
        (
            (0, CAT, 0.9, 5, 0, 15, 10),
            (0, CAT, 0, 0, 10, 10),
            (0, CAT, 10, 0, 20, 10),
        ),  # IoU 1/3 with both
        (
            (0, CAT, 0.9, 0, 1, 10, 11),
            (0, CAT, 0, 0, 10, 10),
            (0, CAT, 0, 2, 10, 12),
        ),  # 9/11 with both
        (
            (0, 2, 0.9, 0, 0, 10, 10),
            (0, CAT, 0, 0, 10, 10),
            (0, DOG, 0, 0, 10, 10),
        ),  # the same box: by class name
    ],
)
def test_of_truths_overlapped_equally_the_first_by_box_is_taken_and_not_by_row(
    det, first, second, order, rule
):
    truth = truths(first, second).take(np.array(order))
    assert verdicts(detections(det), truth, rule=rule).target.tolist() == [order.index(0)]


@pytest.mark.parametrize("labels", [(DOG, 2), (2, DOG)])
def test_of_one_box_under_two_classes_with_one_score_the_first_by_name_ranks_first(labels):
    dets = detections(*((0, label, 0.9, 0, 0, 10, 10) for label in labels))
    v = verdicts(dets, TRUTH)
    assert v.label.tolist() == [2, DOG] and v.repairs.tolist() == [True, False]  # bird, dog
    assert verdicts(dets, TRUTH, rule=MatchRule(detections_max=1)).label.tolist() == [2]


def test_a_taken_truth_sends_a_detection_on_only_by_cocos_rule():
    # the second box overlaps both: 0.9 with the taken one, 8/11 with the free one
    truth = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 0, 1, 10, 11))
    dets = detections(FIRST, (0, CAT, 0.8, 0, 0, 10, 9))
    assert counts(errors(dets, truth)) == {"duplicate": 1, "missed": 1}
    assert counts(errors(dets, truth, rule=TIDECV)) == {}


def test_only_the_best_detections_of_an_image_count():
    dets = detections((0, DOG, 0.5, 0, 0, 9, 9), FIRST, (1, CAT, 0.1, 0, 0, 9, 9), SECOND)
    one = verdicts(dets, TRUTH, rule=MatchRule(detections_max=1))
    assert one.row.tolist() == [1, 2] and one.hit.tolist() == [True, False]


def test_an_error_has_the_size_of_its_truth_or_of_its_own_box():
    # areas 32 * 32, 96 * 96 and 96 * 97 are the largest small, the largest medium, and large. The
    # box that is off is medium (96 * 40), its truth large. Ranks: hit, false positive; AP 1/4 of 4
    # truths. One truth forgotten: 1/3. Fixed: 1/2.
    truth = truths(
        (0, 0, 0, 0, 9, 9),
        (0, 0, 100, 0, 132, 32),
        (0, 0, 200, 0, 296, 96),
        (0, 0, 300, 0, 396, 97),
    )
    tide_errors = errors(
        detections((0, CAT, 0.9, 0, 0, 9, 9), (0, CAT, 0.8, 300, 0, 396, 40)), truth
    )
    count = {fix: n for fix, n in zip(FIXES, tide_errors.count[1:].sum(2).T.tolist()) if any(n)}
    assert count == {
        "localisation": [0, 0, 1],
        "missed": [1, 1, 0],
        "false_positive": [0, 1, 0],
        "false_negative": [1, 1, 1],
    }
    assert [tide_errors.per_size[size]["missed"] for size in SIZES] == pytest.approx(
        [1 / 12, 1 / 12, 0]
    )
    assert [tide_errors.per_size[size]["localisation"] for size in SIZES] == pytest.approx(
        [0, 0, 1 / 4]
    )


def plain_tide(dets, truth, rule, size=None):
    """TIDE in loops: AP by class name; by fix, AP by class name once that is fixed.

    With a size, only the errors of that size are fixed.
    """
    ours = [
        {"image": dets.image_ids[i], "name": dets.classes[l], "score": s, "box": tuple(b)}
        for i, l, s, b in zip(
            dets.image.tolist(), dets.label.tolist(), dets.score.tolist(), dets.xyxy.tolist()
        )
    ]
    ours.sort(key=lambda d: (-d["score"], d["image"], d["box"], d["name"]))
    most = rule.detections_max or len(ours)
    ours = [d for n, d in enumerate(ours) if sum(e["image"] == d["image"] for e in ours[:n]) < most]
    real = [
        {
            "image": truth.image_ids[i],
            "name": truth.classes[l],
            "hard": h,
            "box": tuple(b),
            "used": False,
            "by": None,
        }
        for i, l, h, b in zip(
            truth.image.tolist(),
            truth.label.tolist(),
            truth.difficult.tolist(),
            truth.xyxy.tolist(),
        )
    ]
    real.sort(key=lambda t: (t["image"], t["box"], t["name"], t["hard"]))
    for d in ours:
        d["kind"] = plain_match(
            d, [t for t in real if (t["image"], t["name"]) == (d["image"], d["name"])], rule
        )
    for d in ours:
        if d["kind"] is None:
            plain_kind(d, [t for t in real if t["image"] == d["image"] and not t["hard"]])
    names = sorted({t["name"] for t in real if not t["hard"]})

    def ap(fix=None):
        listed = {name: [] for name in dets.classes}
        positives = {name: 0 for name in names}
        for d in ours:
            of = (
                d["truth"]
                if d["kind"] in ("localisation", "class") and fix != "false_positive"
                else d
            )
            wrong = d["kind"] not in ("hit", "neutral") and fix in (d["kind"], "false_positive")
            if wrong and size in (None, plain_size(of["box"])):
                if of is not d and not of["used"] and of["by"] is d:
                    listed[of["name"]].append(True)
            elif d["kind"] != "neutral":
                listed[d["name"]].append(d["kind"] == "hit")
        for t in real:
            lost = not t["used"] and (
                fix == "false_negative" or (fix == "missed" and t["by"] is None)
            )
            if not t["hard"] and not (lost and size in (None, plain_size(t["box"]))):
                positives[t["name"]] += 1
        return {name: plain_ap(listed[name], positives[name], rule.recall_points) for name in names}

    return ap(), {fix: ap(fix) for fix in FIXES}


def plain_match(d, of_class, rule):
    if rule.next_free:
        free = [t for t in of_class if not t["hard"] and not t["used"] and overlap(d, t) >= 0.5]
        if free:
            max(free, key=lambda t: overlap(d, t))["used"] = True
            return "hit"
        return (
            "neutral"
            if any(t["hard"] and overlap(d, t, of_det=True) > 0.5 for t in of_class)
            else None
        )
    best = max(of_class, key=lambda t: overlap(d, t), default=None)
    if best is None or overlap(d, best) < 0.5:
        return None
    if best["hard"]:
        return "neutral"
    first, best["used"] = not best["used"], True
    return "hit" if first else None


def plain_kind(d, real):
    own = max(
        (t for t in real if t["name"] == d["name"]), key=lambda t: overlap(d, t), default=None
    )
    other = max(
        (t for t in real if t["name"] != d["name"]), key=lambda t: overlap(d, t), default=None
    )
    if own and 0.1 <= overlap(d, own) <= 0.5:
        d["kind"], d["truth"] = "localisation", own
    elif other and overlap(d, other) >= 0.5:
        d["kind"], d["truth"] = "class", other
    elif own and overlap(d, own) > 0.5:
        d["kind"] = "duplicate"
    else:
        d["kind"] = "background" if all(overlap(d, t) <= 0.1 for t in real) else "both"
    if "truth" in d and d["truth"]["by"] is None:
        d["truth"]["by"] = d


def plain_ap(hits, positives, points):
    if not positives:
        return float(not hits)
    curve = [(sum(hits[:n]), sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
    steps = (
        [(k, positives) for k in range(1, positives + 1)]
        if points is None
        else [(k, points - 1) for k in range(points)]
    )
    return sum(
        max((p for hit, p in curve if hit * of >= k * positives), default=0) for k, of in steps
    ) / len(steps)


def plain_size(box):
    area = (box[2] - box[0]) * (box[3] - box[1])
    return "small" if area <= 32 * 32 else "medium" if area <= 96 * 96 else "large"


def overlap(d, t, of_det=False):
    a, b = ([Fraction(x) for x in row["box"]] for row in (d, t))
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area_a, area_b = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return float(width * height / (area_a if of_det else area_a + area_b - width * height))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rule", RULES)
def test_agrees_with_tide_in_plain_loops(seed, rule):
    dets, truth = mixed_tables(seed)
    tide_errors = errors(dets, truth, rule=rule)
    for s, size in enumerate((None, *SIZES)):
        ap, fixed = plain_tide(dets, truth, rule, size)
        labels = [truth.classes.index(name) for name in ap]
        np.testing.assert_allclose(tide_errors.ap[labels], list(ap.values()), rtol=0, atol=1e-12)
        want = np.array([[fixed[fix][name] - ap[name] for name in ap] for fix in FIXES])
        np.testing.assert_allclose(tide_errors.gain[s][:, labels], want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_ap_is_that_of_voc_map(seed):
    dets, truth = mixed_tables(seed)
    np.testing.assert_array_equal(errors(dets, truth).ap, voc_map(dets, truth).ap)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rule", RULES)
def test_order_of_rows_images_and_classes_changes_nothing(seed, rule):
    dets, truth = mixed_tables(seed)
    expected = errors(dets, truth, rule=rule)
    for other in (truth, reordered(truth, seed + 100)):
        tide_errors = errors(reordered(dets, seed), other, rule=rule)
        assert tide_errors.per_class == expected.per_class
        for size in SIZES:
            assert tide_errors.per_size[size] == pytest.approx(expected.per_size[size])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rule", RULES)
def test_parts_sum_to_the_whole(seed, rule):
    dets, truth = mixed_tables(seed)
    tide_errors, v = errors(dets, truth, rule=rule), verdicts(dets, truth, rule=rule)
    by_class = [gain for gain in tide_errors.per_class.values() if gain]
    for fix in FIXES:
        assert tide_errors.total[fix] == pytest.approx(np.mean([gain[fix] for gain in by_class]))
    np.testing.assert_array_equal(tide_errors.count[1:].sum(0), tide_errors.count[0])
    np.testing.assert_array_equal(tide_errors.count[0, :5].sum(0), tide_errors.count[0, 6])
    assert tide_errors.count[0, 6].sum() == (v.kind >= 0).sum()
    assert tide_errors.count[0, 7].sum() == (~truth.difficult).sum() - (v.kind == HIT).sum()
    gain = tide_errors.gain[:, :, ~np.isnan(tide_errors.ap)]
    assert gain.min() >= 0 and (gain + tide_errors.ap[~np.isnan(tide_errors.ap)]).max() <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rule", RULES)
def test_with_every_error_fixed_ap_is_one(seed, rule):
    v = verdicts(*mixed_tables(seed), rule=rule)
    ap = v.ap(v.kind >= 0, v.missed)
    assert ap[~np.isnan(ap)] == pytest.approx(1)


@pytest.mark.parametrize("rule", RULES)
def test_the_truth_itself_has_no_errors(rule):
    dets = detections(FIRST, SECOND, THE_DOG)
    tide_errors = errors(dets, DOG_TOO, rule=rule)
    assert (
        tide_errors.mean == 1
        and not tide_errors.count.any()
        and not np.nan_to_num(tide_errors.gain).any()
    )


def arithmetic_tables():
    """30 truths and 270 detections of distinct scores; one image has more than 100."""
    k = np.arange(30)
    low = np.stack([k * 37 % 200, k * 53 % 150], 1)
    side = np.stack([10 + k * 29 % 130, 12 + k * 41 % 110], 1)
    real = np.hstack([low, low + side])
    ids, classes = tuple("abcdef"), ("cat", "dog", "bird")
    truth = GroundTruth(ids, classes, k * 7 % 6, k * 5 % 3, real, np.zeros(30, bool))
    n = np.arange(150)
    off = np.stack([n * 11 % 23, n * 7 % 19], 1) * side[n % 26] // 70
    near = real[n % 26] + np.hstack([off, off])
    m = np.arange(120)
    stray = np.stack(
        [m * 13 % 190, m * 17 % 140, m * 13 % 190 + 9 + m % 50, m * 17 % 140 + 7 + m % 41], 1
    )
    return (
        Detections(
            ids,
            classes,
            np.concatenate([truth.image[n % 26], m * 0]),
            np.concatenate([(truth.label[n % 26] + (n % 26 % 7 == 3)) % 3, m % 3]),
            np.concatenate([near, stray]),
            np.arange(270) * 97 % 509 / 512,
        ),
        truth,
    )


# tidecv 1.0.1 (pycocotools 2.0.11, numpy 2.4.6) of arithmetic_tables(), over 100:
# TIDE().evaluate(...).ap, then fix_main_errors() with fix_special_errors(), then
# fix_main_errors(qual=q) for q in AREA, then by class from the get_ap() of fix_errors(...).objs;
# kinds in the order of FIXES
TIDECV_AP = 0.259188295
TIDECV_GAIN = (
    0.039521298,
    0.027140791,
    0.018537735,
    0.025635321,
    0.047998468,
    0.038159001,
    0.443782002,
    0.124895047,
)
TIDECV_COUNT = (27, 13, 25, 76, 59, 4)
TIDECV_BY_SIZE = {
    "small": (0.00007185, 0, 0.012126143, 0.004505728, 0.039230715, 0.011551211),
    "medium": (0.033023112, 0.027140791, 0.005272541, 0.014185613, 0.005035262, 0.013625045),
    "large": (0.003277343, 0, 0, 0.003227134, 0, 0.00883326),
}
TIDECV_BY_CLASS = {
    "cat": (0.099934416, 0.019152439, 0.003096387, 0.022500585, 0.012673778, 0.034653632),
    "dog": (0.000659218, 0.015388345, 0.010318157, 0.034625028, 0.03452193, 0.065448018),
    "bird": (0.017970261, 0.046881589, 0.042198663, 0.019780351, 0.096799697, 0.014375355),
}


def test_agrees_with_the_tidecv_package():
    tide_errors = errors(*arithmetic_tables(), rule=TIDECV)
    assert tide_errors.mean == pytest.approx(TIDECV_AP, abs=1e-8)
    assert list(tide_errors.total.values()) == pytest.approx(TIDECV_GAIN, abs=1e-8)
    assert tuple(tide_errors.count[0, :6].sum(1)) == TIDECV_COUNT
    for parts, theirs in (
        (tide_errors.per_size, TIDECV_BY_SIZE),
        (tide_errors.per_class, TIDECV_BY_CLASS),
    ):
        for name, gain in theirs.items():
            assert list(parts[name].values())[:6] == pytest.approx(gain, abs=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iou_background": 0.5}, "want 0 < iou_background < iou_min <= 1, there are 0.5 and 0.5"),
        ({"iou_background": 0}, "there are 0 and 0.5"),
        ({"iou_min": float("nan")}, "there are 0.1 and nan"),
        ({"rule": MatchRule(recall_points=1)}, "recall_points is 1, want at least 2"),
        ({"rule": MatchRule(detections_max=0)}, "detections_max is 0, want at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        errors(detections(FIRST), TRUTH, **options)


@pytest.mark.parametrize("truth", [truths(), truths((0, CAT, 0, 0, 1, 1), difficult=(0,))])
def test_a_truth_that_nothing_counts_in_is_refused(truth):
    with pytest.raises(InputError, match="no box that counts"):
        errors(detections(FIRST), truth)
