"""Which way up a frame is: a file may store frames turned and say so in a display matrix.

A phone films with its sensor as it is held and stores, with every frame, how to turn it. The
display matrix is nine numbers of a 3 x 3 transform; the first five hold all that turning needs:

    shown x = a * stored x + c * stored y          matrix[0] = a, matrix[1] = b,
    shown y = b * stored x + d * stored y          matrix[3] = c, matrix[4] = d

Worked example. [0, 1, 0, -1, 0] has a = d = 0, b = 1, c = -1: shown x = -y, shown y = x. Rows
become columns (|b| > |a|: the frame lies on its side), and the negative c mirrors what are then
the columns.
"""

from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from harness.images.letterbox import Image

NOT_TURNED = [1, 0, 0, 0, 1]


def display_matrix(frame: VideoFrame) -> list[int]:
    """The first five numbers of a frame's display matrix, to the nearest whole number.

    Ask the first frame only: a frame asked for its side data refers to itself from then on, and
    stays in memory until Python's garbage collector runs.
    """
    stored: Any = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return NOT_TURNED
    fixed_point = np.frombuffer(stored, np.int32)[:5]  # 16 bits behind the point
    matrix: list[int] = np.rint(fixed_point / 65536).astype(int).tolist()
    return matrix


def lies_on_its_side(matrix: list[int]) -> bool:
    """Whether height and width change places."""
    return abs(matrix[1]) > abs(matrix[0])


def upright(image: Image, matrix: list[int]) -> Image:
    """An image turned and mirrored as its display matrix says, to the nearest quarter turn."""
    a, b, _, c, d = matrix
    rows, columns = d, a
    if lies_on_its_side(matrix):
        image, rows, columns = image.swapaxes(0, 1), b, c
    return np.ascontiguousarray(image[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1])
