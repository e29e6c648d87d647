"""Batches for training: every photo once per epoch, augmented, in random order.

A sample depends on the seed, the epoch and its photo alone. Each one has a generator of its own,
seeded with [1, seed, epoch, photo]; the order of an epoch has one seeded with [0, seed, epoch]. So
neither the number of threads nor the batch size changes a sample, and an epoch that is trained
again after a kill sees the same images.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.tables import GroundTruth
from harness.images.batching import filled_batches, split_order
from harness.images.letterbox import Image
from harness.images.photos import Photos
from harness.training.augment import Augment, sample_augment
from harness.training.painting import LabelledPhoto, paint_sample
from models.detector import Target


def train_batches(
    photos: Photos,
    truth: GroundTruth,
    *,
    augment: Augment,
    size: int,
    batch: int,
    seed: int,
    epoch: int,
    threads: int,
) -> Iterator[tuple[Tensor, list[Target]]]:
    """One epoch -> images (B, 3, size, size) uint8; one target per image.

    `photos[i]` shows `truth.image_ids[i]`. Boxes marked difficult are left out, as VOC's lists do.
    The last batch holds what is left. Raises InputError when photos and truth do not match, or for
    a photo that cannot be read.
    """
    if len(photos) != len(truth.image_ids):
        raise InputError(f"{len(photos)} photos, but the truth lists {len(truth.image_ids)} images")
    learned = truth.take(~truth.difficult)
    rows = list(learned.rows_by_image())  # rows[i]: those of image i

    def load(index: int) -> LabelledPhoto:
        photo = photos[index]
        h, w = photo.shape[:2]
        return photo, learned.label[rows[index]], learned.xyxy[rows[index]].clip(0, [w, h, w, h])

    # On a thread of the pool: the generator depends on the photo alone, not on who runs first.
    def fill(index: int, out: Image) -> Target:
        rng = np.random.default_rng([1, seed, epoch, index])
        sampled = sample_augment(rng, index, len(photos), augment, len(out))
        labels, xyxy = paint_sample(sampled, load, out)
        return torch.from_numpy(labels), torch.from_numpy(xyxy)

    order = np.random.default_rng([0, seed, epoch]).permutation(len(photos))
    batches = split_order(order, batch)
    for _, images, targets in filled_batches(batches, [(size, size)] * len(batches), fill, threads):
        yield images, targets
