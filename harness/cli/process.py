"""Switches that hold for the whole process, and the verbs that need them turn them on here.

No library function sets one: a program that imports the harness keeps its own settings.
"""


def one_thread_per_photo() -> None:
    """Keep OpenCV from starting threads inside each of ours.

    Batches are filled by several threads, each with a photo of its own
    (harness/images/batching.py). OpenCV's threads inside them would compete for the same cores.
    """
    import cv2

    cv2.setNumThreads(0)


def compute_deterministically() -> None:
    """Make PyTorch choose, of several ways to compute an operation, one that repeats to the bit.

    Only training on a CPU asks for this: there it costs nothing to speak of, and a resumed run ends
    with the weights of a run that was never interrupted. Memory that PyTorch hands out is not
    filled first, as the switch would have it: nothing reads it before writing.
    """
    import torch

    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
