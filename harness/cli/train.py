"""`harness train`: from a recipe and a data set to the weights of a run."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from harness.cli.options import Device, Images, Split, bars, say_skipped
from harness.cli.process import compute_deterministically, one_thread_per_photo


def train_command(
    recipe: Annotated[str, Parameter(help="A shipped recipe, such as v5l, or a .toml file.")],
    /,
    *overrides: Annotated[str, Parameter(help="key=value for any key of the recipe.")],
    data: Annotated[
        Path, Parameter(help="VOC devkit folder, COCO JSON, YOLO data.yaml, or list file(s).")
    ],
    out: Annotated[Path, Parameter(help="Run folder to write.")],
    images: Images = None,
    train_split: Split = "train",
    val_split: Split = "val",
    resume: Annotated[bool, Parameter(help="Go on with the run in OUT, if there is one.")] = False,
    device: Device = "auto",
) -> None:
    """Train a detector; OUT/best.pt are its weights with the best AP50 on the validation split.

    Weights to start from that know some of the classes are validated first, and best.pt never falls
    below them.
    """
    from harness.data.dataset import open_data
    from harness.device import pick_device
    from harness.recipe import load_recipe
    from harness.run_folder import Run
    from harness.training.train import train

    settings = load_recipe(recipe, overrides)
    opened = open_data(data, images)
    train_set, val_set = opened.load(train_split), opened.load(val_split)
    for dataset in (train_set, val_set):
        say_skipped(dataset)
    on = pick_device(device)
    one_thread_per_photo()
    if on.type == "cpu":
        compute_deterministically()
    best = train(
        settings,
        train_set,
        val_set,
        out,
        device=on,
        resume=resume,
        progress=bars,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(f"{Run(out).best}: AP50 {best:.4f} on {val_split}")
