"""`harness data`: make, fetch or check a data set."""

import json
from pathlib import Path

from cyclopts import App

from evaluate.exceptions import JobError
from harness.cli.options import AsJson, Images, bars

data_app = App(name="data", help="Make, fetch or check a data set.")


@data_app.command(name="demo")
def demo_command(out: Path, /, *, seed: int = 0) -> None:
    """Draw the demo data set: 680 scenes of six kinds of objects in VOC layout."""
    from harness.data.demo import make_demo

    make_demo(out, seed=seed, progress=bars)
    print(f"{out}: demo data set with splits train, val, test")


@data_app.command(name="voc2007")
def voc2007_command(out: Path, /) -> None:
    """Fetch and verify VOC 2007 trainval and test (870 MB); goes on where it stopped."""
    from harness.data.voc2007 import fetch_voc2007

    root = fetch_voc2007(out, progress=bars)
    print(f"{root}: VOC 2007, verified")


@data_app.command(name="check")
def check_data_command(data: Path, /, *, images: Images = None, as_json: AsJson = False) -> None:
    """Look for what is wrong with a data set: every problem with its file and line.

    Exit status 1 if training would fail.
    """
    from harness.data.doctor import check_dataset

    result = check_dataset(data, images=images, progress=bars)
    print(json.dumps(result.as_dict()) if as_json else "\n".join(result.lines()))
    if result.errors:
        raise JobError(
            f"{data}: {len(result.errors)} errors; training and scoring need them mended"
        )
