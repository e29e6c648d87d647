"""harness.images.drawing: boxes where they belong, captions that stay inside and can be read."""

import cv2
import numpy as np
import pytest

from harness.images.drawing import PALETTE, draw_boxes, draw_dashed, grid, line_width, write_jpeg

BLACK = np.zeros((40, 60, 3), np.uint8)  # lines on it are 1 pixel wide
BOX = np.array([[10.0, 8.0, 30.0, 20.0]])


def outline(x1, y1, x2, y2):
    """The border pixels of a box, as a mask of BLACK's size."""
    mask = np.zeros(BLACK.shape[:2], bool)
    mask[y1:y2, x1:x2] = True
    mask[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] = False
    return mask


def changed(image):
    return (image != BLACK).any(2)


def test_a_box_changes_its_border_pixels_and_no_other():
    drawn = draw_boxes(BLACK, BOX, np.array([0]))
    assert (changed(drawn) == outline(10, 8, 30, 20)).all()
    assert {tuple(pixel) for pixel in drawn[changed(drawn)]} == {PALETTE[0]}


def test_the_photo_that_is_drawn_on_stays_as_it_was():
    photo = BLACK.copy()
    photo.flags.writeable = False
    draw_boxes(photo, BOX, np.array([0]), ["fish"])
    draw_dashed(photo, BOX)
    assert not photo.any()


def test_no_boxes_change_nothing():
    none = np.zeros((0, 4))
    assert not changed(draw_boxes(BLACK, none, np.zeros(0, int), [])).any()
    assert not changed(draw_dashed(BLACK, none)).any()


def test_labels_beyond_the_palette_start_it_again():
    first, again = (draw_boxes(BLACK, BOX, np.array([label])) for label in (1, 1 + len(PALETTE)))
    assert (first == again).all()


def test_the_first_box_lies_on_top():
    drawn = draw_boxes(BLACK, np.repeat(BOX, 2, 0), np.array([3, 0]))
    assert tuple(drawn[8, 10]) == PALETTE[3]


def test_a_caption_stands_on_the_upper_edge_of_its_box():
    rows = np.flatnonzero(
        changed(draw_boxes(BLACK, BOX + [0, 10, 0, 10], np.array([0]), ["a"])).any(1)
    )
    assert (rows[0], rows[-1]) == (18 - 9, 29)  # the plate is 9 high


@pytest.mark.parametrize("move", [(-20, -20, -20, -20), (40, 30, 40, 30), (500, 500, 500, 500)])
def test_a_caption_stays_inside_the_photo_when_its_box_does_not(move):
    drawn = changed(
        draw_boxes(BLACK, BOX + move, np.array([0]), ["a name longer than the photo is wide"])
    )
    assert drawn.sum() >= 9 * 60
    assert drawn.shape == BLACK.shape[:2]


def test_letters_beyond_ascii_are_told_apart():
    drawn = [
        draw_boxes(BLACK, BOX, np.array([0]), [text]) for text in ("кот", "пёс", "λύκος", "???")
    ]
    assert len({image.tobytes() for image in drawn}) == 4


def test_a_dashed_box_covers_the_same_border_in_two_colours():
    drawn = draw_dashed(BLACK, BOX)
    assert (changed(drawn) == outline(10, 8, 30, 20)).all()
    assert len({tuple(pixel) for pixel in drawn[changed(drawn)]}) == 2


def test_boxes_smaller_than_a_pixel_are_still_seen():
    dot = np.array([[10.2, 8.2, 10.3, 8.3]])
    assert changed(draw_boxes(BLACK, dot, np.array([0]))).sum() == 1


def test_lines_are_wider_on_larger_photos_and_never_vanish():
    widths = [line_width(np.zeros((side, 4, 3), np.uint8)) for side in (8, 320, 640, 1920)]
    assert widths == [1, 2, 3, 5]


def test_lines_are_thinner_round_what_is_small():
    photo = np.zeros((640, 640, 3), np.uint8)
    widths = []
    for side in (200, 25, 15, 1):
        drawn = draw_boxes(photo, np.array([[10, 10, 10 + side, 10 + side]]), np.array([0])).any(2)
        widths.append(int(drawn[: 10 + side // 2 + 1, 10 + side // 2].sum()))
    assert widths[0] > widths[1] > widths[2] == widths[3] == 1


def test_a_grid_fills_row_by_row_and_is_white_where_nothing_is_left():
    tiles = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    assert grid(tiles, 2)[::2, ::3, 0].tolist() == [[10, 20], [30, 255]]


def test_a_written_jpeg_shows_the_same_colours(tmp_path):
    orange = np.full((16, 16, 3), PALETTE[1], np.uint8)
    write_jpeg(orange, tmp_path / "orange.jpg")
    read = cv2.cvtColor(cv2.imread(str(tmp_path / "orange.jpg")), cv2.COLOR_BGR2RGB)
    assert np.abs(read.astype(int) - orange).max() <= 4
    assert [path.name for path in tmp_path.iterdir()] == ["orange.jpg"]
