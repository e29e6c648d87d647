"""harness.video.yuv, overlay and shots: frames as H.264 keeps them, upright and drawn on."""

import cv2
import numpy as np
import pytest

pytest.importorskip("av")

from evaluate.tracking.video_detections import FrameBoxes  # noqa: E402
from harness.images.drawing import PALETTE, draw_boxes  # noqa: E402
from harness.video.overlay import annotated_frame, draw_on_planes  # noqa: E402
from harness.video.shots import Shots  # noqa: E402
from harness.video.source import Frame  # noqa: E402
from harness.video.video_file import VideoFile  # noqa: E402
from harness.video.yuv import ColourTags, planes_to_rgb, rgb_to_planes, split_planes  # noqa: E402
from tests.clips import Clip, contents, paint, write_clip  # noqa: E402

CLASSES = ("person", "dog")


def one_box(score):
    return FrameBoxes(
        np.array([0]), np.array([[10.0, 20, 40, 70]]), np.array([score]), np.zeros(1, int)
    )


@pytest.mark.parametrize(
    ("rotation", "mirrored"), [(0, True), (90, False), (180, True), (270, False), (270, True)]
)
def test_frames_are_upright_whatever_the_display_matrix_says(rotation, mirrored, tmp_path):
    clip = write_clip(tmp_path / "in.mp4", Clip(rotation=rotation, mirrored=mirrored, sounds=()))
    (shown,) = [event for event in VideoFile(clip).events() if isinstance(event, Frame)][5:6]
    upright = np.rot90(contents(clip).images[5], rotation // 90)
    wanted = upright[:, ::-1] if mirrored else upright
    seen = planes_to_rgb(shown.planes, ColourTags())
    assert seen.shape == wanted.shape and np.abs(seen.astype(int) - wanted).mean() < 2


def test_captions_say_class_and_score_or_number_and_weak_boxes_are_left_out():
    planes = rgb_to_planes(np.zeros((200, 300, 3), np.uint8), ColourTags())
    weak = one_box(0.2)
    assert (annotated_frame(planes, ColourTags(), weak, CLASSES, 0.25).to_ndarray() == planes).all()
    tracked = weak._replace(track=np.array([7]))
    seen = [
        annotated_frame(planes, ColourTags(), boxes, CLASSES, 0.25).to_ndarray()
        for boxes in (tracked, one_box(0.9))
    ]
    assert (seen[0] != planes).any() and (seen[0] != seen[1]).any()


def test_the_box_of_the_best_score_lies_on_top():
    planes = rgb_to_planes(np.zeros((200, 300, 3), np.uint8), ColourTags())
    for scores in ((0.9, 0.5), (0.5, 0.9)):
        both = FrameBoxes(
            np.array([0, 1]),
            np.array([[50.0, 50, 150, 150]] * 2),
            np.array(scores),
            np.zeros(2, int),
        )
        shown = planes_to_rgb(
            annotated_frame(planes, ColourTags(), both, CLASSES, 0.25).to_ndarray(), ColourTags()
        )
        assert np.abs(shown[100, 50].astype(int) - PALETTE[int(np.argmax(scores))]).max() < 25


@pytest.mark.parametrize(
    "colours", [ColourTags(), ColourTags(1, range=1), ColourTags(1, range=2), ColourTags(9)]
)
def test_boxes_on_planes_look_as_they_do_on_rgb(colours):
    rng = np.random.default_rng(3)
    photo = cv2.resize(
        rng.integers(0, 255, (9, 12, 3), np.uint8), (322, 238)
    )  # 238 / 4 is no whole number
    xyxy = np.array([[20, 40, 200, 200], [150, 100, 315, 230], [5, 200, 16, 212.0]])
    labels, texts = np.array([0, 3, 5]), ["person 0.91", "dog 12", "bird"]
    wanted = draw_boxes(planes_to_rgb(rgb_to_planes(photo, colours), colours), xyxy, labels, texts)
    planes = rgb_to_planes(photo, colours)
    canvas = planes.copy()
    draw_on_planes(split_planes(canvas), colours, xyxy, labels, texts)
    seen = planes_to_rgb(canvas, colours)
    off = np.abs(seen.astype(int) - wanted).max(2)
    assert (off > 60).mean() < 0.02 and np.median(off[off > 0]) < 30  # tints are half as sharp
    untouched = (wanted == planes_to_rgb(planes, colours)).all(2)
    assert (off[cv2.erode(untouched.astype(np.uint8), np.ones((5, 5))) > 0] == 0).all()


@pytest.mark.parametrize(
    "colours",
    [ColourTags(), ColourTags(1, range=1), ColourTags(5, range=2), ColourTags(9), ColourTags(7)],
)
def test_our_arithmetic_of_colours_is_ffmpegs(colours):
    for colour in ((200, 30, 60), (0, 114, 178), (255, 255, 255), (0, 0, 0), (10, 250, 20)):
        image = np.full((4, 4, 3), colour, np.uint8)
        luma, cb, cr = split_planes(rgb_to_planes(image, colours))
        ours = colours.ycbcr(image)[0, 0].astype(int)
        assert np.abs(ours - (luma[0, 0], cb[0, 0], cr[0, 0])).max() <= 1
        assert (
            np.abs(
                planes_to_rgb(rgb_to_planes(image, colours), colours)[0, 0].astype(int) - colour
            ).max()
            <= 4
        )


def test_a_cut_is_seen_and_motion_and_flicker_are_not():
    first, second = paint(5, (96, 128)), np.full((96, 128, 3), (90, 30, 60), np.uint8)
    brighter = np.clip(first.astype(int) + 8, 0, 255).astype(np.uint8)
    shots = Shots()
    shown = [
        first,
        np.roll(first, 10, 1),
        brighter,
        paint(6, (96, 128)),
        second,
        second + 3,
        first,
    ]
    assert [shots.shot_of(rgb_to_planes(image, ColourTags())) for image in shown] == [
        0,
        0,
        0,
        0,
        1,
        1,
        2,
    ]
