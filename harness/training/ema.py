"""An average of the weights over the last epochs: better than the last weights, at no cost in inference."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class Ema(Generic[Model]):
    """Exponential moving average of a model's weights and batch norm statistics.

    The horizon is said in steps (epochs times steps an epoch): weights that old still count 1/e. The rule of fixed
    decay 0.9999 counts in tens of thousands of steps and does nothing on a small data set. Early on the horizon is
    about a ninth of the steps taken, so the average is never held back by the start.
    """

    def __init__(self, model: Model, horizon: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.horizon = max(horizon, 1.0)
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take in the model's weights after an optimiser step."""
        self.steps += 1
        share = max(1 / self.horizon, 9 / (10 + self.steps))
        mine, theirs = self.model.state_dict(), model.state_dict()
        averaged = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in averaged], [theirs[n] for n in averaged], share)
        for name in mine.keys() - set(averaged):
            mine[name].copy_(theirs[name])
