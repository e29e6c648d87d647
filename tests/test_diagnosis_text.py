"""harness.report.diagnosis_text: what `harness errors` says, in words and as JSON."""

import json

import pytest

from evaluate.diagnosis.diagnose import diagnose
from harness.report.diagnosis_text import (
    diagnosis_in_words,
    diagnosis_json,
    largest_gain,
    most_confused,
)
from tests.oracles import detections, random_tables, truths

CAT, DOG = 0, 1
HERE, THERE, NOWHERE = (0, 0, 10, 10), (50, 50, 60, 60), (90, 90, 99, 99)
TRUTH = truths((0, CAT, *HERE), (0, DOG, *THERE), (1, DOG, *HERE))
DETS = detections(
    (0, CAT, 0.9, *THERE),
    (0, CAT, 0.8, *HERE),
    (1, CAT, 0.7, *HERE),
    (1, DOG, 0.6, *HERE),
    (0, DOG, 0.1, *NOWHERE),
)


def test_the_text_names_what_costs_most_and_what_is_mixed_up():
    text = diagnosis_in_words(diagnose(DETS, TRUTH, conf=0.5))
    assert "most to gain     class, 0.5000; by class cat 0.5000, dog 0.5000" in text
    assert "of the detections from conf 0.5000:\nmost confused    dog taken for cat twice" in text
    assert "missed           0 of 3 truths" in text
    assert "false positives  1: dog 1" in text
    assert (
        "from conf 0.5000" in text
        and "ECE 0.5500 (95 % over images 0.5500 to 0.5500) over 4 detections, scores 0.2500 above"
        in text.splitlines()[-1]
    )


def test_false_positives_name_the_worst_class_first():
    alarms = detections((0, CAT, 0.9, *NOWHERE), (0, DOG, 0.9, *NOWHERE), (1, DOG, 0.9, *NOWHERE))
    assert "false positives  3: dog 2, cat 1" in diagnosis_in_words(diagnose(alarms, TRUTH))


def test_the_confusion_is_at_the_best_confidence_unless_one_is_given():
    # from 0.6: 2 hits of 4 boxes and 3 truths, F1 4/7; from 0.8: 2/5
    diagnosis = diagnose(DETS, TRUTH)
    assert diagnosis.confusion.conf == diagnosis.curve.best.conf == pytest.approx(0.6)
    assert (
        "best F1          0.5714 at conf 0.6000: precision 0.5000, recall 0.6667"
        in diagnosis_in_words(diagnosis)
    )
    assert diagnose(DETS, TRUTH, conf=0.75).confusion.conf == 0.75


def test_nothing_wrong_is_said_so():
    diagnosis = diagnose(
        detections((0, CAT, 1, *HERE), (0, DOG, 1, *THERE), (1, DOG, 1, *HERE)), TRUTH
    )
    assert (
        largest_gain(diagnosis.tide) == ""
        and most_confused(diagnosis.confusion) == "no class taken for another"
    )
    assert "ECE 0.0000 (95 % over images 0.0000 to 0.0000) over 3 detections" in diagnosis_in_words(
        diagnosis
    )


def test_without_detections_there_is_still_a_text():
    diagnosis = diagnose(detections(), TRUTH)
    assert "missed           3 of 3 truths" in diagnosis_in_words(
        diagnosis
    ) and "nothing to measure" in diagnosis_in_words(diagnosis)
    assert diagnosis_json(diagnosis)["best_f1"]["all"] is None


@pytest.mark.parametrize("seed", range(3))
def test_the_dict_is_json_and_agrees_with_itself(seed):
    diagnosis = json.loads(
        json.dumps(diagnosis_json(diagnose(*random_tables(seed))), allow_nan=False)
    )
    assert {"map", "fixes", "counts", "per_class", "per_size"} <= set(diagnosis)
    assert (
        diagnosis["best_f1"]["per_class"]["bird"] is None and diagnosis["per_class"]["bird"] is None
    )  # no truth
    assert diagnosis["confusion"]["conf"] == diagnosis["best_f1"]["all"]["conf"]
    assert len(diagnosis["confusion"]["matrix"]) == len(diagnosis["confusion"]["rows"]) == 4
    for part in diagnosis["calibration"].values():
        assert sum(of["detections"] for of in part["bins"]) == part["detections"]
