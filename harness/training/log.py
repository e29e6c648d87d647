"""What a run writes down while it trains: log.jsonl, TensorBoard's events and first_batch.jpg."""

import json
from pathlib import Path
from types import TracebackType

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from evaluate.files import written_whole
from harness.images.drawing import draw_boxes, grid, write_jpeg
from harness.run_folder import START, Run
from models.detector import Target

SHOWN_MAX = 16  # images of first_batch.jpg


class TrainingLog:
    """log.jsonl and the same numbers for TensorBoard: one line per step and one per epoch.

    Before them stands a line about the start where the start was validated.
    """

    def __init__(self, run: Run, *, epochs_done: int, epoch_steps: int):
        """Goes on with the log of a resumed run; a run without a whole epoch starts it afresh."""
        self._epoch_steps = epoch_steps
        # TensorBoard drops what a killed run wrote from `purge_step` on; log.jsonl is cut before.
        self._lines = open(run.log, "a" if epochs_done else "w")
        self._board = SummaryWriter(run.folder, purge_step=epochs_done * epoch_steps)

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()
        self._lines.close()

    def step(self, epoch: int, step: int, lr: float, losses: dict[str, float]) -> None:
        """One step: the learning rate of the weights, and the loss by its parts."""
        line = {"epoch": epoch, "step": step, "lr": lr, "loss": losses}
        self._lines.write(json.dumps(line) + "\n")
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}", value, step)

    def start(self, scores: dict[str, float], seconds: float) -> None:
        """The weights before the first step: their AP50, and the seconds it took to get it."""
        for name, value in scores.items():
            self._board.add_scalar(f"map/{name}", value, 0)
        line = {"epoch": START, "map": scores, "seconds": {"validate": seconds}}
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()

    def epoch(
        self, epoch: int, scores: dict[str, float], seconds: dict[str, float], speed: float
    ) -> None:
        """One epoch: AP50 of each set of weights, seconds of each phase, and images per second."""
        for name, value in scores.items():
            self._board.add_scalar(f"map/{name}", value, (epoch + 1) * self._epoch_steps)
        line = {"epoch": epoch, "map": scores, "seconds": seconds, "images_per_second": speed}
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()  # once per epoch: `tail -f` follows, and steps cost no system call


def drop_unfinished_epochs(log: Path, epochs_done: int) -> None:
    """Cut the log after the last whole epoch: the next one is trained, and logged, again.

    The last line of a killed run may itself be cut off.
    """
    kept = []
    for line in log.read_text().splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["epoch"] >= epochs_done:
            break
        kept.append(line)
    with written_whole(log) as scratch:
        scratch.write_text("".join(kept))


def write_first_batch(
    images: Tensor, targets: list[Target], classes: tuple[str, ...], path: Path
) -> None:
    """The first training batch as the network sees it, with its boxes."""
    shown = zip(images[:SHOWN_MAX], targets[:SHOWN_MAX], strict=True)
    tiles = [
        draw_boxes(
            image.permute(1, 2, 0).numpy(),
            xyxy.numpy(),
            labels.numpy(),
            [classes[label] for label in labels],
        )
        for image, (labels, xyxy) in shown
    ]
    write_jpeg(grid(tiles, columns=min(4, len(tiles))), path)
