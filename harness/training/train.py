"""The training loop. Read it top to bottom.

A run folder holds recipe.toml, run.json (where it came from), log.jsonl (a line a step, a line an epoch), TensorBoard
events, first_batch.jpg, curves.png, last.pt to resume from, and best.pt. best.pt comes last, by rename: while it is
missing, the run has not finished.

Bit-for-bit: augmentation depends on (seed, epoch, photo) alone, and last.pt holds everything else that changes. So a
run killed at any moment resumes from the end of its last whole epoch and, on the CPU, ends with the same weights.
"""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from evaluate.exceptions import InputError, JobError
from evaluate.files import written_whole
from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import GroundTruth
from harness.build import build
from harness.data.dataset import Dataset
from harness.device import device_name, pick_precision
from harness.images.drawing import draw_boxes, grid, write_jpeg
from harness.images.photos import Photos
from harness.inference.predict import forward, predict
from harness.recipe import Recipe
from harness.report.plots import save_curves
from harness.run_folder import Run
from harness.training.augment import augment_at
from harness.training.batches import train_batches
from harness.training.ema import Ema
from harness.weights import catalogue, checkpoint
from models.detector import Detector, Target
from models.weights import WeightsError, transfer

VAL_IOU = 0.6


def train(
    recipe: Recipe,
    train_set: Dataset,
    val_set: Dataset,
    out: Path,
    *,
    device: torch.device,
    resume: bool,
) -> float:
    """Train and leave `out`/best.pt, the weights (plain or averaged) with the best AP50 on `val_set`. -> that AP50.

    Raises InputError where `out` holds another run, JobError at a loss that is not finite or when memory ends.
    """
    on = device
    precision = pick_precision(recipe.precision, on)
    run = Run(out)
    run.begin(
        recipe,
        train_set,
        val_set,
        device=device_name(on),
        precision=str(precision).removeprefix("torch."),
        resume=resume,
    )

    torch.manual_seed(recipe.seed)
    model = build(recipe, train_set.truth.classes)
    if recipe.weights:
        _start_from(recipe.weights, model)
    model.to(on).to(memory_format=torch.channels_last)
    photos = Photos(train_set.photos)
    val_photos = Photos(val_set.photos)
    epoch_steps = -(-len(photos) // recipe.batch)
    ema = Ema(model, recipe.ema_epochs * epoch_steps)
    optimizer = build_optimizer(model, recipe)
    scaler = torch.amp.GradScaler(on.type, enabled=precision == torch.float16)
    done, best = 0, -1.0
    if resume and run.last.exists():
        done, best = _restore(run, model, ema, optimizer, scaler)

    bar = tqdm(
        total=recipe.epochs * epoch_steps,
        initial=done * epoch_steps,
        desc="train",
        unit="step",
        mininterval=1,
    )
    with (
        bar,
        open(run.log, "a" if done else "w") as log,
        SummaryWriter(out, purge_step=done * epoch_steps) as board,
    ):
        for epoch in range(done, recipe.epochs):
            started = time.perf_counter()
            model.train()
            batches = train_batches(
                photos,
                train_set.truth,
                augment=augment_at(recipe, epoch),
                size=recipe.image_size,
                batch=recipe.batch,
                seed=recipe.seed,
                epoch=epoch,
                threads=recipe.threads,
            )
            for step, (images, targets) in enumerate(batches, start=epoch * epoch_steps):
                if step == 0:
                    _picture(images, targets, model.classes, run.first_batch)
                lr = set_rates(optimizer, recipe, step, epoch_steps)
                parts = train_step(model, images, targets, optimizer, scaler, recipe, precision)
                ema.update(model)
                log.write(
                    json.dumps({"epoch": epoch, "step": step, "lr": lr, "loss": parts}) + "\n"
                )
                for name, value in parts.items():
                    board.add_scalar(f"loss/{name}", value, step)
                total = sum(parts.values())
                bar.set_postfix(
                    epoch=f"{epoch + 1}/{recipe.epochs}", loss=f"{total:.3f}", best=f"{best:.3f}"
                )
                bar.update()

            trained = time.perf_counter()
            scores = {
                "model": validate(model, val_photos, val_set.truth, recipe, precision),
                "ema": validate(ema.model, val_photos, val_set.truth, recipe, precision),
            }
            for name, value in scores.items():
                board.add_scalar(f"map/{name}", value, (epoch + 1) * epoch_steps)
            speed = len(photos) / (trained - started)
            seconds = {"train": trained - started, "validate": time.perf_counter() - trained}
            line = {"epoch": epoch, "map": scores, "seconds": seconds, "images_per_second": speed}
            log.write(json.dumps(line) + "\n")
            log.flush()

            # best-so-far.pt first: killed between the two, the run trains this epoch again and writes the same.
            if max(scores.values()) > best:
                best = max(scores.values())
                winner = max(scores, key=lambda name: scores[name])
                state = (ema.model if winner == "ema" else model).state_dict()
                found = {"state": state, "epoch": epoch, "map": best, "is": winner}
                checkpoint.save(checkpoint.describe(recipe, model) | found, run.best_so_far)
            content = {
                "model": model.state_dict(),
                "ema": ema.model.state_dict(),
                "ema_steps": ema.steps,
            }
            content |= {
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "epochs_done": epoch + 1,
                "best": best,
            }
            checkpoint.save(content, run.last)

    save_curves(run.log, run.curves)
    if run.best_so_far.exists():
        os.replace(run.best_so_far, run.best)
    return best


def train_step(
    model: Detector,
    images: Tensor,
    targets: list[Target],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    recipe: Recipe,
    precision: torch.dtype,
) -> dict[str, float]:
    """One step down the loss of images (B, 3, S, S) uint8. -> the loss by its parts, before the step.

    In float16 the scaler keeps small gradients from vanishing, and leaves out a step whose gradients overflow.
    """
    on = next(model.parameters()).device
    try:
        targets = [(labels.to(on), xyxy.to(on)) for labels, xyxy in targets]
        parts = model.loss(forward(model, images, precision), targets)
        values = torch.stack(list(parts.values()))
        shown = dict(
            zip(parts, values.detach().tolist(), strict=True)
        )  # the step's one device sync
        if not math.isfinite(sum(shown.values())):
            other = " or precision=float32" if precision == torch.float16 else ""
            raise JobError(f"loss is not finite: {shown}; try lr={recipe.lr / 2:g}{other}")
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(values.sum()).backward()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(
            error
        ):
            raise
        smaller = f"batch={recipe.batch // 2}" if recipe.batch > 1 else "a smaller image_size"
        what = f"out of memory at batch={recipe.batch} image_size={recipe.image_size}"
        raise JobError(f"{what}: try {smaller}") from None
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    scaler.step(optimizer)
    scaler.update()
    return shown


def validate(
    model: Detector, photos: Photos, truth: GroundTruth, recipe: Recipe, precision: torch.dtype
) -> float:
    """AP50 in [0, 1] at confidence 0.001 and NMS IoU 0.6."""
    candidates = predict(
        model,
        photos,
        truth.image_ids,
        size=recipe.size,
        batch=recipe.batch,
        candidates_max=recipe.candidates_max,
        precision=precision,
        threads=recipe.threads,
    )
    return voc_map(nms(candidates, VAL_IOU, candidates_max=recipe.candidates_max), truth).map


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW, in three groups: biases, batch norm scales, and weights, which decay."""
    named = list(model.named_parameters())
    biases = [p for name, p in named if name.endswith("bias")]
    scales = [p for name, p in named if not name.endswith("bias") and p.ndim == 1]
    weights = [p for name, p in named if p.ndim > 1]
    groups: list[dict[str, Any]] = [
        {"params": biases, "weight_decay": 0.0, "warms_down": True},
        {"params": scales, "weight_decay": 0.0, "warms_down": False},
        {"params": weights, "weight_decay": recipe.weight_decay, "warms_down": False},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)


def set_rates(
    optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, epoch_steps: int
) -> float:
    """Set this step's learning rates and momentum. -> the learning rate of the weights."""
    warmup, total = recipe.warmup_epochs * epoch_steps, recipe.epochs * epoch_steps
    warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
    progress = step / max(1, total - 1)
    fall = (1 + math.cos(math.pi * progress)) / 2 if recipe.schedule == "cosine" else 1 - progress
    lr = recipe.lr * (recipe.lr_final + (1 - recipe.lr_final) * fall)
    for group in optimizer.param_groups:
        start = recipe.warmup_bias_lr if group["warms_down"] else 0.0
        group["lr"] = start + (lr - start) * warm
        if "momentum" in group:
            group["momentum"] = 0.8 + (recipe.momentum - 0.8) * warm
    return lr * warm


def _start_from(name: str, model: Detector) -> None:
    path = catalogue.resolve(name)
    weights, _ = checkpoint.read_weights(path)
    try:
        new = transfer(weights, model)
    except WeightsError as error:
        raise InputError(f"{path}: {error}") from None
    parts = "trunk and boxes" if weights.classes else "backbone"
    carried = len(model.classes) - len(new)
    told = f"; starting at random: {', '.join(new)}" if new else ""
    tqdm.write(
        f"{path}: {parts} and {carried} of {len(model.classes)} classes carried over{told}",
        sys.stderr,
    )


def _restore(
    run: Run,
    model: nn.Module,
    ema: Ema[Detector],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> tuple[int, float]:
    """Go back to the end of the last whole epoch. -> epochs done, best AP50 so far."""
    content = checkpoint.load(run.last)
    model.load_state_dict(content["model"])
    ema.model.load_state_dict(content["ema"])
    ema.steps = content["ema_steps"]
    optimizer.load_state_dict(content["optimizer"])
    if content.get("scaler"):  # empty but in float16
        scaler.load_state_dict(content["scaler"])
    log = run.log
    kept = []
    for line in log.read_text().splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["epoch"] >= content["epochs_done"]:
            break  # of an epoch that was cut short and is now trained again
        kept.append(line)
    with written_whole(log) as scratch:
        scratch.write_text("".join(kept))
    return content["epochs_done"], content["best"]


def _picture(images: Tensor, targets: list[Target], classes: tuple[str, ...], path: Path) -> None:
    """The first training batch as the network sees it, up to 16 images with their boxes."""
    tiles = [
        draw_boxes(
            image.permute(1, 2, 0).numpy(),
            xyxy.numpy(),
            labels.numpy(),
            [classes[i] for i in labels],
        )
        for image, (labels, xyxy) in zip(images[:16], targets[:16], strict=True)
    ]
    write_jpeg(grid(tiles, columns=min(4, len(tiles))), path)
