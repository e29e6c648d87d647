"""Everything that changes while a network trains, and how a run that was killed goes on.

Nothing else needs remembering. A sample depends on (seed, epoch, photo) alone, learning rates
depend on the number of the step. So at the end of an epoch the weights, their average, the
optimizer's momenta, the scaler, the number of epochs done and the best AP50 say everything about a
run, and last.pt holds exactly these. A run killed at any moment goes on from the end of its last
whole epoch and, on a CPU, ends with the same weights to the bit as a run that nobody interrupted.

At the end of an epoch two files are written, each whole or not at all, in this order:

1. best-so-far.pt, if the epoch scored higher than all before it;
2. last.pt.

Say epoch 6 scores 0.71 and the best so far was 0.68. Killed ...

    before 1        last.pt says: 6 epochs done (0 to 5), best 0.68. Epoch 6 is trained again, from
                    the same weights on the same images, and everything comes out the same.
    between 1 and 2 best-so-far.pt is that of epoch 6 already, last.pt says the same as above. Epoch
                    6 is trained again, scores 0.71 > 0.68 again, and writes the same file again.
    after 2         last.pt says: 7 epochs done, best 0.71. Epoch 7 is next.

The other order would lose weights: between the two, last.pt would say that 0.71 is reached, while
best-so-far.pt still held the weights that scored 0.68, and no later epoch below 0.71 would mend
that. best.pt appears by renaming best-so-far.pt after the last epoch; while it is missing, the run
has not finished.

A start that knows some of the classes is the first best-so-far.pt, before the first step, and no
last.pt goes with it: a run killed before its first epoch is over begins again at the start, scores
it again, and writes the same file again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.build import build
from harness.recipe import Recipe
from harness.run_folder import Run
from harness.training.ema import Ema
from harness.training.log import drop_unfinished_epochs
from harness.training.optimizer import build_optimizer
from harness.weights import checkpoint
from harness.weights.start import start_from
from models.detector import Detector


@dataclass
class TrainingState:
    """What changes from step to step, and what a run has reached."""

    model: Detector
    ema: Ema[Detector]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    epochs_done: int = 0
    best: float = -1.0  # highest AP50 on validation so far; below 0 before the first
    classes_known: int = 0  # by the weights that the training starts from

    @property
    def models(self) -> dict[str, Detector]:
        """The two sets of weights that are validated, under the names that the log gives them."""
        return {"model": self.model, "ema": self.ema.model}

    def end_epoch(self, run: Run, recipe: Recipe, epoch: int, scores: dict[str, float]) -> None:
        """Note that an epoch is done, whose weights reached `scores`, and write both files."""
        # Step 1: the weights, if they are the best so far.
        self.keep_best(run, recipe, epoch, scores)

        # Step 2: what the next epoch starts from.
        self.epochs_done = epoch + 1
        checkpoint.save(
            {
                "model": self.model.state_dict(),
                "ema": self.ema.model.state_dict(),
                "ema_steps": self.ema.steps,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "epochs_done": self.epochs_done,
                "best": self.best,
            },
            run.last,
        )

    def keep_best(self, run: Run, recipe: Recipe, epoch: int, scores: dict[str, float]) -> None:
        """Write best-so-far.pt if these scores beat all before; of equals the plain model's."""
        if max(scores.values()) <= self.best:
            return
        self.best = max(scores.values())
        winner = max(scores, key=lambda name: scores[name])
        state = self.models[winner].state_dict()
        content = {"state": state, "epoch": epoch, "map": self.best, "is": winner}
        described = checkpoint.describe(recipe, self.model)
        checkpoint.save(described | content, run.best_so_far)

    def restore(self, run: Run) -> None:
        """Go back to the end of the last whole epoch, and cut the log to it."""
        content = checkpoint.load(run.last)
        self.model.load_state_dict(content["model"])
        self.ema.model.load_state_dict(content["ema"])
        self.ema.steps = content["ema_steps"]
        self.optimizer.load_state_dict(content["optimizer"])
        if content.get("scaler"):  # empty except in float16
            self.scaler.load_state_dict(content["scaler"])
        self.epochs_done, self.best = content["epochs_done"], content["best"]
        drop_unfinished_epochs(run.log, self.epochs_done)


def start_training(
    recipe: Recipe,
    classes: tuple[str, ...],
    *,
    device: torch.device,
    precision: torch.dtype,
    epoch_steps: int,
    say: Callable[[str], object],
) -> TrainingState:
    """The state before the first step: random weights from the recipe's seed, or other weights.

    `say` is told in one line what was taken from other weights. The caller's random numbers go on
    as if none had been taken here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = build(recipe, classes)
    classes_known = 0
    if recipe.weights:
        start = start_from(recipe.weights, model)
        say(start.line)
        classes_known = start.classes_known
    model.to(device).to(memory_format=torch.channels_last)
    return TrainingState(
        model,
        Ema(model, recipe.ema_epochs * epoch_steps),
        build_optimizer(model, recipe),
        torch.amp.GradScaler(device.type, enabled=precision == torch.float16),
        classes_known=classes_known,
    )
