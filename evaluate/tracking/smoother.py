"""The detections of a whole video -> its tracks, each box smoothed with what came before and after.

The tracker (evaluate.tracking.tracker) can only look back. When the whole video is known already:

    1. number the boxes with a tracker in which a box of any score may start an object, for whether
       it was one can be judged at the end;
    2. keep objects with SIGHTINGS_MIN high sightings or more;
    3. vote on the label, smooth the boxes, and fill the frames between two sightings;
    4. drop objects whose own score, the mean over their sightings, is low.

Worked example. A cup is seen on frames 0 to 4 and 15 to 24 and hidden between, for 0.4 s at 25
frames per second. The tracker gives both parts one number, and the smoother draws the box on
frames 5 to 14 along the way from one end to the other: 25 boxes from 15 sightings.
"""

from dataclasses import replace

import numpy as np

from evaluate.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from evaluate.loops import Kernels
from evaluate.tables import Array
from evaluate.tracking.tracker import Tracker, score_weight
from evaluate.tracking.video_detections import NO_BOXES, FrameBoxes, VideoDetections

kalman = Kernels("evaluate.tracking.kalman_kernel")

SIGHTINGS_MIN = 3  # with a high score, or there was nothing


def smooth_tracks(video: VideoDetections, conf_min: float) -> VideoDetections:
    """The objects of a video: numbered, with one label each, from their first to last sighting.

    A score of `conf_min` or more is high. The score of an object is its mean over the sightings.
    A frame's boxes are in order of falling score.
    """
    # 1.
    video = video.take(np.lexsort((-video.score, video.image)))
    tracker = Tracker(len(video.classes), conf_min, low_starts=True)
    frames = zip(video.time.tolist(), video.shot.tolist(), video.frames(), strict=True)
    number = np.concatenate([tracker.assign(*frame) for frame in frames] or [np.zeros(0, int)])

    # 2. to 4.
    by_number = np.argsort(number, kind="stable")
    high = video.score >= np.float32(conf_min)
    enough = min(SIGHTINGS_MIN, len(video.image_ids))
    images, objects = [np.zeros(0, int)], [NO_BOXES]
    for rows in np.split(by_number, np.flatnonzero(np.diff(number[by_number])) + 1):
        if len(rows) == 0 or number[rows[0]] == 0 or high[rows].sum() < enough:
            continue
        first, boxes = _smoothed_object(video, rows, len(objects))
        if boxes.score[0] >= np.float32(conf_min):
            images.append(np.arange(first, first + len(boxes.label)))
            objects.append(boxes)

    # one table of all objects, frame by frame
    image = np.concatenate(images)
    columns = [np.concatenate(column) for column in zip(*objects, strict=True)]
    order = np.lexsort((-columns[2], image))
    label, xyxy, score, track = (column[order] for column in columns)
    return replace(video, image=image[order], label=label, xyxy=xyxy, score=score, track=track)


def _smoothed_object(video: VideoDetections, rows: Array, number: int) -> tuple[int, FrameBoxes]:
    """Step 3 for one object: its rows, by image, best first.

    -> the image it starts on, and its boxes there and on each image up to its last sighting.
    """
    image, first_row = np.unique(video.image[rows], return_index=True)
    best = rows[first_row]  # the others of a frame only vote
    votes = np.bincount(video.label[rows], video.score[rows])

    first, n = int(image[0]), int(image[-1] - image[0] + 1)
    cxcywh, weight = np.zeros((n, 4)), np.zeros(n)  # weight 0: not seen on this frame
    cxcywh[image - first] = xyxy_to_cxcywh(video.xyxy[best])
    weight[image - first] = score_weight(video.score[best])
    xyxy = cxcywh_to_xyxy(kalman.smooth(video.time[first : first + n], cxcywh, weight))

    score = votes.max() / len(image)
    return first, FrameBoxes(
        np.full(n, votes.argmax()), xyxy, np.full(n, score), np.full(n, number)
    )
