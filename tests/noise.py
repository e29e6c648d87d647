"""Photos of noise in seven shapes, which tell themselves apart by their first pixels."""

from pathlib import Path

import cv2
import numpy as np

SHAPES = [(60, 80), (80, 60), (61, 83), (64, 64), (50, 120), (60, 80), (33, 50)]


def write_noise(folder: Path) -> list[Path]:
    """Seven photos; photo i is all noise but for its first pixels, which are near 20 * i."""
    rng = np.random.default_rng(0)
    paths = []
    for i, shape in enumerate(SHAPES):
        photo = rng.integers(0, 256, (*shape, 3), np.uint8)
        photo[:20, :20] = 20 * i
        paths.append(folder / f"{i}.png")
        cv2.imwrite(str(paths[-1]), photo)
    return paths
