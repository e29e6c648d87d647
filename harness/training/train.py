"""The training loop. Read it top to bottom.

1. Write down what the run is made of (harness/run_folder.py).
2. Make everything that changes: random weights, other weights, or where an interrupted run stopped
   (harness/training/state.py, which also says why that is the same to the bit).
3. If the start knows some of the classes, AP50 of it on validation: best.pt never falls below it.
4. For each epoch: a step per batch, then AP50 of the weights and of their average on validation,
   then a checkpoint.
5. Draw the curves, give the best weights their final name, and say so if they are the start.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluate.exceptions import JobError
from evaluate.progress import Advance, Progress, silent
from evaluate.tables import GroundTruth
from harness.data.dataset import Dataset
from harness.device import device_name, pick_precision, precision_name
from harness.images.photos import Photos
from harness.inference.forward import forward
from harness.inference.predict import predict
from harness.inference.validation import CONF_MIN, validation_ap50
from harness.recipe import Recipe
from harness.report.plots import save_curves
from harness.run_folder import START, LogLine, Run
from harness.training.anchor_check import anchor_warning
from harness.training.augment import augment_at
from harness.training.batches import train_batches
from harness.training.log import TrainingLog, write_first_batch
from harness.training.optimizer import set_rates
from harness.training.state import TrainingState, start_training
from models.detector import Detector, Target


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """What a training works on; `TrainingState` is all that it changes."""

    recipe: Recipe
    precision: torch.dtype  # of the trunk
    photos: Photos
    truth: GroundTruth
    val_photos: Photos
    val_truth: GroundTruth
    run: Run

    @property
    def epoch_steps(self) -> int:
        """The last batch of an epoch holds what is left."""
        return -(-len(self.photos) // self.recipe.batch)


def train(
    recipe: Recipe,
    train_set: Dataset,
    val_set: Dataset,
    out: Path,
    *,
    device: torch.device,
    resume: bool,
    progress: Progress = silent,
    say: Callable[[str], object] = lambda line: None,
) -> float:
    """Train and leave `out`/best.pt. -> its AP50 on `val_set`, the highest of start and epochs.

    best.pt holds the weights, plain or averaged, that reached it. `say` gets one line about weights
    that the training starts from, one if the anchors do not fit the boxes, and one at the end if no
    epoch beat the start. Raises InputError when `out` holds another run or the recipe does not fit,
    JobError when the loss is not finite or the device runs out of memory.
    """
    # Step 1: what the run is made of, on disk before the first step.
    precision = pick_precision(recipe.precision, device)
    augment_at(recipe, 0)  # raises for ranges that make no sense, before there is a folder
    run = Run(out)
    run.begin(
        recipe,
        train_set,
        val_set,
        device=device_name(device),
        precision=precision_name(precision),
        resume=resume,
    )

    # Step 2: everything that changes.
    photos, val_photos = Photos(train_set.photos), Photos(val_set.photos)
    job = TrainingJob(recipe, precision, photos, train_set.truth, val_photos, val_set.truth, run)
    state = start_training(
        recipe,
        train_set.truth.classes,
        device=device,
        precision=precision,
        epoch_steps=job.epoch_steps,
        say=say,
    )
    if resume and run.last.exists():
        state.restore(run)
    if warning := anchor_warning(state.model, recipe, photos.sizes, train_set.truth):
        say(warning)

    # Steps 3 and 4: the start, then epochs.
    run_epochs(job, state, progress)

    # Step 5: the run is finished.
    save_curves(run.log, run.curves)
    if run.best_so_far.exists():  # not when a finished run is resumed
        os.replace(run.best_so_far, run.best)
    _, epochs = run.read_log()
    if warning := unbeaten_start(epochs):
        say(f"{run.best}: {warning}")
    return state.best


def run_epochs(job: TrainingJob, state: TrainingState, progress: Progress) -> None:
    """Score the start where it knows anything, then train, score and save epoch by epoch."""
    steps, epochs = job.epoch_steps, job.recipe.epochs
    with (
        progress(
            "train", total=epochs * steps, unit="step", done=state.epochs_done * steps
        ) as advance,
        TrainingLog(job.run, epochs_done=state.epochs_done, epoch_steps=steps) as log,
    ):
        if state.classes_known and not state.epochs_done:
            validate_start(job, state, log)
        for epoch in range(state.epochs_done, epochs):
            started = time.perf_counter()
            train_epoch(job, state, epoch, log, advance)
            trained = time.perf_counter()

            # Both sets of weights are scored, and the better one is kept.
            scores = {name: validate(job, model) for name, model in state.models.items()}
            seconds = {"train": trained - started, "validate": time.perf_counter() - trained}

            # The log first: it is cut to the checkpoint when a killed run resumes.
            log.epoch(epoch, scores, seconds, len(job.photos) / seconds["train"])
            state.end_epoch(job.run, job.recipe, epoch, scores)


def validate_start(job: TrainingJob, state: TrainingState, log: TrainingLog) -> None:
    """Score the weights before the first step, and keep them as the best so far."""
    started = time.perf_counter()
    ap50 = validate(job, state.model)
    scores = dict.fromkeys(state.models, ap50)  # the average is still the model itself
    log.start(scores, time.perf_counter() - started)
    state.keep_best(job.run, job.recipe, START, scores)


def unbeaten_start(epochs: list[LogLine]) -> str:
    """One line if no epoch of the log scored above a validated start, else ""."""
    start = [line["map"]["model"] for line in epochs if line["epoch"] == START]
    trained = [value for line in epochs if line["epoch"] != START for value in line["map"].values()]
    if not start or not trained or max(trained) > start[0]:
        return ""
    return (
        f"is the start: AP50 {start[0]:.3f} untrained, {max(trained):.3f} at best after training; "
        "try a lower lr or fewer epochs"
    )


def train_epoch(
    job: TrainingJob, state: TrainingState, epoch: int, log: TrainingLog, advance: Advance
) -> None:
    """One step per batch, in the epoch's own order."""
    recipe = job.recipe
    batches = train_batches(
        job.photos,
        job.truth,
        augment=augment_at(recipe, epoch),
        size=recipe.image_size,
        batch=recipe.batch,
        seed=recipe.seed,
        epoch=epoch,
        threads=recipe.threads,
    )
    state.model.train()
    for step, (images, targets) in enumerate(batches, start=epoch * job.epoch_steps):
        if step == 0:
            write_first_batch(images, targets, state.model.classes, job.run.first_batch)

        # One step: rates, gradients, and the average of the weights.
        lr = set_rates(state.optimizer, recipe, step, job.epoch_steps)
        losses = train_step(job, state, images, targets)
        state.ema.update(state.model)

        log.step(epoch, step, lr, losses)
        advance(
            1,
            epoch=f"{epoch + 1}/{recipe.epochs}",
            loss=f"{sum(losses.values()):.3f}",
            best=f"{state.best:.3f}",
        )


def train_step(
    job: TrainingJob, state: TrainingState, images: Tensor, targets: list[Target]
) -> dict[str, float]:
    """One step on images (B, 3, S, S) uint8. -> the loss by its parts, before the step.

    In float16 the scaler multiplies the loss so that small gradients do not vanish, divides them
    again before they are clipped, and leaves out a step whose gradients overflow.
    """
    recipe, precision = job.recipe, job.precision
    model, optimizer, scaler = state.model, state.optimizer, state.scaler
    device = next(model.parameters()).device
    try:
        targets = [(labels.to(device), xyxy.to(device)) for labels, xyxy in targets]
        parts = model.loss(forward(model, images, precision), targets)
        values = torch.stack(list(parts.values()))

        # The step's one wait for the device: all parts of the loss in one transfer.
        losses = dict(zip(parts, values.detach().tolist(), strict=True))
        if not math.isfinite(sum(losses.values())):
            other = " or precision=float32" if precision == torch.float16 else ""
            raise JobError(f"loss is not finite: {losses}; try lr={recipe.lr / 2:g}{other}")
        # Down the sum of the parts; their gains are in them already.
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(values.sum()).backward()
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        smaller = f"batch={recipe.batch // 2}" if recipe.batch > 1 else "a smaller image_size"
        settings = f"batch={recipe.batch} image_size={recipe.image_size}"
        raise JobError(f"out of memory at {settings}: try {smaller}") from None

    # Clipped as they are without the scaler's factor, which is 1 except in float16.
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    scaler.step(optimizer)
    scaler.update()
    return losses


def validate(job: TrainingJob, model: Detector) -> float:
    """AP50 in [0, 1] of a model on the validation photos."""
    recipe = job.recipe
    candidates = predict(
        model,
        job.val_photos,
        job.val_truth.image_ids,
        size=recipe.size,
        batch=recipe.batch,
        conf_min=CONF_MIN,
        candidates_max=recipe.candidates_max,
        precision=job.precision,
        threads=recipe.threads,
    )
    return validation_ap50(candidates, job.val_truth, candidates_max=recipe.candidates_max)


def _out_of_memory(error: RuntimeError) -> bool:
    """A GPU raises a type of its own, a CPU only says so."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
