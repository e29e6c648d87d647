"""The folder of a run: what it was made of, written down before the first step."""

import json
from pathlib import Path

import torch

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from harness import provenance
from harness.data.dataset import Dataset
from harness.recipe import Recipe, load_recipe, save_recipe


def open_run(
    recipe: Recipe,
    train_set: Dataset,
    val_set: Dataset,
    out: Path,
    on: torch.device,
    precision: torch.dtype,
    resume: bool,
) -> None:
    """Make the run folder and write down what the run is made of; refuse to mix two runs."""
    if (out / "recipe.toml").exists():
        if not resume:
            raise InputError(
                f"{out}: holds a run already; --resume goes on with it, or choose another --out"
            )
        before = load_recipe(str(out / "recipe.toml"))
        if before != recipe:
            changed = [k for k in vars(recipe) if getattr(before, k) != getattr(recipe, k)]
            raise InputError(
                f"{out}: cannot resume with another recipe; changed: {', '.join(changed)}"
            )
    out.mkdir(parents=True, exist_ok=True)
    sha, dirty = provenance.revision()
    run = {
        "command": provenance.command(),
        "revision": sha,
        "dirty": dirty,
        "versions": provenance.versions(),
        "device": torch.cuda.get_device_name(on) if on.type == "cuda" else str(on),
        "precision": str(precision).removeprefix("torch."),
        "seed": recipe.seed,
        "data": str(train_set.root),
        "images": str(train_set.images) if train_set.images else None,
        "train": {"split": train_set.split}
        | provenance.describe_data(train_set.photos, train_set.truth),
        "val": {"split": val_set.split} | provenance.describe_data(val_set.photos, val_set.truth),
        "skipped_boxes": len(train_set.skipped),
    }
    if resume and (out / "run.json").exists():
        before_run = json.loads((out / "run.json").read_text())
        for split in ("train", "val"):
            if before_run[split] != run[split]:
                raise InputError(
                    f"{out}: cannot resume, the {split} data changed since the run began"
                )
    with written_whole(out / "run.json") as scratch:
        scratch.write_text(json.dumps(run, indent=2))
    save_recipe(recipe, out / "recipe.toml")
