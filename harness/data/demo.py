"""The demo set: drawn scenes in VOC layout, made in seconds, so that the whole flow runs without a
download.

Six things told apart by shape lie on textured grounds in any size and angle and many colours; they
overlap, leave it, and in some photos there is none. Photo i of a split depends on the seed, the
split and i alone: asking for more photos never changes the first ones.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from evaluate.exceptions import InputError
from evaluate.progress import Progress, silent
from evaluate.tables import Array
from harness.data import demo_shapes

CLASSES = tuple(sorted(demo_shapes.DRAWINGS))
SIZES = ((240, 320), (320, 240), (256, 256), (240, 304), (272, 272))  # (height, width)
SPLITS = ("train", "val", "test")
JPEG_QUALITY = 92
DIFFICULT_LENGTH = 22  # pixels; things drawn smaller are marked difficult
VISIBLE_MIN = 0.6  # share of a thing's pixels that later things must leave visible
TYPICAL = 0.75  # share of things in the usual colour of their kind; the others have any
HUES = {
    "fish": 8,
    "star": 26,
    "leaf": 58,
    "mug": 104,
    "rocket": 135,
    "kite": 165,
}  # OpenCV's, half degrees
SHADOW = 0.45  # how much light a thing keeps off the ground
INSIDE_MIN = 0.55  # share of a thing's pixels that must lie inside the frame


@dataclass(frozen=True)
class Thing:
    name: str
    corners: tuple[
        int, int, int, int
    ]  # VOC's xmin, ymin, xmax, ymax: 1-based, inclusive; hidden pixels count
    truncated: bool  # leaves the frame
    difficult: bool


def make_demo(
    out: Path,
    *,
    seed: int = 0,
    train: int = 480,
    val: int = 100,
    test: int = 100,
    progress: Progress = silent,
) -> None:
    """Write the set to `out`, whole or not at all: Annotations, JPEGImages, ImageSets/Main,
    classes.txt.

    Raises InputError when `out` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: want a new or empty folder for the demo set, something is there")
    scratch = out.with_name(out.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (scratch / folder).mkdir(parents=True)
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    jobs = [(split, i) for split in SPLITS for i in range(counts[split])]
    with progress("draw", total=len(jobs), unit="photo") as advance:
        for split, i in jobs:
            photo, things = draw_scene(np.random.default_rng([seed, SPLITS.index(split), i]))
            stem = f"{split}_{i:04d}"
            encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            (scratch / "JPEGImages" / f"{stem}.jpg").write_bytes(encoded.tobytes())
            (scratch / "Annotations" / f"{stem}.xml").write_text(
                _xml(f"{stem}.jpg", photo.shape, things)
            )
            advance(1)
    for split, count in counts.items():
        stems = "".join(f"{split}_{i:04d}\n" for i in range(count))
        (scratch / "ImageSets" / "Main" / f"{split}.txt").write_text(stems)
    (scratch / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    os.replace(scratch, out)


def draw_scene(rng: np.random.Generator) -> tuple[Array, list[Thing]]:
    """A photo (H, W, 3) uint8 BGR and what is in it, back to front; one scene in 25 is empty."""
    height, width = SIZES[rng.integers(len(SIZES))]
    photo, hue = _ground(rng, height, width)
    light = float(rng.uniform(0, 2 * np.pi))
    wanted = 0 if rng.random() < 0.04 else int(rng.integers(1, 8))
    things: list[Thing] = []
    whole: list[int] = []  # pixels of each thing inside the frame
    visible: list[Array] = []  # (H, W) bool: what later things have left of each
    for _ in range(wanted * 8):  # a place that hides or cuts off too much costs a try
        if len(things) == wanted:
            break
        name = CLASSES[rng.integers(len(CLASSES))]
        tiny = rng.random() < 0.04
        length = float(
            rng.uniform(14, DIFFICULT_LENGTH)
            if tiny
            else np.exp(rng.uniform(np.log(40), np.log(120)))
        )
        patch = demo_shapes.render(
            name,
            length,
            _turn(rng),
            _palette(rng, HUES[name] if rng.random() < TYPICAL else None, hue),
            light,
        )
        top, left = (int(rng.integers(limit)) - len(patch) // 2 for limit in (height, width))
        frame = np.s_[max(top, 0) : top + len(patch), max(left, 0) : left + len(patch)]
        seen = patch[
            max(-top, 0) : height - top, max(-left, 0) : width - left
        ]  # what falls on photo[frame]
        cover = np.zeros((height, width), bool)
        cover[frame] = seen[..., 3] > 127
        pixels = int(np.count_nonzero(cover))
        inside = pixels / np.count_nonzero(patch[..., 3] > 127)
        rest = [v & ~cover for v in visible]
        hides = any(np.count_nonzero(r) < VISIBLE_MIN * n for r, n in zip(rest, whole, strict=True))
        if inside < INSIDE_MIN or hides:
            continue
        colour, alpha, shade = np.split(seen * np.float32(1 / 255), [3, 4], axis=2)
        photo[frame] = photo[frame] * (1 - SHADOW * shade) * (1 - alpha) + 255 * colour * alpha
        ys, xs = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
        corners = (int(xs[0]) + 1, int(ys[0]) + 1, int(xs[-1]) + 1, int(ys[-1]) + 1)
        things.append(Thing(name, corners, truncated=bool(inside < 1), difficult=tiny))
        whole.append(pixels)
        visible = [*rest, cover]
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(1, 7))
    return np.clip(photo + grain, 0, 255).astype(np.uint8), things


def _ground(rng: np.random.Generator, height: int, width: int) -> tuple[Array, float]:
    """A textured ground (H, W, 3) float32 BGR in 0..255, and its hue."""
    hue = float(rng.uniform(0, 180))
    mix: Array  # (H, W) share of the first of two colours
    value = (45, 100) if rng.random() < 0.35 else (140, 235)
    a, b = (
        _bgr(hue + rng.uniform(-25, 25), rng.uniform(30, 130), rng.uniform(*value))
        for _ in range(2)
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))  # (H, W) pixels
    match rng.integers(5):
        case 0:  # gradient
            mix = (along - along.min()) / np.ptp(along)
        case 1:  # blotches with soft rims
            mix = np.clip(4 * _clouds(rng, height, width, 7) - 1.5, 0, 1)
        case 2:  # stripes, bent a little
            wave = along + 14 * _clouds(rng, height, width, 3)
            mix = (
                np.clip(
                    np.sin(wave * (2 * np.pi / rng.uniform(14, 60))) * rng.uniform(0.7, 4), -1, 1
                )
                / 2
                + 0.5
            )
        case 3:  # lights out of focus
            mix = np.zeros((height, width), np.float32)
            for _ in range(int(rng.integers(12, 30))):
                centre = (int(rng.integers(width)), int(rng.integers(height)))
                mix += cv2.circle(
                    np.zeros_like(mix),
                    centre,
                    int(rng.integers(8, 34)),
                    float(rng.uniform(0.2, 0.6)),
                    -1,
                )
            mix = cv2.GaussianBlur(np.clip(mix, 0, 1), (0, 0), 1.5)
        case _:  # planks: bands, each of its own shade
            band = np.floor(along / rng.uniform(24, 60)).astype(int)
            shades = rng.random(np.ptp(band) + 1, np.float32)
            mix = 0.7 * shades[band - band.min()] + 0.3 * _clouds(rng, height, width, 40)
    mix = (0.85 * mix + 0.15 * _clouds(rng, height, width, 24)).astype(np.float32)[..., None]
    ground: Array = a * mix + b * (1 - mix)
    return ground, hue


def _clouds(rng: np.random.Generator, height: int, width: int, cells: int) -> Array:
    """Smooth noise (H, W) float32 in [0, 1] with about `cells` blotches across."""
    noise = cv2.resize(
        rng.random((cells, cells), np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    stretched: Array = (noise - noise.min()) / np.ptp(noise)
    return stretched


def _turn(rng: np.random.Generator) -> Array:
    """A random rotation after a mirroring and a squeeze, (2, 2)."""
    t = rng.uniform(0, 2 * np.pi)
    rotate = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return rotate @ np.diag(rng.uniform(0.78, 1.0, 2) * [rng.choice([-1, 1]), 1])


def _palette(rng: np.random.Generator, usual_hue: float | None, ground_hue: float) -> Array:
    """Base, accent, dark and light tones (4, 3) BGR: near the usual hue, or any away from that of
    the ground.
    """
    hue = ground_hue + rng.uniform(30, 150) if usual_hue is None else usual_hue + rng.normal(0, 8)
    accent = hue + rng.choice([-1, 1]) * rng.uniform(15, 60)
    return np.stack(
        [
            _bgr(hue, rng.uniform(110, 220), rng.uniform(150, 250)),
            _bgr(accent, rng.uniform(110, 230), rng.uniform(120, 250)),
            _bgr(hue, 120, rng.uniform(25, 60)),
            _bgr(accent, rng.uniform(10, 50), 250),
        ]
    )


def _bgr(hue: float, saturation: float, value: float) -> Array:
    """OpenCV's HSV (hue in half degrees, any turn) -> (3,) float32 BGR in 0..255."""
    pixel = np.array([[[hue * 2 % 360, saturation / 255, value]]], np.float32)
    bgr: Array = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]
    return bgr


def _xml(file_name: str, shape: tuple[int, ...], things: list[Thing]) -> str:
    """The annotation as the VOC 2007 devkit writes it."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{t.name}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{t.truncated:d}</truncated>\n\t\t<difficult>{t.difficult:d}</difficult>\n"
        "\t\t<bndbox>\n"
        + "".join(
            f"\t\t\t<{k}>{v}</{k}>\n"
            for k, v in zip(("xmin", "ymin", "xmax", "ymax"), t.corners, strict=True)
        )
        + "\t\t</bndbox>\n\t</object>\n"
        for t in things
    )
    return (
        f"<annotation>\n\t<folder>demo</folder>\n\t<filename>{file_name}</filename>\n"
        f"\t<size>\n\t\t<width>{shape[1]}</width>\n\t\t<height>{shape[0]}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )
