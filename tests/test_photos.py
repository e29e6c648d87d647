"""harness.images.photos: files become upright RGB arrays, kept in memory while there is room."""

import numpy as np
import PIL.Image
import pytest

from evaluate.exceptions import InputError
from harness.images.photos import Photos
from tests.noise import write_noise


@pytest.fixture
def paths(tmp_path):
    return write_noise(tmp_path)


def test_a_photo_is_rgb_and_read_only(tmp_path):
    PIL.Image.new("RGB", (30, 20), (250, 120, 5)).save(tmp_path / "a.png")
    photo = Photos([tmp_path / "a.png"])[0]
    assert photo.shape == (20, 30, 3) and photo.dtype == np.uint8 and (photo == (250, 120, 5)).all()
    with pytest.raises(ValueError, match="read-only"):
        photo[0] = 0


def test_grey_and_transparent_files_become_three_channels(tmp_path):
    for mode in ("L", "RGBA", "P"):
        PIL.Image.new(mode, (30, 20)).save(tmp_path / "a.png")
        assert Photos([tmp_path / "a.png"])[0].shape == (20, 30, 3)


def test_a_photo_is_turned_as_its_rotation_flag_says(tmp_path):
    image = PIL.Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # "turn me by 90 degrees"
    image.save(tmp_path / "a.jpg", exif=exif)
    photos = Photos([tmp_path / "a.jpg"])
    assert photos[0].shape[:2] == photos.sizes[0] == (30, 20)


@pytest.mark.parametrize("content", [None, b"", b"not an image"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="broken.jpg"):
        Photos([path])[0]
    with pytest.raises(InputError, match="broken.jpg"):
        _ = Photos([path]).sizes


def test_photos_are_kept_while_there_is_room(paths):
    room_for_two = 2 * 60 * 80 * 3
    photos = Photos(paths, cache_bytes=room_for_two)
    assert photos[0] is photos[0] and photos[1] is photos[1]
    assert photos[2] is not photos[2]
    np.testing.assert_array_equal(photos[2], photos[2])
