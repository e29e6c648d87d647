"""Objects that move, with known truth, and a detector that misses, mislabels and shakes."""

from dataclasses import dataclass

import numpy as np

from evaluate.boxes import iou
from evaluate.tracking.video_detections import FrameBoxes, VideoDetections

CLASSES = ("person", "bird", "dog", "car")
RATE = 25


@dataclass
class Scene:
    """The truth of each frame: boxes (n, 4), labels (n,), numbers (n,) of the objects."""

    boxes: list[np.ndarray]
    labels: list[np.ndarray]
    numbers: list[np.ndarray]


def scene(frames: int = 600, objects: int = 14, seed: int = 0) -> Scene:
    """Objects that come, swing about, cross each other and go.

    They move at up to some 300 pixels per second on 1280 x 720.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / RATE
    truth = Scene(*([[] for _ in time] for _ in range(3)))
    for number in range(1, objects + 1):
        first = int(rng.integers(0, frames // 2))
        last = int(rng.integers(first + frames // 4, frames + 1))
        middle, swing = rng.uniform((250, 180), (1030, 540)), rng.uniform(20, 180, 2)
        pace, phase = rng.uniform(0.1, 0.3, 2), rng.uniform(0, 2 * np.pi, 2)
        centre = middle + swing * np.sin(2 * np.pi * pace * time[:, None] + phase)
        side = rng.uniform(40, 160) * (1 + 0.2 * np.sin(2 * np.pi * 0.1 * time + phase[0]))[:, None]
        half = side * (0.5, rng.uniform(0.4, 0.9))
        label = int(rng.integers(len(CLASSES)))
        for i in range(first, last):
            truth.boxes[i].append(np.concatenate([centre[i] - half[i], centre[i] + half[i]]))
            truth.labels[i].append(label)
            truth.numbers[i].append(number)
    return Scene(
        [np.array(boxes).reshape(-1, 4) for boxes in truth.boxes],
        [np.array(labels, int) for labels in truth.labels],
        [np.array(numbers, int) for numbers in truth.numbers],
    )


def detections(truth: Scene, seed: int = 0) -> VideoDetections:
    """What a poor detector says.

    One in five boxes is missed or weak, at times for half a second; one in 20 is mislabelled; a box
    is off by 4 % of its size; and there is a false positive on every other frame.
    """
    rng = np.random.default_rng(seed)
    hidden: dict[int, int] = {}
    frame_boxes = []
    for boxes, labels, numbers in zip(truth.boxes, truth.labels, truth.numbers):
        label, xyxy, score = [], [], []
        for box, name, number in zip(boxes, labels, numbers):
            hidden[number] = hidden.get(number, 0) - 1
            if hidden[number] <= 0 and rng.random() < 0.03:
                hidden[number] = int(rng.integers(2, 13))
            if hidden[number] > 0 and rng.random() < 0.7:
                continue
            side = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
            label.append(int(rng.integers(len(CLASSES))) if rng.random() < 0.07 else name)
            xyxy.append(box + rng.normal(0, 0.04 * side, 4))
            score.append(
                float(np.clip(rng.normal(0.6 if hidden[number] <= 0 else 0.2, 0.15), 0.06, 0.99))
            )
        if rng.random() < 0.5:
            corner, sides = rng.uniform((0, 0), (1100, 600)), rng.uniform(30, 120, 2)
            label.append(int(rng.integers(len(CLASSES))))
            xyxy.append(np.concatenate([corner, corner + sides]))
            score.append(float(rng.uniform(0.06, 0.5)))
        frame_boxes.append(
            FrameBoxes(
                np.array(label, int),
                np.array(xyxy).reshape(-1, 4),
                np.array(score),
                np.zeros(len(label)),
            )
        )
    ids = [f"frame_{i}.jpg" for i in range(len(frame_boxes))]
    return VideoDetections.from_frames(
        ids, CLASSES, np.arange(len(frame_boxes)) / RATE, np.zeros(len(frame_boxes)), frame_boxes
    )


@dataclass
class Steadiness:
    """How well boxes show a scene."""

    recall: float  # boxes of the truth that are met with IoU 0.5 and the right label
    precision: float  # shown boxes that meet one
    blinks: int  # how often an object that was shown is not on the next frame, though it is there
    flips: int  # how often the label changes from one frame to the next
    jitter: float  # pixels that the error of a centre changes from one frame to the next, rms
    swaps: int  # how often the number changes


def steadiness(truth: Scene, shown: list[FrameBoxes]) -> Steadiness:
    met = right = total = given = blinks = flips = swaps = 0
    before: dict[int, tuple[int, np.ndarray, int]] = {}
    moves = []
    for boxes, labels, numbers, frame_boxes in zip(truth.boxes, truth.labels, truth.numbers, shown):
        total, given = total + len(boxes), given + len(frame_boxes.label)
        overlap = iou(boxes, frame_boxes.xyxy)
        now = {}
        while overlap.size and overlap.max() >= 0.5:
            t, f = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[t], overlap[:, f] = 0, 0
            met, right = met + 1, right + bool(frame_boxes.label[f] == labels[t])
            error = (frame_boxes.xyxy[f] - boxes[t]).reshape(2, 2).mean(0)
            now[numbers[t]] = (int(frame_boxes.label[f]), error, int(frame_boxes.track[f]))
        for number in before.keys() & set(numbers.tolist()):
            if number not in now:
                blinks += 1
                continue
            flips += now[number][0] != before[number][0]
            swaps += now[number][2] != before[number][2]
            moves.append(now[number][1] - before[number][1])
        before = now
    jitter = float(np.sqrt((np.array(moves) ** 2).sum(1).mean()))
    return Steadiness(right / total, met / max(given, 1), blinks, flips, jitter, swaps)
