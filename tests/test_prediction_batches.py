"""harness.inference.batches: each photo once, in its own letterbox, whatever the batch."""

import numpy as np
import PIL.Image
import pytest

from evaluate.exceptions import InputError
from harness.images.letterbox import letterbox
from harness.images.photos import Photos
from harness.inference.batches import predict_batches
from harness.training.painting import hull
from tests.noise import SHAPES, write_noise


@pytest.fixture
def paths(tmp_path):
    return write_noise(tmp_path)


@pytest.mark.parametrize("batch", [1, 3])
def test_prediction_shows_each_photo_once_as_its_letterbox_whatever_the_batch(paths, batch):
    photos = Photos(paths)
    seen = []
    for positions, images, places in predict_batches(
        photos, size=64, stride=32, batch=batch, threads=2
    ):
        assert len(positions) == len(images) == len(places)
        assert len(positions) <= batch
        height, width = images.shape[2:]
        assert height % 32 == width % 32 == 0 and max(height, width) == 64
        for position, image, place in zip(positions, images, places):
            canvas, same = letterbox(photos[position], (height, width))
            np.testing.assert_array_equal(image.permute(1, 2, 0), canvas)
            assert place == same and place.photo == SHAPES[position] and max(place.resized) == 64
            assert all(side - new < 32 for side, new in zip((height, width), place.resized)), (
                "not the smallest canvas"
            )
            seen.append(int(position))
    assert sorted(seen) == list(range(7))


def test_a_batch_of_landscapes_is_as_low_as_the_stride_allows(tmp_path):
    """YOLOv5's protocol: a 500 x 375 photo at 640 is 640 x 480, and 480 is a multiple of 32."""
    for name, size in (("a", (500, 375)), ("b", (500, 333)), ("c", (375, 500))):
        PIL.Image.new("RGB", size).save(tmp_path / f"{name}.png")
    photos = Photos([tmp_path / f"{n}.png" for n in "abc"])
    shapes = {
        int(positions[0]): tuple(images.shape[2:])
        for positions, images, _ in predict_batches(photos, size=640, stride=32, batch=1, threads=1)
    }
    assert shapes == {0: (480, 640), 1: (448, 640), 2: (640, 480)}  # 333 * 1.28 = 426, next 448
    [(_, _, [place])] = predict_batches(
        Photos([tmp_path / "b.png"]), size=640, stride=32, batch=3, threads=1
    )
    box = np.array([[10.0, 20, 300, 330]])
    np.testing.assert_allclose(place.to_photo(hull(box, place.to_canvas())), box, atol=1e-4)


def test_a_size_that_the_network_cannot_take_is_refused(paths):
    with pytest.raises(InputError, match="size 100.*32"):
        predict_batches(Photos(paths), size=100, stride=32, batch=1, threads=1)


def test_no_photos_give_no_batches():
    assert list(predict_batches(Photos([]), size=64, stride=32, batch=1, threads=1)) == []
