"""The demo set: the same bytes every time, tight boxes, enough of everything."""

import hashlib
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest

from evaluate.exceptions import InputError
from harness.data import demo, demo_shapes
from harness.data.dataset import load_split, open_data
from harness.data.demo import draw_scene, make_demo
from harness.data.doctor import check_dataset
from tests.progress import Tasks


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "set"
    make_demo(out, train=30, val=12, test=8)
    return out


def hashes(root):
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small, tmp_path):
    make_demo(tmp_path / "again", train=30, val=12, test=8)
    assert hashes(tmp_path / "again") == hashes(small)
    make_demo(tmp_path / "other", seed=1, train=1, val=1, test=1)
    theirs = hashes(tmp_path / "other")["JPEGImages/train_0000.jpg"]
    assert theirs != hashes(small)["JPEGImages/train_0000.jpg"]


def test_asking_for_more_photos_keeps_the_first_ones(small, tmp_path):
    make_demo(tmp_path / "few", train=3, val=1, test=2)
    ours, all_of_them = hashes(tmp_path / "few"), hashes(small)
    assert sum(name.startswith("JPEGImages") for name in ours) == 6
    for name in ours:
        assert name.startswith("ImageSets") or ours[name] == all_of_them[name]


def test_it_loads_with_no_finding_and_every_class(small):
    checked = check_dataset(small)
    assert checked.problems == () and checked.classes == (
        "fish",
        "kite",
        "leaf",
        "mug",
        "rocket",
        "star",
    )
    assert open_data(small).splits == ("test", "train", "val")
    data = load_split(small, "train")
    assert len(data.photos) == 30 and data.skipped == ()
    assert all(checked.splits["train"].per_class.values())
    widths, heights = (data.truth.xyxy[:, 2:] - data.truth.xyxy[:, :2]).T
    assert 5 <= min(widths.min(), heights.min()) and max(widths.max(), heights.max()) <= 170


def test_every_box_lies_inside_its_photo_and_truncated_ones_touch_its_border(small):
    for file in (small / "Annotations").glob("*.xml"):
        root = ET.parse(file).getroot()
        width, height = (int(root.find(f"size/{key}").text) for key in ("width", "height"))
        for found in root.iter("object"):
            x1, y1, x2, y2 = (
                int(found.find(f"bndbox/{key}").text) for key in ("xmin", "ymin", "xmax", "ymax")
            )
            assert 1 <= x1 < x2 <= width and 1 <= y1 < y2 <= height
            touches = x1 == 1 or y1 == 1 or x2 == width or y2 == height
            assert touches or found.find("truncated").text == "0"


def test_a_box_is_the_tight_one_of_the_pixels_inside_the_photo(monkeypatch):
    # a patch of 20 x 20 with a thing on its columns 4..15 and rows 6..9: a box of 12 x 4, unless
    # the border cuts it
    patch = np.zeros((20, 20, 5), np.uint8)
    patch[6:10, 4:16, 3] = 255
    patch[6:10, 4:16, :3] = (0, 0, 255)
    monkeypatch.setattr(demo_shapes, "render", lambda *_: patch)
    monkeypatch.setattr(demo, "SIZES", ((40, 56),))
    whole = cut = 0
    for i in range(120):
        photo, things = draw_scene(np.random.default_rng(i))
        red = (photo[..., 2] > 200) & (photo[..., :2] < 60).all(2)
        if len(things) != 1:
            continue
        x1, y1, x2, y2 = things[0].corners
        ys, xs = np.nonzero(red)
        assert (x1, y1, x2, y2) == (xs.min() + 1, ys.min() + 1, xs.max() + 1, ys.max() + 1)
        assert things[0].truncated == ((x2 - x1 + 1, y2 - y1 + 1) != (12, 4))
        whole, cut = whole + (not things[0].truncated), cut + things[0].truncated
    assert whole and cut


def test_things_keep_enough_visible_and_some_scenes_are_special():
    scenes = [draw_scene(np.random.default_rng([0, 0, i]))[1] for i in range(100)]
    counts = [len(things) for things in scenes]
    assert min(counts) == 0 and max(counts) == 7 and 3 <= np.mean(counts) <= 4.5
    things = [thing for scene in scenes for thing in scene]
    assert 0.01 < np.mean([thing.difficult for thing in things]) < 0.1
    assert 0.1 < np.mean([thing.truncated for thing in things]) < 0.5
    for thing in things:
        x1, y1, x2, y2 = thing.corners
        assert not thing.difficult or max(x2 - x1, y2 - y1) < 1.3 * demo.DIFFICULT_LENGTH


def test_every_drawing_fills_its_frame_and_is_told_by_its_outline():
    covers = {}
    for name in demo_shapes.DRAWINGS:
        points = np.concatenate([part.points for part in demo_shapes.DRAWINGS[name]()])
        assert np.abs(points).max() <= 1.05 and np.ptp(points, axis=0).max() > 1.5
        patch = demo_shapes.render(name, 100, np.eye(2), np.full((4, 3), 128.0), 0.0)
        assert patch.dtype == np.uint8 and patch.shape[0] == patch.shape[1] and patch.shape[2] == 5
        assert (
            not patch[[0, -1], :, 3].any() and not patch[:, [0, -1], 3].any()
        )  # the border cuts nothing off
        middle = patch.shape[0] // 2
        covers[name] = patch[middle - 60 : middle + 60, middle - 60 : middle + 60, 3] > 127
    for a in covers:
        for b in covers:
            alike = (covers[a] & covers[b]).sum() / (covers[a] | covers[b]).sum()
            assert (alike > 0.8) == (a == b)


def test_it_writes_to_a_new_folder_whole_or_not_at_all(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    with pytest.raises(InputError, match="want a new or empty folder"):
        make_demo(tmp_path / "full")

    @contextmanager
    def stop_at_two(task, **options):
        photos = count(1)

        def advance(units):
            if next(photos) == 2:
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "new", train=4, val=1, test=1, progress=stop_at_two)
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    tasks = Tasks()
    make_demo(tmp_path / "new", train=2, val=1, test=1, progress=tasks)
    assert tasks.done == tasks.totals == {"draw": 4}
    photos = sorted(path.stem for path in (tmp_path / "new/JPEGImages").iterdir())
    assert photos == ["test_0000", "train_0000", "train_0001", "val_0000"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "new"]
