"""submit.csv.profile: profile files are read, and what is wrong with one is said in one line."""

import pytest

from evaluate.exceptions import InputError
from submit.csv.profile import PROFILES, load_profile

NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))
GOOD = """
header = ["image_id", "boxes"]
image = "image_id"
cell = "boxes"
codec = "words"
fields = "class score xmin ymin xmax ymax"
unit = "pixels"
decimals = 1
"""


def load(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    return load_profile(str(path))


def test_the_known_ones_are_there():
    assert NAMES == ["global-wheat", "open-images", "siim", "vinbigdata", "voc-list", "yolo"]
    for name in NAMES:
        load_profile(name)


def test_a_file_of_ones_own_is_read_with_its_defaults(tmp_path):
    profile = load(tmp_path, GOOD)
    assert (profile.fields[0], profile.box[2], profile.number, profile.line_end) == (
        "class",
        "xmax",
        "",
        "\n",
    )
    assert profile.codes(["cat", "dog"]) == ["cat", "dog"]
    assert profile.names(["a/1.jpg"]) == ["a/1.jpg"]


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("unit", "units", "unknown: units; want cell, class"),
        ('unit = "pixels"\n', "", "missing: unit; want cell, class"),
        ('"pixels"', '"inches"', "unit: want 'pixels' or 'pixels-from-0' or .*, there is 'inches'"),
        ('"words"', '"xml"', "codec: want 'list' or 'words', there is 'xml'"),
        ("decimals = 1", "decimals = -1", "want whole numbers from 0 to 15"),
        ("decimals = 1", "decimals = 0.5", "want whole numbers from 0 to 15"),
        ("decimals = 1", "decimals = 1\nscore_decimals = 99", "want whole numbers from 0 to 15"),
        (
            "decimals = 1",
            'decimals = 1\nclasses = "letters"',
            "classes: want 'names' or 'numbers', there is 'letters'",
        ),
        ("decimals = 1", "decimals = 1\nclasses = []", "classes: want 'names' or 'numbers'"),
        (
            "decimals = 1",
            "decimals = 1\n[classes]\ncat = 1.5",
            "want a string or a whole number for each class",
        ),
        ("decimals = 1", 'decimals = 1\nline_end = ";"', "line_end: want "),
        (
            'cell = "boxes"',
            'cell = "box"',
            "header: want image_id, box in some order, there is image_id, boxes",
        ),
        (
            '"boxes"]',
            '"boxes", "more"]',
            "header: want image_id, boxes in some order, there is image_id, boxes, more",
        ),
        ('["image_id", "boxes"]', '"image_id"', "want a list of strings as header"),
        ('"image_id", "boxes"', '1, "boxes"', "want a list of strings as header"),
        ('image = "image_id"', "image = 1", "want a list of strings as header, strings for image"),
        (
            "xmin",
            "left",
            "fields: want score, class if it is said, and xmin ymin xmax ymax or .*, there is "
            "class",
        ),
        ("score ", "", "fields: want score"),
        ("class", "score", "fields: want score"),
        ("class ", "", None),
        ("codec", "codec = ", "Invalid value|Expected"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_by_name(tmp_path, before, after, wrong):
    if wrong is None:
        assert "class" not in load(tmp_path, GOOD.replace(before, after)).fields
        return
    with pytest.raises(InputError, match=rf"p\.toml: .*({wrong})") as caught:
        load(tmp_path, GOOD.replace(before, after))
    assert "\n" not in str(caught.value)


def test_a_name_that_nobody_knows_lists_those_known():
    with pytest.raises(
        InputError,
        match="profile coco: want one of global-wheat, open-images, .*, or a profile file",
    ):
        load_profile("coco")


def test_classes_go_by_name_number_or_list(tmp_path):
    assert load_profile("vinbigdata").codes(["a b", "c"]) == ["0", "1"]
    listed = load(tmp_path, GOOD + '[classes]\ncat = "/m/01"\ndog = 7\n')
    assert listed.codes(["dog", "cat"]) == ["7", "/m/01"] and listed.listed == ("cat", "dog")
    with pytest.raises(InputError, match="the profile's classes lack 1, such as cow"):
        listed.codes(["cat", "cow"])
    with pytest.raises(InputError, match="class 'potted plant' is not one word"):
        load_profile("siim").codes(["potted plant"])


def test_cells_without_classes_are_for_one():
    assert load_profile("global-wheat").codes(["wheat"]) == [""]
    with pytest.raises(InputError, match="cells do not say the class, so want one: there are a, b"):
        load_profile("global-wheat").codes(["a", "b"])


def test_the_suffix_of_a_photo_goes_or_becomes_another():
    assert load_profile("vinbigdata").names(["1.2.dicom.png", "b.JPG", "c"]) == [
        "1.2.dicom",
        "b",
        "c",
    ]
    assert load_profile("siim").names(["a.png"]) == ["a_image"]
    with pytest.raises(InputError, match="a.jpg and a.png would both be 'a' there"):
        load_profile("vinbigdata").names(["a.jpg", "a.png"])
