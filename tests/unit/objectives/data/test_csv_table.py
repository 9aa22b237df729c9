import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from objectives.contract import DataProblem
from objectives.data.columns import MOST_CATEGORIES
from objectives.data.csv_table import csv_table
from objectives.data.split import random_split, stratified_split
from tests.unit.objectives.rounding import roundings

ROWS = [f"{row},{row**2},{'red' if row % 3 else 'blue'},{'yes' if row % 2 else 'no'}" for row in range(20)]
HEADER = "a,b,colour,bought"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def standardized(values: np.ndarray, training: np.ndarray) -> torch.Tensor:
    return torch.tensor((values - values[training].mean()) / values[training].std(), dtype=torch.float32)


@pytest.mark.parametrize("fold", range(5))
def test_numbers_are_standardized_and_texts_one_hot(tmp_path: Path, fold: int) -> None:
    data = csv_table(write(tmp_path, *ROWS), fold)
    rows = np.arange(20.0)
    split = stratified_split(np.arange(20) % 2, fold)
    for part, positions in zip((data.training, data.validation, data.test), split, strict=True):
        for column, values in enumerate((rows, rows**2)):
            expected = standardized(values, split.training)
            assert_close(part.inputs[:, column], expected[positions], **roundings(1, of=expected))
        assert part.inputs[:, 2].tolist() == [row % 3 == 0 for row in positions]  # blue
        assert part.inputs[:, 3].tolist() == [row % 3 != 0 for row in positions]  # red
        assert part.targets.tolist() == [row % 2 for row in positions]
    assert (data.input_shape, data.n_classes) == ((4,), 2)


def test_the_target_may_be_any_column(tmp_path: Path) -> None:
    data = csv_table(write(tmp_path, *ROWS), target="colour")
    assert data.training.targets.bincount().tolist() != [6, 6]
    assert (data.input_shape, data.n_classes) == ((4,), 2)


@pytest.mark.parametrize("fold", range(5))
def test_targets_of_regression_are_standardized(tmp_path: Path, fold: int) -> None:
    data = csv_table(write(tmp_path, *ROWS), fold, target="b", kind="regression")
    split, values = random_split(20, fold), np.arange(20.0) ** 2
    assert data.n_classes is None
    expected = standardized(values, split.training)
    assert_close(data.test.targets, expected[split.test], **roundings(1, of=expected))


def test_a_category_that_training_lacks_is_zero_everywhere(tmp_path: Path) -> None:
    test = stratified_split(np.arange(20) % 2).test
    rows = [f"{'green' if row == test[0] else 'red' if row % 3 else 'blue'},{row % 2}" for row in range(20)]
    data = csv_table(write(tmp_path, *rows, header="colour,y"))
    assert data.input_shape == (2,)
    assert data.test.inputs[0].tolist() == [0, 0]
    assert data.test.inputs[1:].sum(dim=1).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["10", "9", "8"], [2, 1, 0]),
        (["1.5", "-2", "0"], [2, 0, 1]),
        (["10", "9", "8+"], [0, 2, 1]),
        (["b", "a", "C"], [2, 1, 0]),
        (["1", "1.0", "2"], [0, 0, 1]),
    ],
)
def test_classes_are_sorted_as_numbers_where_all_are_numbers(tmp_path: Path, classes: list[str], expected: list[int]) -> None:
    rows = [f"{row},{classes[row % 3]}" for row in range(30)]
    data = csv_table(write(tmp_path, *rows, header="x,y"))
    labels = np.array([expected[row % 3] for row in range(30)])
    assert data.training.targets.tolist() == labels[stratified_split(labels).training].tolist()


def test_quotes_blank_lines_spaces_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(
        ('\ufeff"x, in cm", y\r\n\r\n' + "".join(f' {row} ,"{"a b"[row % 2]}, ""q"""\r\n' for row in range(20))).encode()
    )
    data = csv_table(path, target="y")
    assert (data.input_shape, data.n_classes) == ((1,), 2)
    with pytest.raises(DataProblem, match="its columns are x, in cm, y"):
        csv_table(path, target="z")


def test_columns_may_be_named_by_whole_numbers(tmp_path: Path) -> None:
    assert csv_table(write(tmp_path, *ROWS, header="0,1,2,3")).input_shape == (4,)


def test_results_are_kept_until_the_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS)
    first = csv_table(path)
    assert csv_table(path) is first
    write(tmp_path, *ROWS, *ROWS)
    assert len(csv_table(path).training) == 2 * len(first.training)


def changed(row: int, cells: str) -> list[str]:
    """The rows, one of which is another; counted as in the file."""
    return [*ROWS[: row - 2], cells, *ROWS[row - 1 :]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "{} holds no data: a row with the names of the columns and rows below it are needed."),
        ([HEADER], "{} holds no data: a row with the names of the columns and rows below it are needed."),
        (["a,,c,d", *ROWS], "{}: column 2 has no name in the header."),
        (["a,b,a,d", *ROWS], "{}: the header has two columns 'a', but names must be unique."),
        (["1.5,2,red,yes", *ROWS], "{}, row 1: 1.5 is a number, where the header must name the columns."),
        (["a;b;c", "1;2;3"], "{}, row 1 names one column only, 'a;b;c': two or more, separated by commas, are needed."),
        ([HEADER, *changed(7, "5,25,red")], "{}, row 7: its number of cells is 3, but the header's is 4."),
        ([HEADER, *changed(7, "5,25,red,yes,1")], "{}, row 7: its number of cells is 5, but the header's is 4."),
        ([HEADER, "", *changed(7, "5, ,red,yes")], "{}, row 8, column 'b' is empty: every cell needs a value."),
        (
            [HEADER, *changed(7, "5,?,red,yes")],
            "{}, row 7, column 'b': '?' is not a number, but other cells of the column are.",
        ),
        (
            [HEADER, *changed(7, "5,1_000,red,yes")],
            "{}, row 7, column 'b': '1_000' is not a number, but other cells of the column are.",
        ),
        (
            [HEADER, *changed(7, "5,25,1,yes")],
            "{}, row 2, column 'colour': 'blue' is not a number, but other cells of the column are.",
        ),
        ([HEADER, *changed(7, "5,NaN,red,yes")], "{}, row 7, column 'b': nan is not a finite 32-bit number."),
        ([HEADER, *changed(7, "5,-inf,red,yes")], "{}, row 7, column 'b': -inf is not a finite 32-bit number."),
        ([HEADER, *changed(7, "5,1e39,red,yes")], "{}, row 7, column 'b': 1e+39 is not a finite 32-bit number."),
        ([HEADER, *changed(7, '5,25,"red"x,yes')], """{}, row 7 is not CSV (',' expected after '"')."""),
        ([HEADER, *ROWS, '5,25,"red'], "{}, row 22 is not CSV (unexpected end of data)."),
        (
            [HEADER, *(f"{row},1,red,yes" for row in range(20))],
            "There is one class only in column 'bought' of {}, 'yes': classification needs two or more.",
        ),
        (
            [HEADER, *changed(7, "5,25,red,maybe")],
            "Class 'maybe' in column 'bought' of {} has too few examples for five folds: 1, where at least 5 are needed.",
        ),
        (
            ["id,y", *(f"row {row},{row % 2}" for row in range(2000))],
            f"{{}}: column 'id' has 1200 different texts, and at most {MOST_CATEGORIES} are made into inputs: leave it out,"
            " or turn it into numbers.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, content: list[str], sentence: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(content))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(path))}$"):
        csv_table(path)


@pytest.mark.parametrize(
    ("content", "target", "sentence"),
    [
        ([HEADER, *ROWS], "c", "{} has no column 'c' to be the target; its columns are a, b, colour, bought."),
        ([HEADER, *ROWS], "bought", "{}: column 'bought' holds texts ('no'), where regression needs numbers."),
        (
            [HEADER, *changed(7, "five,25,red,yes")],
            "a",
            "{}, row 7, column 'a': 'five' is not a number, but other cells of the column are.",
        ),
        ([HEADER, *changed(7, "nan,25,red,yes")], "a", "{}, row 7, column 'a': nan is not a finite 32-bit number."),
        (
            [HEADER, *ROWS[:4]],
            "a",
            "There are too few examples for five folds in {}: 4, where at least 5 are needed.",
        ),
        (
            ["x,y", *(f"{row},0.1" for row in range(20))],
            "y",
            "{}: column 'y' is 0.1 in all training rows: there is nothing to learn.",
        ),
    ],
)
def test_what_is_wrong_with_regression_is_told(tmp_path: Path, content: list[str], target: str, sentence: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(content))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(path))}$"):
        csv_table(path, target=target, kind="regression")


def test_a_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(DataProblem, match=r"table\.csv is not encoded in UTF-8, which a CSV file must be\.$"):
        csv_table(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"table\.csv cannot be read as a file \(No such file or directory\)\.$"):
        csv_table(tmp_path / "table.csv")
