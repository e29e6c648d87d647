"""harness.video.stills: single frames of a path, without decoding the rest."""

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

av = pytest.importorskip("av")

from evaluate.exceptions import InputError  # noqa: E402
from evaluate.tracking.video_detections import NO_BOXES, VideoDetections  # noqa: E402
from harness.video.inputs import open_input  # noqa: E402
from harness.video.pipeline import write_video  # noqa: E402
from harness.video.stills import stills  # noqa: E402
from tests.clips import MATRIX, Clip, Sound, half, number_in, paint, write_clip, write_sound  # noqa: E402

ROWS = [41, 0, 49, 1, 17, 16]


def table(frames, rate=25):
    ids = [f"frame_{i}.jpg" for i in range(frames)]
    return VideoDetections.from_frames(
        ids, ("cat",), np.arange(frames) / rate, [0] * frames, [NO_BOXES] * frames
    )


def written(clip, folder):
    """The path and the table that `harness video` makes of a clip."""
    source = open_input(str(write_clip(folder / f"in{clip.suffix}", clip)), Fraction(25))
    steps = ((event, NO_BOXES) if hasattr(event, "planes") else event for event in source.events())
    return folder / "out.mp4", write_video(
        source, steps, ("cat",), folder / "out.mp4", 0.25, lambda frames: None
    )


CLIPS = ["constant rate", "variable rate", "sound starts late", "TS", "WebM"]


@pytest.mark.parametrize("name", CLIPS)
def test_the_frames_asked_for_come_in_that_order(name, tmp_path):
    path, video = written(MATRIX[name], tmp_path)
    assert [number_in(image) for image in stills(path, video, ROWS)] == ROWS


def test_pixels_come_square_and_in_the_right_colours(tmp_path):
    path, video = written(MATRIX["non-square pixels"], tmp_path)
    (image,) = stills(path, video, [7])
    assert image.shape == (96, 171, 3)  # 128 x 4 / 3 wide
    painted = paint(7, (96, 128)).astype(int)
    for y, x in ((10, 10), (10, -10), (-10, 10), (-10, -10)):
        assert np.abs(image[y, x] - painted[y, x]).max() <= 8


def test_what_lies_far_from_the_frames_asked_for_is_not_decoded(tmp_path):
    noisy = Clip(times=list(range(600)), sounds=(), noise=60)
    path = write_clip(tmp_path / "video.mp4", replace(noisy, then=partial(zeroed, 0, 0.1)))
    assert [number_in(image) for image in stills(path, table(600), [590, 510])] == [590, 510]
    with pytest.raises(InputError, match="FFmpeg cannot read"):
        list(stills(path, table(600), [20]))
    path = write_clip(tmp_path / "video.mp4", replace(noisy, then=partial(zeroed, 0.1, 1)))
    with pytest.raises(InputError, match="want a frame at 0.708 s, there is none"):
        list(stills(path, table(600, rate=24), [17]))


def zeroed(first, last, data):
    """A part of the frames' bytes gone, from one share of them to another."""
    start, size = data.index(b"mdat") + 4, data.rindex(b"moov") - data.index(b"mdat") - 8
    a, b = (start + round(share * size) for share in (first, last))
    return data[:a] + bytes(b - a) + data[b:]


@pytest.mark.parametrize(
    ("video", "row", "says"),
    [
        (table(49), 0, "want the table's 49 frames, it has 50"),
        (table(50, rate=24), 17, "want a frame at 0.708 s, there is none"),
        (table(50, rate=20), 49, "want a frame at 2.450 s, there is none"),  # after the last
    ],
)
def test_the_video_of_another_table_is_refused(video, row, says, tmp_path):
    path = write_clip(tmp_path / "video.mp4", Clip(sounds=()))
    with pytest.raises(InputError, match=f"video.mp4: {says}"):
        list(stills(path, video, [row]))


@pytest.mark.parametrize("then", [half, lambda data: b""])
@pytest.mark.parametrize("options", [(), (("movflags", "+faststart"),)])
def test_a_damaged_video_is_one_line(then, options, tmp_path):
    path = write_clip(tmp_path / "video.mp4", Clip(sounds=(), options=options, then=then))
    with pytest.raises(
        InputError, match=r"video.mp4: want a video, FFmpeg cannot read this file: Invalid data"
    ) as error:
        list(stills(path, table(50), [48]))
    assert "\n" not in str(error.value)


def test_a_file_without_frames_is_refused(tmp_path):
    with av.open(tmp_path / "sound.mp4", "w") as out:
        write_sound(out, out.add_stream("aac", 48_000, layout="mono"), Sound(0.1))
    with pytest.raises(InputError, match="sound.mp4: want the table's 50 frames, it has 0"):
        list(stills(tmp_path / "sound.mp4", table(50), [0]))
