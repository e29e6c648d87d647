"""How a box moves: steady motion that is nudged at random, seen through a detector's blur.

A state is (2, 4): centre x, centre y, width, height in pixels, and their change a second. Its spread is (3,): variance
of the value, covariance, variance of the change. Spreads are in units of the box's own size, so large and small boxes,
and all four numbers, share them. Imports numba: import this module late.

Source: the Kalman filter with white-noise acceleration, and the smoother of Rauch, Tung and Striebel (1965).
"""

from typing import Any

import numba
import numpy as np

BLUR = 0.05**2  # variance of a box's place at score 1; at a lower score it is larger in proportion
NUDGE = 1.0  # how much the variance of the speed grows in a second
SPEED = 2.0**2  # variance of the speed before it is known: some two box sizes a second


@numba.njit(cache=True)
def begin(seen: Any, weight: float) -> Any:
    """(4,) cxcywh -> state (2, 4), spread (3,)."""
    state = np.zeros((2, 4))
    state[0] = seen
    return state, np.array([BLUR / weight, 0.0, SPEED])


@numba.njit(cache=True)
def advance(state: Any, spread: Any, seconds: float) -> None:
    """Move a state on, in place."""
    state[0] += seconds * state[1]
    value, shared, change = spread
    spread[0] = value + 2 * seconds * shared + seconds**2 * change + NUDGE * seconds**3 / 3
    spread[1] = shared + seconds * change + NUDGE * seconds**2 / 2
    spread[2] = change + NUDGE * seconds


@numba.njit(cache=True)
def correct(state: Any, spread: Any, seen: Any, weight: float) -> None:
    """Pull a state, in place, towards a box (4,) cxcywh seen with a score of `weight`."""
    value, shared, change = spread
    total = value + BLUR / weight
    error = seen - state[0]
    state[0] += value / total * error
    state[1] += shared / total * error
    spread[0] = value - value / total * value
    spread[1] = shared - value / total * shared
    spread[2] = change - shared / total * shared


@numba.njit(cache=True)
def smooth(time: Any, seen: Any, weight: Any) -> Any:
    """Boxes (m, 4) cxcywh at times (m,) in seconds, from all that was seen before and after.

    Boxes with weight 0 were not seen and what is in `seen` for them does not matter; the first was.
    """
    m = len(time)
    states, spreads = np.empty((m, 2, 4)), np.empty((m, 3))
    predicted, widened = np.empty((m, 2, 4)), np.empty((m, 3))
    state, spread = begin(seen[0], weight[0])
    states[0], spreads[0] = state, spread
    for i in range(1, m):
        advance(state, spread, time[i] - time[i - 1])
        predicted[i], widened[i] = state, spread
        if weight[i] > 0:
            correct(state, spread, seen[i], weight[i])
        states[i], spreads[i] = state, spread
    for i in range(m - 2, -1, -1):
        seconds = time[i + 1] - time[i]
        value, shared, change = spreads[i]
        a, b, c = widened[i + 1]
        det = a * c - b * b
        moved, kept = value + seconds * shared, shared + seconds * change
        late = states[i + 1] - predicted[i + 1]
        states[i, 0] += (moved * c - shared * b) / det * late[0] + (
            shared * a - moved * b
        ) / det * late[1]
        states[i, 1] += (kept * c - change * b) / det * late[0] + (
            change * a - kept * b
        ) / det * late[1]
    return states[:, 0].copy()
