"""Train a list of settings over several seeds and print the table of their scores.

    python benchmarks/ablation.py PLAN.toml --data DATA --out FOLDER
        [--seeds 3] [--cores 0,1] [--only SETTING ...]

A plan is a TOML file with one table per setting:

    [v5n]                       the setting's name
    recipe = "v5n-few"          the recipe it starts from
    epochs = 16                 keys of the recipe that differ
    [without-ciou]
    like = "v5n"                starts from another setting instead
    seeds = 1                   where other than --seeds
    without = "ciou"            an ingredient of the tuned loss to take out (WITHOUT below)

A finished run is not made again and one cut short goes on, so the script can be stopped and started
at will. Each core trains a run of its own: two trainings with one thread each get more done on two
cores than one training with two threads.

Scores are in percent, at confidence 0.001 and NMS IoU 0.6, of the epoch with the best AP50 on val;
the table gives mean and standard deviation over seeds, on val, which chose the epoch, and on test,
which chose nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import harness.cli.main
import harness.weights.start
import models.assign
import models.heads
import models.losses
import models.weights

Keys = dict[str, Any]
CELL = ["--conf", "0.001", "--iou", "0.6"]


# What can be taken out. Each function replaces a name in the module that uses it, for good: it runs
# in the process of one training, just before the command line.


def one_cell() -> None:
    """Only the cell of a truth's centre answers for it, not its neighbours."""
    models.losses.match_by_ratio = lambda *arguments: models.assign.match_by_ratio(
        *arguments[:-1], neighbours=False
    )


def one_anchor() -> None:
    """Only the best anchor of all levels answers for a truth, in the cell of its centre.

    The loss asks for the positives of one level after the other: the levels' matches are made
    beforehand and handed out in that order.
    """

    def loss(
        raw: Any, targets: Any, code: Any, anchors: Any, strides: Any, gains: Any, **options: Any
    ) -> Any:
        grids = [(level.shape[2], level.shape[3]) for level in raw]
        matches = iter(
            models.assign.match_best_anchor(
                models.assign.stack_truths(targets), anchors, grids, strides
            )
        )
        models.losses.match_by_ratio = lambda *arguments: next(matches)[0]
        return tuned(raw, targets, code, anchors, strides, gains, **options)

    tuned = models.losses.tuned_loss
    models.heads.tuned_loss = loss


def ciou() -> None:
    """Plain IoU as the box loss."""
    complete = models.losses.ciou
    models.losses.ciou = lambda a, b: (complete(a, b)[0],) * 2


def head_rows() -> None:
    """The heads start at random, the rest from the weights."""

    def transfer(weights: Any, model: Any) -> Any:
        start = {
            name: value.clone()
            for name, value in model.state_dict().items()
            if name in model.class_rows()
        }
        new = whole(weights, model)
        model.load_state_dict(start, strict=False)
        return new

    whole = harness.weights.start.transfer
    harness.weights.start.transfer = transfer


def class_rows() -> None:
    """No class of the weights' is recognised by its name."""
    models.weights.match_classes = lambda wanted, offered: [None] * len(wanted)


WITHOUT = {
    "neighbour cells": one_cell,
    "several anchors": one_anchor,
    "ciou": ciou,
    "head rows": head_rows,
    "class rows": class_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cores", default=",".join(map(str, sorted(os.sched_getaffinity(0)))))
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    plan: dict[str, Keys] = tomllib.loads(options.plan.read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = [
        (seed, name, _whole(plan, name))
        for name, keys in plan.items()
        if not options.only or name in options.only
        for seed in range(keys.get("seeds", options.seeds))
    ]
    jobs.sort(key=lambda job: job[0])  # one seed of everything first: a table worth reading early
    cores: Queue[int] = Queue()
    for core in options.cores.split(","):
        cores.put(int(core))
    with ThreadPoolExecutor(cores.qsize()) as pool:
        list(pool.map(lambda job: run(*job, options.data, options.out, cores), jobs))
    print(table(options.out, list(plan)))


def _whole(plan: dict[str, Keys], name: str) -> Keys:
    """A setting's keys over those of the setting it is like."""
    keys = dict(plan[name])
    keys.pop("seeds", None)
    return _whole(plan, keys.pop("like")) | keys if "like" in keys else keys


def run(seed: int, name: str, keys: Keys, data: Path, out: Path, cores: "Queue[int]") -> None:
    """Train, predict and score one run on a free core, unless it has its score already."""
    folder = out / f"{name}-{seed}"
    if (folder / "score.json").exists():
        return
    core = cores.get()
    started = time.monotonic()
    try:
        recipe, without = keys.pop("recipe"), keys.pop("without", "")
        changes = [f"{key}={_text(value)}" for key, value in keys.items()]
        train = ["train", recipe, *changes, f"seed={seed}", "threads=1", "--data", str(data)]
        _harness(core, folder, [*train, "--out", str(folder), "--resume"], without)
        scores = _scores(core, folder, data)
        content = scores | {"minutes": (time.monotonic() - started) / 60}
        (folder / "score.json.part").write_text(json.dumps(content))
        os.replace(folder / "score.json.part", folder / "score.json")
        print(f"{folder.name}: val {scores['val']:.4f} test {scores['test']:.4f}", file=sys.stderr)
    finally:
        cores.put(core)


def _scores(core: int, folder: Path, data: Path) -> dict[str, float]:
    """A trained run's mAP on val and test, and the COCO metric on test."""
    scores = {}
    for split in ("val", "test"):
        table = str(folder / f"{split}.npz")
        photos = ["--data", str(data), "--split", split]
        _harness(core, folder, ["predict", str(folder), *photos, "--out", table])
        ledger = ["--ledger", str(folder / "ledger.sqlite")]  # not the one of real runs
        score = ["score", table, *photos, *CELL, "--json", *ledger]
        scores[split] = json.loads(_harness(core, folder, score))["map"]
    coco = json.loads(_harness(core, folder, [*score, "--metric", "coco"]))
    return scores | {"test AP50-95": coco["map"]}


def table(out: Path, names: list[str]) -> str:
    """The scores of the finished runs, as a Markdown table."""
    lines = [
        "| setting | seeds | val AP50 | test AP50 | test AP50-95 | minutes a run |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        runs = [
            json.loads(path.read_text()) for path in sorted(out.glob(f"{name}-[0-9]*/score.json"))
        ]
        if runs:
            columns = [
                _spread([100 * run[key] for run in runs]) for key in ("val", "test", "test AP50-95")
            ]
            minutes = statistics.median(run["minutes"] for run in runs)
            lines.append(f"| {name} | {len(runs)} | {' | '.join(columns)} | {minutes:.0f} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    deviation = f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _harness(core: int, folder: Path, arguments: list[str], without: str = "") -> str:
    """Run `harness` on one core. -> its output; its progress goes to FOLDER.log."""
    one_thread = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "ABLATION_WITHOUT": without}
    with open(folder.with_suffix(".log"), "a") as log:
        process = subprocess.run(
            [sys.executable, __file__, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | one_thread,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    if process.returncode:
        raise SystemExit(f"{folder}: failed, {folder.with_suffix('.log')} says why")
    return process.stdout


if __name__ == "__main__":
    if "ABLATION_WITHOUT" in os.environ:  # one `harness` command of a run
        if without := os.environ["ABLATION_WITHOUT"]:
            WITHOUT[without]()
        sys.exit(harness.cli.main.main())
    main()
