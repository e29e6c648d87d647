import threading

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from evaluate.exceptions import InputError
from evaluate.tables import GroundTruth
from harness.images.batching import predict_batches, train_batches
from harness.images.letterbox import letterbox
from harness.images.photos import Photos
from harness.training.augment import NO_AUGMENT, Augment, hull

FULL = Augment(
    mosaic=0.7, mixup=0.3, scale=0.5, translate=0.1, hsv_h=0.02, hsv_s=0.5, hsv_v=0.3, flip=0.5
)
SHAPES = [(60, 80), (80, 60), (61, 83), (64, 64), (50, 120), (60, 80), (33, 50)]


@pytest.fixture
def paths(tmp_path):
    """Seven photos; photo i is all noise but for its first pixels, which are near 20 * i."""
    rng = np.random.default_rng(0)
    for i, shape in enumerate(SHAPES):
        photo = rng.integers(0, 256, (*shape, 3), np.uint8)
        photo[:20, :20] = 20 * i
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo)
    return [tmp_path / f"{i}.png" for i in range(len(SHAPES))]


def truth_of(rows, images=7):
    """Rows of (image, label, difficult, x1, y1, x2, y2)."""
    data = np.array(rows, np.float32).reshape(-1, 7)
    names = tuple(f"{i}.png" for i in range(images))
    image, label = data[:, 0].astype(np.int32), data[:, 1].astype(np.int16)
    return GroundTruth(names, ("cat", "dog"), image, label, data[:, 3:], data[:, 2] > 0)


TRUTH = truth_of([(i, i % 2, 0, 5, 5, 35, 30) for i in range(7)])


def epoch_of(photos, truth=TRUTH, **changes):
    options = {
        "augment": FULL,
        "size": 64,
        "batch": 3,
        "seed": 0,
        "epoch": 0,
        "threads": 2,
    } | changes
    return list(train_batches(photos, truth, **options))


def images_of(batches):
    return torch.cat([images for images, _ in batches])


# photos


def test_a_photo_is_rgb_and_read_only(tmp_path):
    PIL.Image.new("RGB", (30, 20), (250, 120, 5)).save(tmp_path / "a.png")
    photo = Photos([tmp_path / "a.png"])[0]
    assert photo.shape == (20, 30, 3) and photo.dtype == np.uint8 and (photo == (250, 120, 5)).all()
    with pytest.raises(ValueError, match="read-only"):
        photo[0] = 0


def test_grey_and_transparent_files_become_three_channels(tmp_path):
    for mode in ("L", "RGBA", "P"):
        PIL.Image.new(mode, (30, 20)).save(tmp_path / "a.png")
        assert Photos([tmp_path / "a.png"])[0].shape == (20, 30, 3)


def test_a_photo_is_turned_as_its_rotation_flag_says(tmp_path):
    image = PIL.Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # "turn me by 90 degrees"
    image.save(tmp_path / "a.jpg", exif=exif)
    photos = Photos([tmp_path / "a.jpg"])
    assert photos[0].shape[:2] == photos.sizes[0] == (30, 20)


@pytest.mark.parametrize("content", [None, b"", b"not an image"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="broken.jpg"):
        Photos([path])[0]
    with pytest.raises(InputError, match="broken.jpg"):
        _ = Photos([path]).sizes


def test_photos_are_kept_while_there_is_room(paths):
    room_for_two = 2 * 60 * 80 * 3
    photos = Photos(paths, cache_bytes=room_for_two)
    assert photos[0] is photos[0] and photos[1] is photos[1]
    assert photos[2] is not photos[2]
    np.testing.assert_array_equal(photos[2], photos[2])


# training


def test_a_sample_does_not_depend_on_threads_or_cache(paths):
    reference = epoch_of(Photos(paths), threads=1)
    for photos, threads in ((Photos(paths), 4), (Photos(paths, cache_bytes=0), 2)):
        again = epoch_of(photos, threads=threads)
        assert torch.equal(images_of(again), images_of(reference))
        for (_, got), (_, want) in zip(again, reference):
            for (labels, xyxy), (want_labels, want_xyxy) in zip(got, want, strict=True):
                assert torch.equal(labels, want_labels) and torch.equal(xyxy, want_xyxy)


def test_seeds_epochs_and_photos_draw_differently(paths):
    same = Photos(paths[:1] * 3)  # three times one photo: only the draw can tell samples apart
    samples = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        batches = epoch_of(
            same,
            truth_of([], images=3),
            augment=Augment(scale=0.5, flip=0.5),
            seed=seed,
            epoch=epoch,
        )
        samples += [image.numpy().tobytes() for image in images_of(batches)]
    assert len(set(samples)) == 9


def test_an_epoch_shows_each_photo_once_in_an_order_of_its_own(paths):
    orders = []
    for epoch in range(3):
        batches = epoch_of(Photos(paths), augment=NO_AUGMENT, epoch=epoch)
        assert [len(images) for images, _ in batches] == [3, 3, 1] and [
            len(t) for _, t in batches
        ] == [3, 3, 1]
        images = images_of(batches)
        labels = [int(label) for _, targets in batches for label, _ in targets]
        row = [(64 - round(h * 64 / max(h, w))) // 2 + 3 for h, w in SHAPES]
        column = [(64 - round(w * 64 / max(h, w))) // 2 + 3 for h, w in SHAPES]
        shown = [
            next(
                i
                for i in range(7)
                if abs(int(image[0, row[i], column[i]]) - 20 * i) <= 1 and i % 2 == label
            )
            for image, label in zip(images, labels)
        ]
        assert sorted(shown) == list(range(7))
        orders.append(shown)
    assert orders[0] != orders[1] != orders[2]


def test_images_are_channels_last_bytes_and_targets_are_tensors(paths):
    images, targets = epoch_of(Photos(paths))[0]
    assert images.shape == (3, 3, 64, 64) and images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    labels, xyxy = targets[0]
    assert (
        labels.dtype == torch.int64
        and xyxy.dtype == torch.float32
        and xyxy.shape == (len(labels), 4)
    )


def test_difficult_boxes_are_left_out_and_others_are_cut_to_the_photo(paths):
    truth = truth_of([(0, 0, 1, 5, 5, 35, 30), (0, 1, 0, -10, 30, 40, 99)], images=1)
    [(_, [(labels, xyxy)])] = epoch_of(Photos(paths[:1]), truth, augment=NO_AUGMENT, size=80)
    assert labels.tolist() == [1]
    np.testing.assert_allclose(
        xyxy, [[0, 40, 40, 70]]
    )  # 60 x 80 photo with 10 grey rows above; y 30 to 60


def test_a_photo_without_boxes_is_background(paths):
    for _, targets in epoch_of(Photos(paths), truth_of([])):
        assert all(labels.shape == (0,) and xyxy.shape == (0, 4) for labels, xyxy in targets)


def test_a_batch_is_not_painted_over_while_it_is_held(paths):
    options = {"augment": FULL, "size": 64, "batch": 1, "seed": 0, "epoch": 0, "threads": 2}
    seen = [
        (images, images.clone()) for images, _ in train_batches(Photos(paths), TRUTH, **options)
    ]
    assert all(torch.equal(held, copy) for held, copy in seen)


def test_photos_and_truth_must_be_of_one_length(paths):
    with pytest.raises(InputError, match="6 photos.* 7 images"):
        epoch_of(Photos(paths[:6]))


def test_a_broken_photo_stops_the_epoch_and_is_named(paths):
    paths[3].write_bytes(b"gone")
    with pytest.raises(InputError, match="3.png"):
        epoch_of(Photos(paths))


def test_a_caller_may_stop_early_and_leaves_no_thread(paths):
    before = threading.active_count()
    batches = train_batches(
        Photos(paths), TRUTH, augment=FULL, size=64, batch=1, seed=0, epoch=0, threads=1
    )
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


# prediction


@pytest.mark.parametrize("batch", [1, 3])
def test_prediction_shows_each_photo_once_as_its_letterbox_whatever_the_batch(paths, batch):
    photos = Photos(paths)
    seen = []
    for positions, images, frames in predict_batches(
        photos, size=64, stride=32, batch=batch, threads=2
    ):
        assert len(positions) == len(images) == len(frames)
        assert len(positions) <= batch
        height, width = images.shape[2:]
        assert height % 32 == width % 32 == 0 and max(height, width) == 64
        for position, image, frame in zip(positions, images, frames):
            canvas, same = letterbox(photos[position], (height, width))
            np.testing.assert_array_equal(image.permute(1, 2, 0), canvas)
            assert frame == same and frame.photo == SHAPES[position] and max(frame.resized) == 64
            assert all(side - new < 32 for side, new in zip((height, width), frame.resized)), (
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
        int(at[0]): tuple(images.shape[2:])
        for at, images, _ in predict_batches(photos, size=640, stride=32, batch=1, threads=1)
    }
    assert shapes == {0: (480, 640), 1: (448, 640), 2: (640, 480)}  # 333 * 1.28 = 426, next 448
    [(_, _, [frame])] = predict_batches(
        Photos([tmp_path / "b.png"]), size=640, stride=32, batch=3, threads=1
    )
    box = np.array([[10.0, 20, 300, 330]])
    np.testing.assert_allclose(frame.to_photo(hull(box, frame.to_canvas())), box, atol=1e-4)


def test_a_size_that_the_network_cannot_take_is_refused(paths):
    with pytest.raises(InputError, match="size 100.*32"):
        predict_batches(Photos(paths), size=100, stride=32, batch=1, threads=1)


def test_no_photos_give_no_batches():
    assert list(predict_batches(Photos([]), size=64, stride=32, batch=1, threads=1)) == []
    assert epoch_of(Photos([]), truth_of([], images=0)) == []
