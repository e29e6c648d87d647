"""harness.training.batches: an epoch is the same, whatever the threads and the cache."""

import threading

import numpy as np
import pytest
import torch

from evaluate.exceptions import InputError
from evaluate.tables import GroundTruth
from harness.images.photos import Photos
from harness.training.augment import Augment
from harness.training.batches import train_batches
from tests.noise import SHAPES, write_noise

FULL = Augment(
    mosaic=0.7, mixup=0.3, scale=0.5, translate=0.1, hsv_h=0.02, hsv_s=0.5, hsv_v=0.3, flip=0.5
)


@pytest.fixture
def paths(tmp_path):
    return write_noise(tmp_path)


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
        batches = epoch_of(Photos(paths), augment=Augment(), epoch=epoch)
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
    [(_, [(labels, xyxy)])] = epoch_of(Photos(paths[:1]), truth, augment=Augment(), size=80)
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


def test_no_photos_give_no_batches():
    assert epoch_of(Photos([]), truth_of([], images=0)) == []
