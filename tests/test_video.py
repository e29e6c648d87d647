"""harness.video: the matrix of clips that are hard to keep exact, and the pipeline's laws."""

import signal
import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")

from evaluate.exceptions import InputError, JobError  # noqa: E402
from evaluate.progress import silent  # noqa: E402
from evaluate.tables import Detections  # noqa: E402
from evaluate.tracking.video_detections import NO_BOXES, FrameBoxes  # noqa: E402
from harness.video.annotate import annotate  # noqa: E402
from harness.video.inputs import Camera, ImageFolder, open_input  # noqa: E402
from harness.video.pipeline import FrameDetector  # noqa: E402
from harness.video.prefetch import prefetch  # noqa: E402
from tests.clips import MATRIX, Clip, Sound, contents, number_in, paint, write_clip  # noqa: E402
from tests.progress import Tasks  # noqa: E402

CLASSES = ("person", "dog")
NO_DETECTOR = FrameDetector(lambda images: [NO_BOXES] * len(images), CLASSES, 3)
UNREADABLE = {"truncated without index", "empty"}


def make(clip, out, boxes=NO_DETECTOR, *, conf_min=0.25, track=False, progress=silent):
    return annotate(
        lambda: open_input(str(clip), Fraction(25)),
        out,
        boxes,
        conf_min=conf_min,
        track=track,
        progress=progress,
    )


def detector(answer, batch=1):
    """A detector that answers `answer(count)` for the frame it sees as the count-th."""
    count = iter(range(10**6))
    return FrameDetector(lambda images: [answer(next(count)) for _ in images], CLASSES, batch)


def box(number, score=0.9, label=0):
    x = 10.0 + number % 50
    return FrameBoxes(
        np.array([label]), np.array([[x, 20, x + 30, 70]]), np.array([score]), np.zeros(1, int)
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """An ordinary clip of 50 frames with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", Clip())


@pytest.mark.parametrize("name", sorted(MATRIX.keys() - UNREADABLE))
def test_a_clip_comes_back_exactly(name, tmp_path):
    clip = MATRIX[name]
    given = write_clip(tmp_path / f"in{clip.suffix}", clip)
    out = tmp_path / ("out.mkv" if clip.suffix == ".mkv" else "out.mp4")
    annotated = make(given, out)
    before, after = contents(given), contents(out)

    shift = (
        before.times[0] - after.times[0]
    )  # MPEG-TS starts its clock anywhere, here after an hour
    assert (
        shift == 0
        if clip.suffix != ".ts"
        else min(after.times[0], after.sounds[0][0][0]) == 0 < shift
    )
    assert [time - shift for time in before.times] == after.times
    assert annotated.video.time == pytest.approx([float(time) for time in after.times])
    for old, new in zip(before.sounds + before.words, after.sounds + after.words, strict=True):
        moved = [abs(float(a - shift - b)) for (a, _), (b, _) in zip(old, new, strict=True)]
        assert max(moved) <= (0.0005 if clip.suffix == ".ts" else 0.00005)  # seconds
        header = 7 if clip.suffix == ".ts" else 0  # of ADTS, which MP4 has no place for
        assert b"".join(data[header:] for _, data in old) == b"".join(data for _, data in new)

    lost = len(clip.times) - len(after.times)
    assert lost == 0 or name == "truncated with index" or name == "corrupted middle" and lost <= 1
    assert (annotated.damaged > 0) == (name in ("corrupted middle", "truncated with index"))
    for old, new in list(zip(before.images, after.images))[:: len(after.times) // 8]:
        upright = np.rot90(old, clip.rotation // 90)
        h, w = upright.shape[:2]
        assert new.shape == (h + h % 2, w + w % 2, 3)
        assert np.abs(new[:h, :w].astype(int) - upright).mean() < (12 if clip.noise else 4)
        for whole, last in (
            (new, h - 1),
            (new.swapaxes(0, 1), w - 1),
        ):  # padded by a copy of the edge, if at all
            assert np.abs(whole[-1].astype(int) - whole[last]).mean() < 12
    if not clip.rotation and not clip.noise:
        old, new = (
            [number_in(image[: clip.size[0], : clip.size[1]]) for image in seen.images]
            for seen in (before, after)
        )
        assert new == old == list(range(len(new)))
        assert (after.pixel_aspect or 1) == clip.pixel_aspect


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_what_cannot_be_read_is_one_clear_line_and_no_output(name, tmp_path):
    given = write_clip(tmp_path / "in.mp4", MATRIX[name])
    with pytest.raises(
        InputError, match=r"in.mp4: want a video, FFmpeg cannot read this file: Invalid data"
    ) as error:
        make(given, tmp_path / "out.mp4")
    assert "\n" not in str(error.value) and [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (5, False), (1, True), (6, True)])
def test_colours_stay_what_they_were_and_are_tagged_the_same(matrix, full, tmp_path):
    clip = write_clip(tmp_path / "in.mp4", Clip(sounds=(), matrix=matrix, full_range=full))
    make(clip, tmp_path / "out.mp4")
    old, new = (contents(path).images[7].astype(int) for path in (clip, tmp_path / "out.mp4"))
    for y, x in ((10, 10), (10, -10), (-10, 10), (-10, -10)):
        assert np.abs(old[y, x] - new[y, x]).max() <= 4
        assert np.abs(new[y, x] - paint(7, (96, 128))[y, x]).max() <= 8
    with av.open(tmp_path / "out.mp4") as file:
        frame = next(file.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (matrix, 2 if full else 1)


def test_pixels_that_are_not_square_turn_with_the_frame(tmp_path):
    clip = write_clip(
        tmp_path / "in.mp4", Clip(rotation=90, pixel_aspect=Fraction(4, 3), sounds=())
    )
    make(clip, tmp_path / "out.mp4")
    assert contents(tmp_path / "out.mp4").pixel_aspect == Fraction(3, 4)


def test_odd_sides_that_share_their_chroma_are_padded_too(tmp_path):
    clip = write_clip(
        tmp_path / "in.webm", Clip(".webm", size=(97, 127), codec="libvpx", sounds=())
    )
    make(clip, tmp_path / "out.mp4")
    old, new = contents(clip).images[9], contents(tmp_path / "out.mp4").images[9]
    assert new.shape == (98, 128, 3) and np.abs(new[:97, :127].astype(int) - old).mean() < 4


def test_languages_titles_and_chapters_come_along(tmp_path):
    given, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_clip(
        given,
        Clip(".mkv", sounds=(Sound(), Sound(pitch=660)), title="A day", languages=("fra", "deu")),
    )
    make(given, out)
    with av.open(out) as file:
        assert file.metadata["title"] == "A day"
        assert [stream.language for stream in file.streams.audio] == ["fra", "deu"]
        assert [chapter["metadata"]["title"] for chapter in file.chapters()] == ["One"]


def test_a_track_that_the_format_cannot_hold_is_named_and_nothing_is_written(tmp_path):
    given = write_clip(tmp_path / "in.mkv", MATRIX["MKV"])
    with pytest.raises(JobError, match=r"mp4 cannot hold the subtitle track 2 \(srt\); try .mkv"):
        make(given, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_a_file_with_sound_alone_is_no_video(tmp_path):
    with av.open(tmp_path / "in.m4a", "w", format="mp4") as out:
        from tests.clips import write_sound

        write_sound(out, out.add_stream("aac", 48_000, layout="mono"), Sound())
    with pytest.raises(InputError, match="this file has no video track"):
        make(tmp_path / "in.m4a", tmp_path / "out.mp4")


def test_another_ending_is_refused_before_any_work(clip, tmp_path):
    with pytest.raises(InputError, match="want a video ending in .mp4"):
        make(clip, tmp_path / "out.webm", detector(lambda count: pytest.fail("looked")), track=True)


def test_boxes_are_drawn_on_their_frame_and_the_table_says_so(clip, tmp_path):
    annotated = make(
        clip,
        tmp_path / "out.mp4",
        detector(lambda count: box(count) if count % 2 else NO_BOXES, batch=4),
    )
    assert annotated.video.image.tolist() == list(range(1, 50, 2))
    old, new = contents(clip), contents(tmp_path / "out.mp4")
    changed = [
        (np.abs(a.astype(int) - b).max(2) > 60).sum() > 200 for a, b in zip(old.images, new.images)
    ]
    assert changed == [bool(number % 2) for number in range(50)]
    annotated.video.save(tmp_path / "t.npz")
    assert Detections.load(tmp_path / "t.npz").image_ids[:2] == ("frame_0.jpg", "frame_1.jpg")


def test_redrawing_from_the_table_gives_the_same_video(clip, tmp_path):
    annotated = make(clip, tmp_path / "a.mp4", detector(box))
    again = make(clip, tmp_path / "b.mp4", annotated.video)
    assert all(
        (a == b).all()
        for a, b in zip(contents(tmp_path / "a.mp4").images, contents(tmp_path / "b.mp4").images)
    )
    assert (again.video.xyxy == annotated.video.xyxy).all()


def test_a_table_of_another_video_is_refused(clip, tmp_path):
    other = write_clip(tmp_path / "other.mp4", Clip(times=list(range(0, 100, 2))))
    shorter = write_clip(tmp_path / "shorter.mp4", Clip(times=list(range(40))))
    video = make(clip, tmp_path / "a.mp4", detector(box)).video
    for given, says in (
        (other, "frame 1 is at 0.080 s, the table has 0.040 s"),
        (shorter, "the video 40"),
    ):
        with pytest.raises(InputError, match=says):
            make(given, tmp_path / "b.mp4", video)
    with pytest.raises(InputError, match="the table has nothing"):
        make(clip, tmp_path / "b.mp4", make(shorter, tmp_path / "c.mp4").video)
    assert not (tmp_path / "b.mp4").exists()


def test_tracking_a_file_fills_gaps_and_numbers_objects(clip, tmp_path):
    flaky = detector(lambda count: box(0, label=count % 7 == 3) if count % 5 else NO_BOXES)
    annotated = make(clip, tmp_path / "out.mp4", flaky, track=True, progress=(tasks := Tasks()))
    assert annotated.video.image.tolist() == list(
        range(1, 50)
    )  # all but frame 0, from the first sighting on
    assert set(annotated.video.track.tolist()) == {1} and set(annotated.video.label.tolist()) == {0}
    assert tasks.totals == tasks.done == {"detect": 50, "draw": 50}
    assert list(tasks.done) == ["detect", "draw"]


def test_boxes_are_cut_to_the_frame_and_those_outside_go(clip, tmp_path):
    half_out, out = box(0), box(0)
    half_out.xyxy[:] = (-20, 50, 30, 200)
    out.xyxy[:] = (130, 10, 190, 50)
    annotated = make(clip, tmp_path / "out.mp4", detector(lambda count: half_out if count else out))
    assert len(annotated.video) == 49 and annotated.video.xyxy[0].tolist() == [0, 50, 30, 96]


def test_the_table_of_a_drawn_video_can_be_tracked_later(clip, tmp_path):
    direct = make(
        clip, tmp_path / "a.mp4", detector(lambda count: box(0, 0.1 + 0.015 * count)), track=True
    ).video
    raw = make(clip, tmp_path / "b.mp4", detector(lambda count: box(0, 0.1 + 0.015 * count))).video
    later = make(clip, tmp_path / "c.mp4", raw, track=True).video
    assert len(later) == 50 and (later.xyxy == direct.xyxy).all()


def test_a_folder_of_images_is_a_video_in_the_order_of_its_numbers(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"frame_{number}.png"), paint(number, (96, 128))[..., ::-1])
    video = annotate(
        lambda: open_input(str(folder), Fraction(10)),
        tmp_path / "o.mp4",
        NO_DETECTOR,
        conf_min=0.2,
        track=False,
    ).video
    seen = contents(tmp_path / "o.mp4")
    assert [number_in(image) for image in seen.images] == list(range(12))
    assert seen.times == [Fraction(number, 10) for number in range(12)]
    assert video.image_ids[10] == "frame_10.png"


def test_a_cut_is_in_the_table_and_ends_objects(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(12):
        image = paint(5, (96, 128)) if number < 6 else np.full((96, 128, 3), 90, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    video = make(folder, tmp_path / "out.mp4", detector(lambda count: box(0)), track=True).video
    assert video.shot.tolist() == [0] * 6 + [1] * 6 == (video.track - 1).tolist()


def test_a_folder_without_images_or_of_several_sizes_is_refused(tmp_path):
    with pytest.raises(InputError, match="want a folder of images, there is none in it"):
        ImageFolder(tmp_path, Fraction(25))
    for name, side in (("a.png", 20), ("b.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.zeros((side, 40, 3), np.uint8))
    with pytest.raises(InputError, match=r"b.png: want 40 x 20 pixels like a.png, it has 40 x 30"):
        list(ImageFolder(tmp_path, Fraction(25)).events())


def test_a_camera_records_until_ctrl_c_and_leaves_a_playable_video(tmp_path, monkeypatch):
    """OpenCV opens a file as it opens a camera."""
    clip = write_clip(tmp_path / "camera.avi", Clip(".avi", codec="mpeg4", sounds=()))

    def slowly(count):
        if count == 20:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.002)
        return box(0)

    before = signal.getsignal(signal.SIGINT)
    annotated = annotate(
        lambda: Camera(str(clip)),
        tmp_path / "o.mp4",
        detector(slowly),
        conf_min=0.2,
        track=True,
    )
    seen = contents(tmp_path / "o.mp4")
    assert 20 <= len(seen.images) == len(annotated.video.image_ids) < 50
    assert seen.times == sorted(set(seen.times)) and max(annotated.video.track) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(InputError, match="camera 63: want a camera"):
        open_input("63", Fraction(25))


def test_ctrl_c_on_a_file_leaves_nothing_and_no_thread(clip, tmp_path):
    def interrupted(count):
        if count == 10:
            raise KeyboardInterrupt
        return box(count)

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        make(clip, tmp_path / "out.mp4", detector(interrupted))
    assert list(tmp_path.iterdir()) == [] and threading.active_count() == threads


def test_a_video_that_is_there_stays_when_the_next_one_fails(clip, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError):
        make(clip, tmp_path / "out.mp4", detector(lambda count: box(count // (5 - count))))
    assert (tmp_path / "out.mp4").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_work_ahead_keeps_order_passes_errors_and_ends_when_the_reader_leaves():
    assert list(prefetch((n for n in range(100)), 3)) == list(range(100))
    produced, closed = [], []

    def counting():
        try:
            for number in range(1000):
                produced.append(number)
                yield number
        finally:
            closed.append(True)

    items = prefetch(counting(), 3)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert len(produced) <= 7 and closed == [True]

    def failing():
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(prefetch(failing(), 3))
