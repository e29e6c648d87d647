"""How a box moves: a Kalman filter for one object, and a smoother that also looks ahead.

The idea. An object moves at a steady velocity that is nudged at random, and a detector sees its box
blurred. For each of the four numbers of a box (centre x, centre y, width, height) the filter keeps
the value and its velocity, and how uncertain both are:

    1. init     the first box is the value; the velocity is 0, and may be wrong by a lot;
    2. predict  time passes: the value moves on by velocity x seconds, uncertainty grows;
    3. update   a box is seen: the value moves a part of the way towards it, the gain, which is
                large where the prediction is uncertain and small where the detection is uncertain
                (a low score). The velocity is corrected too, as far as its error goes with that
                of the value;
    4. smooth   once the whole track is known, go back from its end: each state is corrected by what
                was learnt later, so that a gap is filled by going from one end to the other.

State and covariance. A state is (2, 4): the four values in pixels, and their change per second. Its
covariance is three numbers, shared by all four values: var(value), cov(value, velocity),
var(velocity). They can be shared because they are in units of the box's own size squared: only
their ratios reach the state, as gains, and there the size cancels. So a large and a small box have
the same three numbers, and a filter costs 3 of them instead of the 36 of an 8 x 8 matrix.

Worked example. A box is seen at score 1, so its variance is 0.0025 (5 % of its size, squared), and
that of the velocity 4. After 0.1 s `predict` gives the value a variance of
    0.0025 + 2 * 0.1 * 0 + 0.1^2 * 4 + 1 * 0.1^3 / 3 = 0.0428
A box seen then at score 1 has a gain of 0.0428 / (0.0428 + 0.0025) = 0.945: nearly all of the way,
for the velocity was a guess. At score 0.2 its variance is 0.0125 and the gain only 0.774.

Source: the Kalman filter with white-noise acceleration, and the smoother of Rauch, Tung and
Striebel (1965), https://en.wikipedia.org/wiki/Kalman_filter#Rauch-Tung-Striebel.
"""

from typing import Any

import numba
import numpy as np

DETECTION_VARIANCE = 0.05**2  # of a box seen with score 1; at a lower score divided by it
ACCELERATION_NOISE = 1.0  # by how much the variance of the velocity grows per second
VELOCITY_VARIANCE = 2.0**2  # before it is known: some two box sizes per second


@numba.njit(cache=True)
def init(box: Any, weight: float) -> Any:
    """1. The first box (4,) cxcywh, seen with score `weight` -> state (2, 4), covariance (3,)."""
    state = np.zeros((2, 4))
    state[0] = box
    return state, np.array([DETECTION_VARIANCE / weight, 0.0, VELOCITY_VARIANCE])


@numba.njit(cache=True)
def predict(state: Any, covariance: Any, seconds: float) -> None:
    """2. Let time pass, in place.

    With the transition F = [[1, t], [0, 1]] this is F P F' + Q, written out for P's three numbers.
    Q is what random acceleration adds: [[t^3 / 3, t^2 / 2], [t^2 / 2, t]] times its strength.
    """
    state[0] += seconds * state[1]
    value, shared, velocity = covariance
    noise = ACCELERATION_NOISE
    covariance[0] = value + 2 * seconds * shared + seconds**2 * velocity + noise * seconds**3 / 3
    covariance[1] = shared + seconds * velocity + noise * seconds**2 / 2
    covariance[2] = velocity + noise * seconds


@numba.njit(cache=True)
def update(state: Any, covariance: Any, box: Any, weight: float) -> None:
    """3. Move the state, in place, towards a box (4,) cxcywh that was seen with score `weight`."""
    value, shared, velocity = covariance
    total = value + DETECTION_VARIANCE / weight  # variance of `error`
    error = box - state[0]
    state[0] += value / total * error
    state[1] += shared / total * error

    covariance[0] = value - value / total * value
    covariance[1] = shared - value / total * shared
    covariance[2] = velocity - shared / total * shared


@numba.njit(cache=True)
def smooth(time: Any, box: Any, weight: Any) -> Any:
    """4. Boxes (m, 4) cxcywh at times (m,) in seconds, given what was seen before and after.

    Weight 0 means that no box was seen then, and what stands in `box` is ignored; the first box has
    to have been seen.

    Forwards the filter as above, keeping each state before and after its update. Backwards

        smoothed[i] = state[i] + C (smoothed[i + 1] - predicted[i + 1])
        C           = P[i] F' inverse(predicted P[i + 1])          (2, 2)

    What the later frames say beyond the prediction is handed back, in the proportion in which the
    prediction depended on this state. Smoothed covariances are not needed for that.
    """
    m = len(time)
    states, covariances = np.empty((m, 2, 4)), np.empty((m, 3))
    predicted, predicted_covariances = np.empty((m, 2, 4)), np.empty((m, 3))

    state, covariance = init(box[0], weight[0])
    states[0], covariances[0] = state, covariance
    for i in range(1, m):
        predict(state, covariance, time[i] - time[i - 1])
        predicted[i], predicted_covariances[i] = state, covariance
        if weight[i] > 0:
            update(state, covariance, box[i], weight[i])
        states[i], covariances[i] = state, covariance

    for i in range(m - 2, -1, -1):
        seconds = time[i + 1] - time[i]
        value, shared, velocity = covariances[i]
        a, b, c = predicted_covariances[i + 1]
        det = a * c - b * b

        # P F' is [[to_value, shared], [to_velocity, velocity]],
        # the inverse of [[a, b], [b, c]] is [[c, -b], [-b, a]] / det
        to_value, to_velocity = value + seconds * shared, shared + seconds * velocity
        later = states[i + 1] - predicted[i + 1]
        states[i, 0] += (to_value * c - shared * b) / det * later[0] + (
            shared * a - to_value * b
        ) / det * later[1]
        states[i, 1] += (to_velocity * c - velocity * b) / det * later[0] + (
            velocity * a - to_velocity * b
        ) / det * later[1]
    return states[:, 0].copy()
