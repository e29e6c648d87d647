"""What turns gradients into steps: the optimizer, and its rates at every step of a run.

The learning rate of the weights is a warm-up times a fall. For lr = 0.01, lr_final = 0.01, a linear
schedule, 100 epochs of 10 steps and 3 epochs of warm-up:

    step     0    1 / 30 of the way through the warm-up, fall 1         0.01 * 1     / 30 = 0.00033
    step    29    warm-up done, fall 1 - 29 / 999 = 0.971               0.01 * 0.971      = 0.0097
    step   999    the last one, fall 0                                  0.01 * lr_final   = 0.0001

Biases go the other way during the warm-up: they start at `warmup_bias_lr`, which is higher, and
come down to the same rate, so that the objectness of empty cells is learnt before it drowns the
rest. Momentum rises from 0.8 to the recipe's.
"""

import math
from typing import Any

import torch
from torch import nn

from harness.recipe import Recipe

MOMENTUM_START = 0.8  # at the beginning of the warm-up


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW, in three groups: biases, batch norm scales, weights.

    Only weights decay: a bias or a scale that shrinks does not make the network simpler.
    """
    named = list(model.named_parameters())
    # Convolutions have 4 dimensions; what has one is a bias, or a batch norm's scale.
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
    """Set learning rates and momentum for a step (from 0). -> the weights' learning rate."""
    # The fall: from 1 at the first step to 0 at the last, between lr and lr * lr_final.
    warmup_steps, steps = recipe.warmup_epochs * epoch_steps, recipe.epochs * epoch_steps
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    passed = step / max(1, steps - 1)  # 0 at the first step, 1 at the last
    fall = (1 + math.cos(math.pi * passed)) / 2 if recipe.schedule == "cosine" else 1 - passed
    lr = recipe.lr * (recipe.lr_final + (1 - recipe.lr_final) * fall)

    # The warm-up, from each group's own start.
    for group in optimizer.param_groups:
        start = recipe.warmup_bias_lr if group["warms_down"] else 0.0
        group["lr"] = start + (lr - start) * warm
        if "momentum" in group:  # AdamW has none by that name
            group["momentum"] = MOMENTUM_START + (recipe.momentum - MOMENTUM_START) * warm
    return lr * warm
