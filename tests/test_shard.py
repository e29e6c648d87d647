"""harness.inference.shard: several processes leave the table that one alone leaves."""

import os
import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError
from evaluate.tables import Detections
from harness.build import build
from harness.cli.main import main
from harness.inference.shard import Shard, merge
from harness.recipe import Recipe
from harness.weights import checkpoint


def table(ids, images, scores):
    xyxy = np.tile([0.0, 0, 1, 1], (len(images), 1))
    return Detections(
        ids, ("cat",), np.array(images), np.zeros(len(images)), xyxy, np.array(scores)
    )


def test_shards_are_disjoint_whole_and_within_one_photo_of_each_other():
    photos = tuple(range(8))
    parts = [Shard(rank, 3).of(photos) for rank in range(3)]
    assert sorted(sum(parts, ())) == list(photos) and {len(part) for part in parts} == {2, 3}
    assert Shard().of(photos) == photos
    with pytest.raises(InputError, match="a photo for each of 9 processes, there are 8"):
        Shard(0, 9).of(photos)


def test_merged_parts_are_in_the_order_of_the_photos():
    parts = [table(("a", "c"), [0, 1, 1], [0.1, 0.9, 0.2]), table(("b",), [0], [0.5])]
    whole = merge(parts)
    assert whole.image_ids == ("a", "b", "c")
    assert whole.image.tolist() == [0, 1, 2, 2]
    assert whole.score.tolist() == pytest.approx([0.1, 0.5, 0.9, 0.2])


def test_merging_the_shares_of_a_table_gives_it_back():
    rng = np.random.default_rng(0)
    ids = tuple("abcdefg")
    whole = table(ids, np.sort(rng.integers(7, size=40)), rng.random(40))
    for count in (1, 2, 3, 7):
        parts = []
        for rank in range(count):
            own = whole.take(whole.image % count == rank)
            parts.append(table(ids[rank::count], own.image // count, own.score))
        again = merge(parts)
        assert again.image_ids == ids and np.array_equal(again.image, whole.image)
        assert np.array_equal(again.score, whole.score)


@pytest.fixture
def words(tmp_path):
    """A command that predicts five photos in three views, and a random model for it."""
    torch.manual_seed(0)
    recipe = Recipe("yolov5n", image_size=64)
    model = build(recipe, ("cat", "dog"))
    checkpoint.save(
        checkpoint.describe(recipe, model) | {"state": model.state_dict()}, tmp_path / "best.pt"
    )
    (tmp_path / "photos").mkdir()
    for i in range(5):
        photo = np.random.default_rng(i).integers(0, 255, (64, 96 - 8 * i, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), photo)
    views = ["--views", "1,1.5flip,flip", "--each", "--batch", "2"]
    return ["predict", str(tmp_path), "--images", str(tmp_path / "photos"), *views]


def started(words, count):
    """`count` harness processes as torchrun starts them."""
    script = "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", script, *words],
            env=os.environ | here | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def test_two_processes_leave_the_tables_that_one_leaves(words, tmp_path):
    processes = started([*words, "--out", str(tmp_path / "two" / "x.npz")], 2)
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "on 5 images" in outputs[0][0] and outputs[1][0] == ""
    assert main([*words, "--out", str(tmp_path / "one" / "x.npz")]) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == names
    assert names == ["x-64.npz", "x-64flip.npz", "x-96flip.npz", "x.npz"]
    for name in names:
        one, two = (Detections.load(tmp_path / folder / name) for folder in ("one", "two"))
        assert one.image_ids == two.image_ids and np.array_equal(one.image, two.image)
        np.testing.assert_allclose(two.score, one.score, atol=1e-6)
        np.testing.assert_allclose(two.xyxy, one.xyxy, atol=1e-3)
