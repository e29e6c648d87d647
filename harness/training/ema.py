"""An average of the weights over the last epochs: better than the last weights, at no cost later.

After each optimizer step, average = (1 - fraction) * average + fraction * weights, where after step
t

    fraction = max(1 / horizon, 9 / (10 + t))

The horizon is given in steps: weights that old still count 1 / e of the newest. A run of 100 photos
at batch 16 has 7 steps per epoch; with ema_epochs = 4 its horizon is 28 steps.

    t = 1       9 / 11 = 0.82     nearly the newest weights alone
    t = 26      9 / 36 = 1 / 4    a horizon of 4 steps
    t = 242     9 / 252 = 1 / 28  the full horizon, from here on

So early on the horizon is about a ninth of the steps taken, and the average is never held back by
the random start. A fixed fraction of 1 / 10,000, as is common, spans ten thousand steps: on a small
data set that is more than the whole run.
"""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class Ema(Generic[Model]):
    """Exponential moving average of a model's weights and batch norm statistics."""

    def __init__(self, model: Model, horizon: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.horizon = max(horizon, 1.0)
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take in the model's weights after an optimizer step."""
        self.steps += 1
        fraction = max(1 / self.horizon, 9 / (10 + self.steps))
        averages, weights = self.model.state_dict(), model.state_dict()
        # Batch norm's running statistics are floats too, and averaged like weights.
        floats = [name for name, value in averages.items() if value.is_floating_point()]
        # a + fraction * (b - a) for all tensors in one call: hundreds of small ones.
        torch._foreach_lerp_(
            [averages[name] for name in floats], [weights[name] for name in floats], fraction
        )
        for name in averages.keys() - set(floats):  # batch norm's counters: the mean has no meaning
            averages[name].copy_(weights[name])
