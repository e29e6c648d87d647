"""A data set small enough to train on in a second."""

from pathlib import Path

import cv2
import numpy as np

OBJECT = (
    "<object><name>{}</name><difficult>0</difficult><bndbox>"
    "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def write_tiny_voc(root: Path, *, train: int = 8, val: int = 4, test: int = 4) -> Path:
    """Grey photos of 96 x 64 with one white disc and one dark square each, in VOC layout."""
    rng = np.random.default_rng(0)
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for split, count in (("train", train), ("val", val), ("test", test)):
        names = [f"{split}{i}" for i in range(count)]
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(
            "".join(f"{name}\n" for name in names)
        )
        for name in names:
            photo = np.full((64, 96, 3), 128, np.uint8)
            radius, side = int(rng.integers(8, 14)), int(rng.integers(14, 26))
            x, y = int(rng.integers(16, 32)), int(rng.integers(16, 48))
            left, top = int(rng.integers(50, 68)), int(rng.integers(2, 36))
            cv2.circle(photo, (x, y), radius, (255, 255, 255), cv2.FILLED)
            cv2.rectangle(
                photo, (left, top), (left + side - 1, top + side - 1), (20, 20, 20), cv2.FILLED
            )
            cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), photo)
            objects = [
                OBJECT.format(
                    "disc", x - radius + 1, y - radius + 1, x + radius + 1, y + radius + 1
                ),
                OBJECT.format("square", left + 1, top + 1, left + side, top + side),
            ]
            size = "<size><width>96</width><height>64</height><depth>3</depth></size>"
            (root / "Annotations" / f"{name}.xml").write_text(
                f"<annotation>{size}{''.join(objects)}</annotation>"
            )
    return root
