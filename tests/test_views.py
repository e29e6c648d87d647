"""harness.inference.views: every view finds a known box; joined views are candidates again."""

import cv2
import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError
from evaluate.nms import nms
from evaluate.tables import Detections
from harness.build import build
from harness.cli.main import main
from harness.images.photos import Photos
from harness.inference.predict import predict
from harness.inference.views import STANDARD, View, fuse_views, join_views, parse_views
from tests.test_predict import BrightSpot

IDS = ("a", "b")


def table(*rows):
    """Rows of image, label, score, x1, y1, x2, y2 over two images and two classes."""
    columns = np.array(rows, np.float64).reshape(-1, 7)
    return Detections(
        IDS, ("cat", "dog"), columns[:, 0], columns[:, 1], columns[:, 3:], columns[:, 2]
    )


def test_the_standard_views_are_three_scales_and_a_flip():
    assert parse_views(STANDARD, 640, 32) == (
        View(544),
        View(640),
        View(800),
        View(640, mirrored=True),
    )
    assert [view.name for view in parse_views("1, 1.25flip", 320, 32)] == ["320", "384flip"]


def test_views_that_a_small_size_makes_the_same_are_one():
    assert parse_views(STANDARD, 64, 32) == (View(64), View(64, mirrored=True))
    assert parse_views("0.1", 64, 32) == (View(32),)


@pytest.mark.parametrize(
    "text", ["", "1,", "flop", "flip1", "0", "0.01", "100", "-1", "1.2.3", "nan", "."]
)
def test_views_that_are_none_are_named(text):
    with pytest.raises(InputError, match="views .*want factors"):
        parse_views(text, 640, 32)


@pytest.mark.parametrize("shape", [(101, 163), (163, 101), (97, 97), (33, 200), (100, 64)])
@pytest.mark.parametrize(
    "view", parse_views("0.5,0.83,1,1.25,0.5flip,0.83flip,flip,1.25flip", 640, 32), ids=str
)
def test_every_view_finds_a_known_box_where_it_is(tmp_path, shape, view):
    h, w = shape
    xyxy = np.array(
        [w // 4, h // 5, w // 4 + w // 3, h // 5 + h // 2]
    )  # nearer to the left and to the top
    photo = np.zeros((h, w, 3), np.uint8)
    photo[xyxy[1] : xyxy[3], xyxy[0] : xyxy[2]] = 255
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    candidates = predict(
        BrightSpot(),
        Photos([tmp_path / "a.png"]),
        ("a",),
        size=view.size,
        mirrored=view.mirrored,
        conf_min=0.5,
    )
    # A resized edge is grey for a pixel of the photo and for one of the network's input; the stub
    # counts white ones.
    np.testing.assert_allclose(candidates.xyxy, [xyxy], atol=0.5 + max(h, w) / view.size)


class Corner(BrightSpot):
    """Gives the box (3, 5, 20, 31) of any photo, and of a mirrored one the mirrored box."""

    def forward(self, images):
        dark = images[:, 0, :, 0].mean(1) < images[:, 0, :, -1].mean(1)  # left darker than right
        width = images.shape[3]
        plain, mirrored = (
            torch.tensor([3.0, 5, 20, 31]),
            torch.tensor([width - 20.0, 5, width - 3, 31]),
        )
        return torch.where(dark[:, None], plain, mirrored)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_mirrored_view_undoes_itself_to_the_last_bit_in_batches_too(tmp_path, batch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for (
        path
    ) in paths:  # 96 x 151: the grey border of 160 pixels is 4 on the left and 5 on the right
        cv2.imwrite(str(path), np.tile(np.arange(151, dtype=np.uint8)[None, :, None], (96, 1, 3)))
    tables = [
        predict(Corner(), Photos(paths), ("a", "b", "c"), size=160, mirrored=mirrored, batch=batch)
        for mirrored in (False, True)
    ]
    assert len(tables[0]) == 6 and np.array_equal(tables[0].xyxy, tables[1].xyxy)


def test_joined_views_are_all_candidates_best_first_up_to_the_cap():
    one = table((0, 0, 0.9, 0, 0, 10, 10), (0, 1, 0.3, 5, 5, 9, 9), (1, 0, 0.2, 0, 0, 4, 4))
    two = table((0, 0, 0.5, 1, 0, 10, 10), (1, 1, 0.8, 2, 2, 6, 6))
    joined = join_views([one, two], 2)
    assert joined.image.tolist() == [0, 0, 1, 1]
    assert joined.score.tolist() == pytest.approx([0.9, 0.5, 0.8, 0.2])
    assert joined.label.tolist() == [0, 0, 1, 0]
    assert len(join_views([one, two], 3000)) == len(one) + len(two)


def test_nms_of_joined_views_keeps_the_better_box_of_two_views():
    one, two = table((0, 0, 0.6, 0, 0, 10, 10)), table((0, 0, 0.7, 0, 0, 10, 11))
    assert nms(fuse_views([one, two], None, 3000), 0.5).score.tolist() == pytest.approx([0.7])


def test_wbf_of_views_averages_the_boxes_of_two_views():
    one, two = table((0, 0, 0.6, 0, 0, 10, 10)), table((0, 0, 0.6, 0, 0, 10, 12))
    candidates = fuse_views([one, two], "wbf", 3000)
    np.testing.assert_allclose(candidates.xyxy, [[0, 0, 10, 11]], atol=1e-5)
    assert candidates.score.tolist() == pytest.approx([0.6])


@pytest.fixture
def run(tmp_path):
    """A random yolov5n for 64 pixels, and a photo."""
    from harness.recipe import Recipe
    from harness.weights import checkpoint

    torch.manual_seed(0)
    recipe = Recipe("yolov5n", image_size=64)
    model = build(recipe, ("cat", "dog"))
    checkpoint.save(
        checkpoint.describe(recipe, model) | {"state": model.state_dict()}, tmp_path / "best.pt"
    )
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    return tmp_path


def test_the_command_writes_the_joined_table_and_one_per_view(run):
    words = ["predict", str(run), "--images", str(run / "photo.png"), "--conf-min", "0", "--out"]
    assert main([*words, str(run / "x.npz"), "--tta", "--each"]) == 0
    views = [Detections.load(run / f"x-{name}.npz") for name in ("64", "64flip")]
    joined = Detections.load(run / "x.npz")
    again = join_views(views, 3000)
    assert np.array_equal(joined.xyxy, again.xyxy) and np.array_equal(joined.score, again.score)
    assert len(list(run.glob("x*.npz"))) == 3
    assert main([*words, str(run / "one.npz")]) == 0
    assert np.array_equal(Detections.load(run / "one.npz").score, views[0].score)


def test_the_command_fuses_the_views_when_asked(run):
    words = ["predict", str(run), "--images", str(run / "photo.png"), "--out", str(run / "x.npz")]
    assert main([*words, "--tta", "--each", "--fuse", "wbf"]) == 0
    views = [Detections.load(run / f"x-{name}.npz") for name in ("64", "64flip")]
    assert np.array_equal(
        Detections.load(run / "x.npz").score, fuse_views(views, "wbf", 3000).score
    )
