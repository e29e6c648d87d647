"""submit.csv.list_cells: compiled code reads what Python reads, and says what it cannot read."""

import ast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submit.csv.list_cells import parse_plain_lists

NAMES = ("dog", "dogs", "it's", 'a "b"', "é", "d\\og", "a\nb", "a\\nb", "")
quick = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def read(*cells, names=NAMES):
    return parse_plain_lists([cell.encode() for cell in cells], names)


def python_reads(cell):
    """The list in a cell as Python sees it, with every number a float."""
    return [[name, *map(float, numbers)] for name, *numbers in ast.literal_eval(cell)]


def boxes(label, numbers):
    return [[NAMES[row], *values] for row, values in zip(label.tolist(), numbers.tolist())]


def test_cells_of_one_and_two_boxes_and_none():
    one, two = (
        "[['dog', 0.5, 1, 2, 3.25, 4]]",
        '[["dogs",1,-2.5,0,10,20] , [ "dog" , 0.125, 0, 0, 7, 7.0 ] ]',
    )
    count, label, numbers = read(one, "[]", two, " [ ] ")
    assert count.tolist() == [1, 0, 2, 0] and label.tolist() == [0, 1, 0]
    assert numbers.tolist() == [[0.5, 1, 2, 3.25, 4], [1, -2.5, 0, 10, 20], [0.125, 0, 0, 7, 7]]


@pytest.mark.parametrize("name", [n for n in NAMES if "\n" not in n and "\\" not in n])
def test_names_in_either_quote_are_found(name):
    quote = '"' if "'" in name else "'"
    count, label, _ = read(f"[[{quote}{name}{quote}, 0, 0, 0, 0, 0]]")
    assert count.tolist() == [1] and NAMES[label[0]] == name


@pytest.mark.parametrize(
    "number",
    [
        "01",
        "1.",
        ".5",
        "1e3",
        "+1",
        "--1",
        "-0",
        "-0.0",
        "1_0",
        "nan",
        "",
        "1.2.3",
        "1234567890123456",
        "0x1",
    ],
)
def test_a_number_in_another_spelling_is_left_to_python(number):
    assert read(f"[['dog', {number}, 1, 1, 2, 2]]")[0].tolist() == [-1]


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "",
            " ",
            "[",
            "]",
            "[[]]",
            "[,]",
            "[['dog', 1, 1, 1, 1]]",
            "[['dog', 1, 1, 1, 1, 1, 1]]",
            "['dog', 1, 1, 1]",
        ),
        *(
            "[['dog', 1, 1, 1, 1, 1]",
            "[['dog', 1, 1, 1, 1, 1],]",
            "[['dog', 1, 1, 1, 1, 1]]]",
            "[['dog', 1 1, 1, 1, 1]]",
        ),
        *(
            "[['cow', 1, 1, 1, 1, 1]]",
            "[['do', 1, 1, 1, 1, 1]]",
            "[['dog\", 1, 1, 1, 1, 1]]",
            "[[dog, 1, 1, 1, 1, 1]]",
        ),
        *(
            r"[['d\\og', 1, 1, 1, 1, 1]]",
            r"[['a\nb', 1, 1, 1, 1, 1]]",
            "[['a\nb', 1, 1, 1, 1, 1]]",
            "[['dog' 's', 1, 1, 1, 1, 1]]",
            "[]\0",
            "\0",
        ),
    ],
)
def test_what_is_not_plain_is_said_and_leaves_its_neighbours_alone(cell):
    good = "[['dogs', 0.5, 1, 2, 3, 4]]"
    count, label, numbers = read(good, cell, good)
    assert count.tolist() == [1, -1, 1] and label.tolist() == [1, 1]
    assert numbers.tolist() == [[0.5, 1, 2, 3, 4]] * 2


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), min_size=5, max_size=5),
        max_size=4,
    )
)
@quick
def test_numbers_round_as_python_rounds_them(rows):
    cell = str([["dog", *row] for row in rows])
    count, label, numbers = read(cell)
    if count[0] >= 0:
        assert boxes(label, numbers) == python_reads(cell)
    else:
        assert "e" in cell or "-0.0" in cell


@given(
    st.lists(
        st.sampled_from([*"[] ,-.09'", "'dog'", "1.5", "['dog', 1, 1, 1, 1, 1]"]), max_size=12
    ).map("".join)
)
@quick
def test_any_text_is_read_as_python_reads_it_or_not_at_all(cell):
    count, label, numbers = read(cell)
    assert count[0] < 0 or boxes(label, numbers) == python_reads(cell.strip())


def test_no_cell_at_all():
    count, label, numbers = read()
    assert (len(count), len(label), numbers.shape) == (0, 0, (0, 5))
    np.testing.assert_array_equal(read("[]", names=())[0], [0])
