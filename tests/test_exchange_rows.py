"""evaluate.exchange.rows: folders are written whole; and what the tests of the formats share."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from evaluate.exceptions import BadRows, InputError
from evaluate.exchange.devkit import write_devkit
from evaluate.exchange.yolo_txt import write_yolo
from evaluate.tables import Detections, GroundTruth
from tests.oracles import detections

SIZES = [(375, 500), (64, 96)]  # height, width of a and b

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\r\n\0"), min_size=1, max_size=8
).filter(lambda name: name == name.strip() and "." not in name)
NAMES = st.sampled_from(["my photo", "ü  1 2 3 4 5", "0", "NA"]) | TEXTS
EDGES = st.floats(-(2**13), 2**13, width=32).map(lambda edge: edge if abs(edge) >= 2**-9 else 0.0)
SCORES = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1, width=32)  # ties, and any


@st.composite
def tables(draw):
    images = draw(st.lists(NAMES, unique=True, max_size=4))
    classes = draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
    boxes = draw(
        st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES, SCORES), max_size=6 if images else 0)
    )
    n, pick = len(boxes), draw(st.randoms(use_true_random=False))
    rows = np.array(boxes, np.float64).reshape(-1, 5)
    xyxy = np.stack([rows[:, [0, 1]], rows[:, [2, 3]]])
    xyxy = np.hstack([xyxy.min(axis=0), xyxy.max(axis=0)])
    image, label = ([pick.randrange(len(names)) for _ in range(n)] for names in (images, classes))
    return Detections(tuple(images), tuple(classes), image, label, xyxy, rows[:, 4])


fast = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def as_truth(dets):
    return GroundTruth(
        dets.image_ids, dets.classes, dets.image, dets.label, dets.xyxy, dets.score > 0.5
    )


def saved(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def problems(call, *args, **kwargs):
    with pytest.raises(BadRows) as caught:
        call(*args, **kwargs)
    return caught.value.problems


def fresh(tmp_path):
    return tmp_path / f"new{len(list(tmp_path.iterdir()))}"


def test_an_error_shows_ten_problems_and_holds_all():
    many = [f"row {number}" for number in range(13)]
    error = BadRows(many)
    assert error.problems == many and str(error) == "; ".join([*many[:10], "and 3 more"])
    assert str(BadRows(many[:10])) == "; ".join(many[:10])


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    long = Detections(("ok", "x" * 300), ("cat",), [], [], np.empty((0, 4)), [])
    with pytest.raises(OSError, match="too long"):
        write_yolo(long, tmp_path / "out", SIZES)
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    write_devkit(detections(), tmp_path / "out")
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    with pytest.raises(InputError, match="want a new or an empty folder"):
        write_yolo(detections(), tmp_path / "out", SIZES)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before
    mine = saved(tmp_path / "b.part" / "mine", "")
    with pytest.raises(InputError, match="b.part: left by a run that was cut off"):
        write_devkit(detections(), tmp_path / "b")
    assert mine.exists() and not (tmp_path / "b").exists()
