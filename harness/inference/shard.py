"""Several processes predict together, one per GPU, as torchrun starts and numbers them.

torchrun sets RANK (0, 1, ...) and WORLD_SIZE (how many) in each process. Process r of n predicts
photos r, r + n, r + 2n, ...: its shard. Of 8 photos and 3 processes,

    rank 0   photos 0 3 6
    rank 1   photos 1 4 7
    rank 2   photos 2 5

Strides rather than blocks, because a data set may be sorted by size or scene: so each process gets
its part of the slow photos. Every process writes its table to a file beside the one that is wanted;
once all have, rank 0 merges them: row i of rank r's images is image i * n + r of the whole.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from evaluate.exceptions import InputError, JobError
from evaluate.tables import Detections

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Every `world_size`-th photo, from number `rank` on; all photos for a process on its own."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_this_process(cls) -> "Shard":
        """The shard that torchrun's RANK and WORLD_SIZE give this process."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    def of(self, items: tuple[T, ...]) -> tuple[T, ...]:
        """This shard's items. Raises InputError, in every process, when one would have none."""
        if len(items) < self.world_size:
            raise InputError(
                f"want a photo for each of {self.world_size} processes, there are {len(items)}"
            )
        return items[self.rank :: self.world_size]

    def save(self, tables: Mapping[Path, Detections]) -> dict[Path, int]:
        """Write the tables of all processes, merged; each process calls this with the same paths.

        -> the rows this process wrote: all of them in rank 0, none in the others. The parts meet as
        files, so the processes must see one file system. Raises JobError when a process is lost.
        """
        if self.world_size > 1:
            # All parts are written before anybody goes on, so rank 0 finds every one.
            for path, table in tables.items():
                table.save(_part(path, self.rank))
            _wait_for_all()
        written = dict.fromkeys(tables, 0)
        if self.rank == 0:
            for path, table in tables.items():
                written[path] = self._write_whole(path, table)
        return written

    def _write_whole(self, path: Path, table: Detections) -> int:
        """Merge the parts of all processes into `path`, and remove them. -> its rows."""
        ranks = range(self.world_size) if self.world_size > 1 else ()
        parts = [_part(path, rank) for rank in ranks]
        whole = merge([Detections.load(part) for part in parts]) if parts else table
        whole.save(path)
        for part in parts:
            part.unlink()
        return len(whole)


def merge(parts: Sequence[Detections]) -> Detections:
    """The table of which `parts[r]` holds images r, r + n, r + 2n, ... of n parts."""
    n = len(parts)
    # Image i of part r is image i * n + r of the whole: ids by stride, rows by arithmetic.
    image_ids: list[str] = [""] * sum(len(part.image_ids) for part in parts)
    for rank, part in enumerate(parts):
        image_ids[rank::n] = part.image_ids
    image = np.concatenate([part.image * n + rank for rank, part in enumerate(parts)])
    label, xyxy, score = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("label", "xyxy", "score")
    )
    whole = Detections(tuple(image_ids), parts[0].classes, image, label, xyxy, score)
    # Parts follow each other; a table goes by image. Stable: rows of one image keep their order.
    return whole.take(np.argsort(image, kind="stable"))


def _part(path: Path, rank: int) -> Path:
    return path.with_name(f"{path.name}.{rank}.part")


def _wait_for_all() -> None:
    """Return once every process is here.

    torchrun ends all processes when one fails, so nobody waits for one that is gone.
    """
    from torch import distributed

    try:
        # gloo needs no GPU. A day: one process may have far larger photos than the others.
        distributed.init_process_group("gloo", timeout=timedelta(days=1))
        distributed.barrier()
        distributed.destroy_process_group()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise JobError(f"lost another process of this prediction: {reason}") from None
