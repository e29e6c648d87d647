"""What lies in the folder of a run, and who reads it: every file name stands here and nowhere else.

A run folder grows file by file, and no file of it is changed by hand:

    harness train     recipe.toml run.json log.jsonl first_batch.jpg last.pt best-so-far.pt,
                      then curves.png and, by renaming best-so-far.pt, best.pt
    harness predict   val.npz test.npz
    harness sweep     sweep.csv
    harness apply     final.npz
    harness csv       submission.csv
    harness score     score.json
    harness video     video.mp4 video.csv video.npz
    harness report    report.html

An ensemble has a folder too, in which fusion.json takes the place of what `harness train` leaves.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from evaluate.ensemble import fusion_file
from evaluate.exceptions import InputError
from evaluate.files import written_whole
from harness import provenance
from harness.data.dataset import Dataset
from harness.recipe import Recipe, load_recipe, save_recipe

LogLine = dict[str, Any]  # of log.jsonl: one step, or one epoch

# The epoch of log.jsonl's line about the weights that a training starts from. Epochs count from 0
# in the log and from 1 on pages and curves, where the start is therefore epoch 0.
START = -1


class Run:
    """The files of one run folder, there or not, and readers for those that are text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

        # From `harness train`, or `harness fuse --search` for the last.
        self.recipe = folder / "recipe.toml"
        self.origin = folder / "run.json"
        self.log = folder / "log.jsonl"
        self.first_batch = folder / "first_batch.jpg"
        self.curves = folder / "curves.png"
        self.best = folder / "best.pt"
        self.best_so_far = folder / "best-so-far.pt"
        self.last = folder / "last.pt"
        self.fusion = folder / "fusion.json"

        # From the commands between weights and a submission.
        self.val = folder / "val.npz"
        self.test = folder / "test.npz"
        self.sweep = folder / "sweep.csv"
        self.final = folder / "final.npz"
        self.score = folder / "score.json"
        self.submission = folder / "submission.csv"
        self.page = folder / "report.html"

        # From `harness video`.
        self.video = folder / "video.mp4"
        self.video_table = folder / "video.npz"
        self.video_csv = folder / "video.csv"

    @property
    def weights(self) -> Path:
        """The best weights; while the run has not finished, the best so far."""
        return next((path for path in (self.best, self.best_so_far) if path.is_file()), self.best)

    @property
    def described(self) -> dict[Path, str]:
        """What each file is that the page of a run lists, in the order in which they appear."""
        return {
            self.recipe: "what was trained and how",
            self.origin: "where the run came from",
            self.log: "loss of every step, AP50 of every epoch",
            self.best: "the best weights",
            self.last: "the state to resume from",
            self.val: "candidates on validation",
            self.sweep: "AP50 at each pair of thresholds",
            self.test: "candidates on the test split",
            self.final: "detections after the best pair",
            self.score: "their score",
            self.submission: "the same detections, for the competition",
            self.video: "a video with its detections drawn on it",
            self.video_table: "the boxes of each of its frames, with times",
            self.video_csv: "those that are drawn, one row per frame",
        }

    def read_origin(self) -> dict[str, Any]:
        """run.json, {} when there is none."""
        return _json(self.origin)

    def read_score(self) -> dict[str, Any]:
        """score.json, {} when there is none."""
        return _json(self.score)

    def read_log(self) -> tuple[list[LogLine], list[LogLine]]:
        """The log's lines of steps and its lines of epochs, both [] when there is no log."""
        return read_log(self.log) if self.log.is_file() else ([], [])

    def read_settings(self) -> dict[str, Any]:
        """The recipe, or how an ensemble is made; {} for the folder of neither."""
        if self.recipe.is_file():
            return tomllib.loads(self.recipe.read_text())
        return fusion_file.ensemble_settings(self.fusion) if self.fusion.is_file() else {}

    def begin(
        self,
        recipe: Recipe,
        train_set: Dataset,
        val_set: Dataset,
        *,
        device: str,
        precision: str,
        resume: bool,
    ) -> None:
        """Make the folder and write down what the run is made of, before its first step.

        Raises InputError rather than mix two runs: when the folder holds one and `resume` is off,
        or when it was begun with another recipe or on data that changed since.
        """
        if self.recipe.exists():
            self._refuse_another_recipe(recipe, resume)
        self.folder.mkdir(parents=True, exist_ok=True)

        # Before anything is overwritten: the photos and boxes must be those of the beginning.
        origin = _origin(recipe, train_set, val_set, device, precision)
        if resume and self.origin.exists():
            before = json.loads(self.origin.read_text())
            for split in ("train", "val"):
                if before[split] != origin[split]:
                    raise InputError(
                        f"{self.folder}: cannot resume, the {split} data changed since the run "
                        "began"
                    )
        with written_whole(self.origin) as scratch:
            scratch.write_text(json.dumps(origin, indent=2))
        save_recipe(recipe, self.recipe)

    def _refuse_another_recipe(self, recipe: Recipe, resume: bool) -> None:
        if not resume:
            raise InputError(
                f"{self.folder}: holds a run already; --resume goes on with it, "
                "or choose another --out"
            )
        before = load_recipe(str(self.recipe))
        changed = [key for key in vars(recipe) if getattr(before, key) != getattr(recipe, key)]
        if changed:
            raise InputError(
                f"{self.folder}: cannot resume with another recipe; changed: {', '.join(changed)}"
            )


def weights_in(path: Path) -> Path:
    """The weight file that a path stands for: a run folder's best weights, else the path itself."""
    return Run(path).weights if path.is_dir() else path


def read_log(path: Path) -> tuple[list[LogLine], list[LogLine]]:
    """The lines of steps and the lines of epochs. A last line that a kill cut short is left out.

    The first line of the epochs is about the start, and its epoch is `START`, where the start was
    validated.
    """
    try:
        lines = [
            json.loads(line)
            for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
    except ValueError as error:
        raise InputError(f"{path}: want one JSON object per line: {error}") from None
    return [line for line in lines if "loss" in line], [line for line in lines if "map" in line]


def _origin(
    recipe: Recipe, train_set: Dataset, val_set: Dataset, device: str, precision: str
) -> dict[str, Any]:
    """What run.json says: code, versions, machine and data."""
    sha, dirty = provenance.revision()
    return {
        "command": provenance.command(),
        "revision": sha,
        "dirty": dirty,
        "versions": provenance.versions(),
        "device": device,
        "precision": precision,
        "seed": recipe.seed,
        "data": str(train_set.root),
        "images": str(train_set.images) if train_set.images else None,
        "train": _split_origin(train_set),
        "val": _split_origin(val_set),
        "skipped_boxes": len(train_set.skipped),
    }


def _split_origin(dataset: Dataset) -> dict[str, Any]:
    described = provenance.describe_data(dataset.photos, dataset.truth)
    return {"split": dataset.split} | described


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, {} when there is none."""
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: want JSON: {error}") from None
    return content
