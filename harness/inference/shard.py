"""Several processes predict together, a GPU each, as torchrun starts and numbers them."""

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
class Share:
    """Every `count`-th photo, starting with number `rank`; all of them where one process works alone."""

    rank: int = 0
    count: int = 1

    @classmethod
    def of_this_process(cls) -> "Share":
        """As torchrun's RANK and WORLD_SIZE say."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    def of(self, items: tuple[T, ...]) -> tuple[T, ...]:
        """Raises InputError, in every process, where there is not one item for each."""
        if len(items) < self.count:
            raise InputError(
                f"want a photo for each of {self.count} processes, there are {len(items)}"
            )
        return items[self.rank :: self.count]

    def save(self, tables: Mapping[Path, Detections]) -> dict[Path, int]:
        """Write the tables of all processes, merged; each calls this with tables of the same paths.

        -> how many rows this process wrote: all of them in the first, none in the others. The parts meet as files, so
        the processes must see one file system. Raises JobError where a process is lost.
        """
        if self.count > 1:
            for path, table in tables.items():
                table.save(_part(path, self.rank))
            _wait_for_all()
        written = dict.fromkeys(tables, 0)
        if self.rank == 0:
            for path, table in tables.items():
                parts = [_part(path, rank) for rank in range(self.count)] if self.count > 1 else []
                whole = merge([Detections.load(part) for part in parts]) if parts else table
                whole.save(path)
                for part in parts:
                    part.unlink()
                written[path] = len(whole)
        return written


def merge(parts: Sequence[Detections]) -> Detections:
    """The table of which `parts[r]` holds images r, r + n, r + 2n, ... of n parts."""
    image_ids: list[str] = [""] * sum(len(part.image_ids) for part in parts)
    for rank, part in enumerate(parts):
        image_ids[rank :: len(parts)] = part.image_ids
    image = np.concatenate([part.image * len(parts) + rank for rank, part in enumerate(parts)])
    label, xyxy, score = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("label", "xyxy", "score")
    )
    whole = Detections(tuple(image_ids), parts[0].classes, image, label, xyxy, score)
    return whole.take(np.argsort(image, kind="stable"))


def _part(path: Path, rank: int) -> Path:
    return path.with_name(f"{path.name}.{rank}.part")


def _wait_for_all() -> None:
    """Return once every process is here. torchrun ends all when one fails, so no one waits for the dead."""
    from torch import distributed

    try:
        distributed.init_process_group("gloo", timeout=timedelta(days=1))
        distributed.barrier()
        distributed.destroy_process_group()
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"lost another process of this prediction: {str(error).splitlines()[0]}"
        ) from None
