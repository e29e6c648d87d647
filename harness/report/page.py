"""The page of a run: one HTML file that opens from disk.

The page grows with the run. Each section is made from files of the run folder, and is left out
while they are not there:

    header: the most final number    score.json, else sweep.csv, else log.jsonl    headline.py
    What it sees                     final.npz and the photos                      gallery.py
    Video                            video.mp4, video.npz                          video_sheet.py
    Class by class                   score.json; curves: final.npz and photos      plots.py
    What costs AP50, and two more    final.npz and the photos                      findings.py
    The two thresholds               sweep.csv                                     heat_map.py
    Training                         log.jsonl                                     plots.py
    The first batch                  first_batch.jpg
    Where it came from               run.json, recipe.toml
    Files                            any file that a run folder may hold

run.json says where the photos and their truth are. When they are gone, or are others by now, the
page says so in place of the sections that need them. templates/report.html puts it all together.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.diagnosis.diagnose import diagnose
from evaluate.diagnosis.verdicts import RULES, VOC
from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.metrics.voc import precision_recall
from evaluate.sweep import sweep_csv
from evaluate.tables import Detections
from harness.data.dataset import load_split
from harness.images.photos import read_photo
from harness.report.findings import findings
from harness.report.gallery import gallery, jpeg_uri
from harness.report.headline import Headline, facts_of, headline_of
from harness.report.heat_map import heat_map
from harness.report.plots import curves_svg, pr_points
from harness.report.template import render_page
from harness.report.video_sheet import contact_sheet
from harness.run_folder import Run

BATCH_SIDE = 1408  # pixels of the first batch's longer side


def write_report(folder: Path, out: Path) -> Headline | None:
    """Write the page whole or not at all. -> its headline, None while there is no number.

    Raises InputError when the folder holds nothing of a run, or when a file of it is damaged.
    """
    run = Run(folder)
    present = {path: path.stat() for path in run.described if path.is_file()}
    if not present:
        names = ", ".join(path.name for path in run.described)
        raise InputError(f"{folder}: want the folder of a run, it has none of {names}")
    origin, score = run.read_origin(), run.read_score()
    steps, epochs = run.read_log()
    cells, own_cells = sweep_csv.read_sweep(run.sweep) if run.sweep in present else ([], [])
    grid = heat_map(cells) if cells else None
    headline = headline_of(score, grid, epochs)
    newest = datetime.fromtimestamp(max(stat.st_mtime for stat in present.values()), UTC)

    page = render_page(
        "report.html",
        name=folder.resolve().name,
        run=origin,
        data_name=Path(origin["data"]).name if origin else "",
        headline=headline,
        facts=facts_of(origin, grid, bool(own_cells), epochs)
        | {"Written": f"{newest:%d %B %Y}"},  # of the run, so that the same run has the same page
        classes=_best_first(score.get("per_class", {})),
        sweep=grid,
        own_cells=own_cells,
        curves=curves_svg(steps, epochs),
        first_batch=_first_batch(run.first_batch),
        recipe=run.recipe.read_text() if run.recipe in present else "",
        files={path.name: (run.described[path], stat.st_size) for path, stat in present.items()},
        **_on_photos(run, origin, score),
        **_video(run),
    )
    with written_whole(out) as scratch:
        scratch.write_text(page, encoding="utf-8")
    return headline


def _on_photos(run: Run, origin: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
    """The sections that need the photos and their truth, or a note why there are none."""
    split = score.get("split") or "test"
    nothing: dict[str, Any] = {
        "split": split,
        "gallery": None,
        "gallery_note": "",
        "counts": {},  # objects of each class
        "pr": {},  # precision over recall of each class
        "why": None,  # what costs AP
    }
    if not run.final.is_file():
        return nothing
    if not origin:
        return nothing | {"gallery_note": "run.json, which says where the photos are, is missing"}
    dets = Detections.load(run.final)
    try:
        images = origin.get("images")
        data = load_split(Path(origin["data"]), split, images=Path(images) if images else None)
        diagnosis = diagnose(dets, data.truth, rule=RULES.get(score.get("metric", ""), VOC))
        photos = gallery(dets, data, diagnosis.confusion.conf)
        curves = precision_recall(dets, data.truth)
    except InputError as error:  # the data set is gone, or is another one by now
        return nothing | {"gallery_note": str(error)}
    truth = data.truth
    objects = np.bincount(truth.label[~truth.difficult], minlength=len(truth.classes)).tolist()
    return nothing | {
        "counts": dict(zip(truth.classes, objects, strict=True)),
        "gallery": photos,
        "pr": {name: pr_points(curve) for name, curve in curves.items()},
        "why": findings(diagnosis),
    }


def _video(run: Run) -> dict[str, Any]:
    """The moments of the run's video, or why there are none."""
    values: dict[str, Any] = {"video": None, "video_note": ""}
    if not any(path.is_file() for path in (run.video, run.video_table)):
        return values
    try:
        return values | {"video": contact_sheet(run)}
    except InputError as error:  # half of it is gone, or PyAV is
        return values | {"video_note": str(error)}


def _best_first(per_class: dict[str, float | None]) -> list[tuple[str, float | None]]:
    """Classes by falling AP, those without truth last."""
    return sorted(per_class.items(), key=lambda item: 1 if item[1] is None else -item[1])


def _first_batch(path: Path) -> str:
    if not path.is_file():
        return ""
    return jpeg_uri(read_photo(path), BATCH_SIDE)
