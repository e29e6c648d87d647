"""evaluate.exchange.dataframes: rows by hand, round trips, every offender named."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluate.exceptions import InputError
from evaluate.exchange.dataframes import from_frame, read_csv, to_frame, write_csv
from evaluate.tables import Detections, GroundTruth
from tests.oracles import detections, truths
from tests.test_exchange_rows import as_truth, fast, problems, saved, tables
from tests.test_tables import assert_same


def test_a_frame_has_a_row_a_box_in_edges_not_pixels(tmp_path):
    dets = detections((1, 0, 0.5, 0, 1, 2.5, 3))
    frame = to_frame(dets)
    assert frame.to_dict("records") == [
        {
            "image_id": "b",
            "class": "cat",
            "score": 0.5,
            "xmin": 0.0,
            "ymin": 1.0,
            "xmax": 2.5,
            "ymax": 3.0,
        }
    ]
    assert list(to_frame(truths()).columns) == [
        "image_id",
        "class",
        "difficult",
        "xmin",
        "ymin",
        "xmax",
        "ymax",
    ]
    write_csv(dets, tmp_path / "t.csv")
    assert (
        tmp_path / "t.csv"
    ).read_text() == "image_id,class,score,xmin,ymin,xmax,ymax\nb,cat,0.5,0.0,1.0,2.5,3.0\n"


@fast
@given(tables(), st.booleans())
def test_frames_and_csv_come_back_bit_by_bit(tmp_path, dets, is_truth):
    table = as_truth(dets) if is_truth else dets
    known = {"image_ids": table.image_ids, "classes": table.classes}
    assert_same(from_frame(type(table), to_frame(table), **known), table)
    write_csv(table, tmp_path / "t.csv")
    assert_same(read_csv(tmp_path / "t.csv", **known), table)


def test_ids_stay_text_also_those_that_pandas_takes_for_numbers_or_nothing(tmp_path):
    dets = Detections(
        ('000001, "x"\nü', "2"), ("NA", "nan"), [0, 1], [1, 0], [[0, 0, 1, 1]] * 2, [0.5, 0.5]
    )
    write_csv(dets, tmp_path / "t.csv")
    back = read_csv(tmp_path / "t.csv")
    assert_same(back, dets)
    assert_same(from_frame(Detections, to_frame(dets)), dets)


def test_columns_of_a_csv_come_in_any_order_and_other_columns_are_passed_over(tmp_path):
    path = saved(
        tmp_path / "t.csv",
        "\ufeffymax,xmax,ymin,xmin,mood,class,image_id,difficult\r\n4,3,2,1,sad,cat,a,True\r\n",
    )
    truth = read_csv(path)
    assert isinstance(truth, GroundTruth) and truth.difficult.tolist() == [True]
    assert truth.xyxy.tolist() == [[1, 2, 3, 4]]


def test_difficult_may_be_said_in_words_or_numbers(tmp_path):
    said = ["True", "FALSE", "true", "1", "0"]
    rows = "".join(f"a,cat,{word},0,0,1,1\n" for word in said)
    path = saved(tmp_path / "t.csv", "image_id,class,difficult,xmin,ymin,xmax,ymax\n" + rows)
    assert read_csv(path).difficult.tolist() == [True, False, True, True, False]


def test_every_bad_row_of_a_csv_is_named_by_its_line(tmp_path):
    header = "image_id,class,score,xmin,ymin,xmax,ymax\n"
    path = saved(
        tmp_path / "t.csv",
        header
        + "a,cat,1,0,0,5,5\na,cat,1,0,0,5\n\n,cat,1,0,0,5,5\nz,cow,,0,0,5,5\na,cat,1,NaN,0,5,five\n"
        'a,"c\nat",1,0,0,5,5\na,cat,1,6,0,5,5\n',
    )
    assert problems(read_csv, path, image_ids=["a"], classes=["cat"]) == [
        f"{path}:3: want 7 columns, there are 6",
        f"{path}:5: unknown image:  cat 1 0 0 5 5",
        f"{path}:6: unknown image, unknown class, want a score from 0 to 1: z cow  0 0 5 5",
        f"{path}:7: want four finite numbers for the box: a cat 1 NaN 0 5 five",
        f"{path}:8: unknown class: a c\nat 1 0 0 5 5",
        f"{path}:10: the box is inside out: a cat 1 6 0 5 5",
    ]
    with pytest.raises(
        InputError, match="t.csv:1: want the header image_id,class,score,.*, there is 'a,b'"
    ):
        read_csv(saved(path, "a,b\n"))
    with pytest.raises(InputError, match="t.csv:2: want a CSV in UTF-8"):
        read_csv(saved(path, header + 'a,"cat'))


def test_every_bad_row_of_a_frame_is_named_by_its_index():
    frame = to_frame(truths((0, 0, 1, 2, 3, 4), (0, 0, 1, 2, 3, 4), (0, 0, 1, 2, 3, 4)))
    frame = frame.astype({"difficult": object, "image_id": object})
    frame.index = [10, 20, 30]
    frame.loc[10, "image_id"], frame.loc[30, "difficult"], frame.loc[30, "xmin"] = 1, None, 9
    assert problems(from_frame, GroundTruth, frame) == [
        "row 10: unknown image: 1 cat False 1.0 2.0 3.0 4.0",
        "row 30: the box is inside out, want true or false for difficult: a cat None 9.0 2.0 3.0 "
        "4.0",
    ]
    with pytest.raises(
        InputError, match="want columns image_id, class, score, .*; score is missing"
    ):
        from_frame(Detections, frame)
    with pytest.raises(
        InputError, match="; image_id, class, score, xmin, ymin, xmax, ymax is missing"
    ):
        from_frame(Detections, pd.DataFrame())
