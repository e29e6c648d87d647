"""The demo set's six things, drawn: each is told by its shape; colour only hints, angle and
proportions say nothing.

A drawing is a list of parts, painted in order, in a frame where the thing lies inside [-1, 1] x
[-1, 1], y down.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from evaluate.tables import Array

BASE, ACCENT, DARK, LIGHT = range(4)  # a part's tone: a row of the palette
SUPERSAMPLE = 3  # drawn this much larger, then averaged down: smooth edges and exact masks


class Part(NamedTuple):
    points: Array  # (n, 2) xy
    tone: int
    stroke: float = 0.0  # width of an open line through the points; 0 fills the polygon


def render(name: str, length: float, turn: Array, palette: Array, light: float) -> Array:
    """A thing in the middle of a square patch (S, S, 5) uint8: BGR, coverage, and the shadow it
    casts.

    length: pixels from -1 to 1; turn: (2, 2) matrix of rotation, mirroring and squeeze; palette:
    (4, 3) in 0..255; light: angle the light comes from, in the picture's frame, radians.
    """
    scale = length / 2 * SUPERSAMPLE
    parts = DRAWINGS[name]()
    placed = [part.points @ turn.T * scale for part in parts]
    edge = max(1.5, 0.035 * length) * SUPERSAMPLE  # outline, pixels of the large drawing
    reach = (
        max(float(np.abs(points).max()) for points in placed) + 0.45 * scale + edge
    )  # its shadow
    half = int(np.ceil(reach / SUPERSAMPLE)) + 2  # pixels of the patch
    side = 2 * half * SUPERSAMPLE
    colour = np.empty((side, side, 3), np.uint8)
    colour[:] = palette[DARK]
    cover = np.zeros((side, side), np.uint8)
    for part, points in zip(parts, placed, strict=True):  # the outline: every part, a little wider
        corners = [np.round(points + side / 2).astype(np.int32)]
        cv2.polylines(cover, corners, not part.stroke, 255, round(part.stroke * scale + 2 * edge))
        if not part.stroke:
            cv2.fillPoly(cover, corners, 255)
    for part, points in zip(parts, placed, strict=True):
        corners = [np.round(points + side / 2).astype(np.int32)]
        tone = palette[part.tone].tolist()
        if part.stroke:
            cv2.polylines(colour, corners, False, tone, max(1, round(part.stroke * scale)))
        else:
            cv2.fillPoly(colour, corners, tone)
    small = (2 * half, 2 * half)
    colour = cv2.resize(colour, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    cover = cv2.resize(cover, small, interpolation=cv2.INTER_AREA).astype(np.uint8)
    ramp = np.linspace(-1, 1, 2 * half, dtype=np.float32)
    lit = 1 + np.float32(0.25) * (
        np.cos(light) * ramp[None, :] + np.sin(light) * ramp[:, None]
    )  # (S, S)
    away = np.array(
        [[1, 0, -0.06 * length * np.cos(light)], [0, 1, -0.06 * length * np.sin(light)]]
    )
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, away, small), (0, 0), 1 + 0.04 * length)
    return np.dstack([np.minimum(colour * lit[..., None], 255).astype(np.uint8), cover, shadow])


def _xy(*numbers: float) -> Array:
    """x, y, x, y, ... -> (n, 2)"""
    return np.array(numbers, np.float64).reshape(-1, 2)


def _arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, stop: float = 360) -> Array:
    """Points on an ellipse, degrees clockwise from +x. (n, 2)"""
    t = np.radians(np.linspace(start, stop, 40))
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)


def _fish() -> list[Part]:
    t = np.linspace(0, np.pi, 30)
    top = np.stack([0.3 - 0.65 * np.cos(t), -0.42 * np.sin(t) ** 0.8], 1)
    body = np.concatenate([top, top[::-1] * [1, -1]])
    return [
        Part(_xy(-0.25, 0, -1, -0.55, -0.8, 0, -1, 0.55), ACCENT),  # tail
        Part(_xy(-0.1, -0.35, 0.15, -0.72, 0.6, -0.4), ACCENT),  # fin
        Part(body, BASE),
        Part(_arc(0.3, 0, 0.3, 0.36, 110, 250), DARK, 0.05),  # gill
        Part(_xy(0.05, 0.06, -0.2, 0.22, -0.12, 0.0), ACCENT),
        Part(_arc(0.62, -0.12, 0.11, 0.11), LIGHT),  # eye
        Part(_arc(0.65, -0.12, 0.05, 0.05), DARK),
    ]


def _kite() -> list[Part]:
    top, right, foot, left, centre = (0, -1), (0.6, -0.4), (0, 0.45), (-0.6, -0.4), (0, -0.4)
    t = np.linspace(0, 1, 20)
    tail = np.stack([0.12 * np.sin(2 * np.pi * t), 0.45 + 0.5 * t], 1)
    bows = [
        Part(_xy(-0.2, y - 0.09, 0.2, y + 0.09, 0.2, y - 0.09, -0.2, y + 0.09), ACCENT)
        for y in (0.68, 0.93)
    ]
    return [
        Part(tail, DARK, 0.05),
        *bows,
        Part(_xy(*top, *right, *centre), BASE),
        Part(_xy(*right, *foot, *centre), ACCENT),
        Part(_xy(*foot, *left, *centre), BASE),
        Part(_xy(*left, *top, *centre), ACCENT),
        Part(_xy(*top, *foot), DARK, 0.04),
        Part(_xy(*left, *right), DARK, 0.04),
    ]


def _leaf() -> list[Part]:
    t = np.linspace(0, 1, 17)
    teeth = 1 + 0.1 * (np.arange(17) % 2)
    right = np.stack([0.5 * np.sin(np.pi * t**0.8) * teeth, -0.98 + 1.5 * t], 1)
    veins = [
        Part(_xy(0, y, side * 0.33 * (1 - abs(y + 0.15)), y - 0.26), LIGHT, 0.05)
        for y in (-0.3, 0.0, 0.28)
        for side in (-1, 1)
    ]
    return [
        Part(_xy(0, 0.4, 0.03, 0.7, 0.14, 0.97), ACCENT, 0.1),  # stalk
        Part(np.concatenate([right, right[::-1] * [-1, 1]]), BASE),
        Part(_xy(0, -0.8, 0, 0.5), LIGHT, 0.06),
        *veins,
    ]


def _mug() -> list[Part]:
    return [
        Part(_arc(0.42, 0.05, 0.45, 0.42, -80, 80), BASE, 0.17),  # handle
        Part(_xy(-0.8, -0.6, 0.4, -0.6, 0.35, 0.75, 0.2, 0.85, -0.6, 0.85, -0.75, 0.75), BASE),
        Part(_xy(-0.78, -0.05, 0.38, -0.05, 0.37, 0.3, -0.77, 0.3), ACCENT),  # band
        Part(_arc(-0.2, -0.6, 0.6, 0.2), LIGHT),
        Part(_arc(-0.2, -0.59, 0.48, 0.13), DARK),
    ]


def _rocket() -> list[Part]:
    t = np.linspace(0, 1, 20)
    side = np.stack([0.3 * np.sin(np.pi * (0.72 * t)) ** 0.7 + 0.02, -1 + 1.55 * t], 1)
    return [
        Part(_xy(-0.15, 0.55, 0.15, 0.55, 0.2, 0.75, 0, 1, -0.2, 0.75), LIGHT),  # flame
        Part(_xy(0.2, 0.05, 0.62, 0.45, 0.6, 0.78, 0.2, 0.52), ACCENT),
        Part(_xy(-0.2, 0.05, -0.62, 0.45, -0.6, 0.78, -0.2, 0.52), ACCENT),
        Part(np.concatenate([side, side[::-1] * [-1, 1]]), BASE),
        Part(np.concatenate([side[:8], side[7::-1] * [-1, 1]]), ACCENT),  # nose
        Part(_arc(0, -0.12, 0.16, 0.16), DARK),
        Part(_arc(0, -0.12, 0.11, 0.11), LIGHT),  # window
    ]


def _star() -> list[Part]:
    angles = np.radians(np.arange(10) * 36 - 90)
    radii = np.where(np.arange(10) % 2, 0.42, 1.0)
    outer = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
    facets = [
        Part(np.stack([outer[i], outer[(i + 1) % 10], np.zeros(2)]), ACCENT)
        for i in range(0, 10, 2)
    ]
    return [Part(outer, BASE), *facets]


DRAWINGS: dict[str, Callable[[], list[Part]]] = {
    "fish": _fish,
    "kite": _kite,
    "leaf": _leaf,
    "mug": _mug,
    "rocket": _rocket,
    "star": _star,
}
