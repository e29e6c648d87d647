"""What scoring one large table costs here and with other COCO evaluators, as a Markdown table.

    python benchmarks/evaluation.py [--env FOLDER] [--rounds 9]

The table has the size of VOC 2007 test: 4952 images, 20 classes, 12,032 truths, 2900 difficult
ones, 495,200 detections. The others are installed into a throw-away virtual environment, or into
FOLDER, which is used again when it is there. Everyone runs in a process of its own with one
thread, and rounds take turns. In a round a task is run twice and the second run counts, whose
caches nobody has emptied; what takes more than 5 seconds is run once in all. Times are medians of
CPU seconds. Arrays are ready when the clock starts, and so are the others' truths, as the dicts
they want.

VOC's rule is ours alone: AP50 of the others is COCO's, of 101 recalls. The last column is the
largest difference of a number from pycocotools on the same task.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OURS = "this project"
MODULES = {
    "ultrafast-pycocotools": ("ultrafast_pycocotools", "COCOeval"),
    "hotcoco": ("hotcoco", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "COCOeval_faster"),
    "pycocotools": ("pycocotools", "COCOeval"),
}
CLASSES = tuple(
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor".split()
)
IMAGES = tuple(f"{number:06d}.jpg" for number in range(1, 4953))
TASKS = {
    "ap50": "arrays to AP50",
    "ten": "arrays to AP at ten IoUs",
    "file": "file to AP50 (ours CSV, theirs JSON)",
    "coco": "arrays to COCO's twelve numbers",
    "interval": "arrays to AP50 and its interval, 1000 replicates",
}
SLOW = 5.0  # CPU seconds after which a task is not run again
Task = Callable[[], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if (
        options.worker == "files"
    ):  # in a process of its own: a child's peak memory starts from its parent's
        write_files(options.files)
        return
    if options.worker:
        work(options.worker, options.files)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        python = environment(options.env or files / "env")
        subprocess.run(
            [sys.executable, __file__, "--worker", "files", "--files", str(files)], check=True
        )
        pythons = {OURS: sys.executable} | dict.fromkeys(MODULES, python)
        workers = {name: start(name, path, files) for name, path in pythons.items()}
        seconds, numbers = measure(workers, options.rounds)
        for worker in workers.values():
            worker.communicate()
        peaks = {}
        for name, path in pythons.items():
            worker = start(name, path, files)
            ask(worker, "coco")
            peaks[name] = ask(worker, "peak")
            worker.communicate()
        print(as_markdown(seconds, numbers, peaks))


def environment(folder: Path) -> str:
    """The Python of a virtual environment with the others in it."""
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        venv.create(folder, with_pip=True)
        install = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *MODULES,
        ]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return python


def synthetic(seed: int = 0) -> tuple[Any, Any]:
    """-> Detections, GroundTruth: three boxes near each truth, false positives of low score."""
    from evaluate.tables import Detections, GroundTruth

    rng = np.random.default_rng(seed)
    share = np.where(np.array(CLASSES) == "person", 0.43, 0.03)

    def boxes(n: int) -> Any:
        size = np.exp(rng.normal(4.6, 0.8, (n, 2))).clip(8, [495, 370]).round()
        low = (rng.random((n, 2)) * ([500, 375] - size)).round()
        return np.concatenate([low, low + size], axis=1)

    truths, hard, images, each = 12_032, 2_900, len(IMAGES), 100
    image = np.sort(np.append(np.arange(images), rng.integers(0, images, truths + hard - images)))
    label = rng.choice(len(CLASSES), len(image), p=share)
    truth = GroundTruth(
        IMAGES, CLASSES, image, label, boxes(len(image)), rng.permutation(len(image)) < hard
    )
    near = np.repeat(np.arange(len(image)), 3)
    side = (truth.xyxy[near, 2:] - truth.xyxy[near, :2])[:, [0, 1, 0, 1]]
    others = images * each - len(near)
    at = np.append(image[near], rng.permutation(np.arange(others) % images))
    named = np.where(
        rng.random(len(near)) < 0.8, label[near], rng.choice(len(CLASSES), len(near), p=share)
    )
    named = np.append(named, rng.choice(len(CLASSES), others, p=share))
    xyxy = np.concatenate(
        [truth.xyxy[near] + rng.normal(0, 0.08, (len(near), 4)) * side, boxes(others)]
    )
    xyxy = xyxy.astype(np.float32)
    xyxy[:, 2:] = np.maximum(xyxy[:, 2:], xyxy[:, :2] + 1)
    score = np.append(rng.beta(2, 2, len(near)), rng.beta(1, 12, others)).round(5)
    row = np.lexsort((*xyxy.T[::-1], at))  # by image and box, as equal scores rank
    return Detections(IMAGES, CLASSES, at[row], named[row], xyxy[row], score[row]), truth


def write_files(folder: Path) -> None:
    from submit.csv import formats

    dets, truth = synthetic()
    truth = truth.take(np.lexsort((truth.difficult, *truth.xyxy.T[::-1], truth.image)))
    dets.save(folder / "dets.npz")
    truth.save(folder / "truth.npz")
    formats.write_submission(dets, folder / "submission.csv")
    boxes = [table.xyxy.astype(np.float64) for table in (dets, truth)]
    for xywh in boxes:
        xywh[:, 2:] -= xywh[:, :2]
    np.save(
        folder / "dets.npy",
        np.column_stack([dets.image, boxes[0], dets.score.astype(np.float64), dets.label]),
    )
    columns = (
        dets.image.tolist(),
        dets.label.tolist(),
        boxes[0].round(2).tolist(),
        dets.score.tolist(),
    )
    keys = ("image_id", "category_id", "bbox", "score")
    rows = [
        dict(zip(keys, (*row[:3], round(row[3], 5)), strict=True))
        for row in zip(*columns, strict=True)
    ]
    (folder / "dets.json").write_text(json.dumps(rows))
    keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    columns = (
        *(range(1, len(truth) + 1), truth.image.tolist(), truth.label.tolist()),
        *(
            boxes[1].tolist(),
            boxes[1][:, 2:].prod(1).tolist(),
            truth.difficult.astype(int).tolist(),
        ),
    )
    content = {
        "images": [{"id": number, "width": 500, "height": 375} for number in range(len(IMAGES))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        "annotations": [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)],
    }
    (folder / "truth.json").write_text(json.dumps(content))


def start(name: str, python: str, files: Path) -> subprocess.Popen[str]:
    one = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    command = [python, __file__, "--worker", name, "--files", str(files)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one
    )


def ask(worker: Any, task: str) -> Any:
    worker.stdin.write(task + "\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def measure(
    workers: dict[str, Any], rounds: int
) -> tuple[dict[Any, list[float]], dict[Any, list[float]]]:
    """-> CPU seconds and numbers by (task, name)."""
    seconds: dict[Any, list[float]] = {}
    numbers: dict[Any, list[float]] = {}
    for turn in range(1, rounds + 1):
        for task in TASKS:
            for name, worker in workers.items():
                runs = seconds.setdefault((task, name), [])
                if (task == "interval" and name != OURS) or max(runs, default=0) > SLOW:
                    continue
                spent, numbers[task, name] = ask(worker, task)
                if spent < SLOW or name == OURS:  # which compiles on its first run
                    spent, numbers[task, name] = ask(worker, task)
                print(f"round {turn} of {rounds}, {task}, {name}: {spent:.3f} s", file=sys.stderr)
                runs.append(spent)
    return seconds, numbers


def as_markdown(
    seconds: dict[Any, list[float]], numbers: dict[Any, list[float]], peaks: dict[str, float]
) -> str:
    lines = [
        "| task | who | CPU s | runs | ratio to the fastest other | differs from pycocotools by |",
        "|" + "---|" * 6,
    ]
    for task, title in TASKS.items():
        medians = {
            name: statistics.median(runs)
            for (of, name), runs in seconds.items()
            if of == task and runs
        }
        fastest = min((spent for name, spent in medians.items() if name != OURS), default=None)
        for name, spent in medians.items():
            ratio = f"{spent / fastest:.2f}" if fastest else "-"
            differs = "other rule"
            if name != OURS or task == "coco":
                pairs = zip(numbers[task, name], numbers[task, "pycocotools"], strict=True)
                differs = f"{max(abs(mine - theirs) for mine, theirs in pairs):.2g}"
            lines.append(
                f"| {title} | {name} | {spent:.3f} | {len(seconds[task, name])} "
                f"| {ratio} | {differs} |"
            )
    lines += ["", "| who | peak MiB, arrays to COCO's twelve numbers |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {peak:.0f} |" for name, peak in peaks.items())])


def work(name: str, files: Path) -> None:
    """Run the tasks named on stdin, one per line. -> [CPU seconds, numbers]; for `peak`, MiB."""
    tasks = our_tasks(files) if name == OURS else their_tasks(name, files)
    for line in sys.stdin:
        if line == "peak\n":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
            continue
        task = tasks[line.strip()]
        started = time.process_time()
        found = task()
        print(json.dumps([time.process_time() - started, found]), flush=True)


def our_tasks(files: Path) -> dict[str, Task]:
    from evaluate.metrics.bootstrap import score_with_interval
    from evaluate.metrics.coco import NAMES, coco_map
    from evaluate.metrics.matching import match
    from evaluate.metrics.voc import score_matches, voc_map
    from evaluate.tables import Detections, GroundTruth
    from submit.csv import formats

    dets, truth = Detections.load(files / "dets.npz"), GroundTruth.load(files / "truth.npz")

    def ten() -> list[float]:
        matches = match(dets, truth)
        return [
            score_matches(matches, iou_min=float(iou)).map for iou in np.linspace(0.5, 0.95, 10)
        ]

    def coco() -> list[float]:
        found = coco_map(dets, truth)
        return [found[name] for name in NAMES]

    def file() -> list[float]:
        read = formats.read_submission(
            files / "submission.csv", truth.classes, image_ids=truth.image_ids
        )
        return [voc_map(read, GroundTruth.load(files / "truth.npz")).map]

    return {
        "ap50": lambda: [voc_map(dets, truth).map],
        "ten": ten,
        "file": file,
        "coco": coco,
        "interval": lambda: list(score_with_interval(dets, truth)[1]),
    }


def their_tasks(name: str, files: Path) -> dict[str, Task]:
    package, evaluator = MODULES[name]
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        module = __import__(package)
        COCO, COCOeval = module.COCO, getattr(module, evaluator)
    dets, truth = np.load(files / "dets.npy"), json.loads((files / "truth.json").read_text())

    def run(truth: Any, dets: Any, ious: list[float]) -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            answers = COCO(truth) if isinstance(truth, str) or name != "pycocotools" else COCO()
            if name == "pycocotools" and not isinstance(truth, str):
                answers.dataset = truth
                answers.createIndex()
            found = COCOeval(answers, answers.loadRes(dets), "bbox")
            if ious:
                params = found.params
                params.iouThrs, params.maxDets = np.array(ious), [100]
                params.areaRng, params.areaRngLbl = [[0, 1e10]], ["all"]
                found.params = params  # hotcoco hands out a copy
            found.evaluate()
            found.accumulate()
            if not ious:
                found.summarize()
                return [float(number) for number in found.stats[:12]]
        precision = np.asarray(found.eval["precision"])
        return [float(of_iou[of_iou > -1].mean()) for of_iou in precision]

    return {
        "ap50": lambda: run(truth, dets, [0.5]),
        "ten": lambda: run(truth, dets, np.linspace(0.5, 0.95, 10).tolist()),
        "file": lambda: run(str(files / "truth.json"), str(files / "dets.json"), [0.5]),
        "coco": lambda: run(truth, dets, []),
    }


if __name__ == "__main__":
    main()
