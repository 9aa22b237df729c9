import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from objectives.contract import DataProblem
from objectives.data.columns import MOST_CATEGORIES
from objectives.data.csv_table import csv_table
from objectives.data.split import random_split, stratified_split
from tests.unit.objectives.rounding import roundings

MARKERS = ["", "?", "-", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A", "<NA>", "\\N", ".", "#DIV/0!", "NaT", "-nan"]
ROWS = [f"{row},{row**2},{'red' if row % 3 else 'blue'},{'yes' if row % 2 else 'no'}" for row in range(20)]
HEADER = "a,b,colour,bought"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    folder.mkdir(exist_ok=True)
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


@pytest.mark.parametrize("exponent", [-320, -200, -160, 30])
def test_numbers_of_any_size_are_standardized(tmp_path: Path, exponent: int) -> None:
    """The squares of tiny ones are 0: their column must not seem to have no deviation."""
    path = write(tmp_path, *(f"{row % 7}e{exponent},{row % 2}" for row in range(40)), header="x,y")
    plain = write(tmp_path / "plain", *(f"{row % 7},{row % 2}" for row in range(40)), header="x,y")
    assert_close(csv_table(path).training.inputs, csv_table(plain).training.inputs, rtol=1e-3, atol=1e-3)


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


MISSING_VALUE = "marks a missing value, but every cell needs one: fill it in, or take the row out."
WRITE = "write plain numbers such as 1234.5, without currency, percent, unit, quotes or separators of thousands"


def changed(row: int, cells: str) -> list[str]:
    """The rows, one of which is another; counted as in the file."""
    return [*ROWS[: row - 2], cells, *ROWS[row - 1 :]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "{} holds no data: a row with the names of the columns and rows below it are needed."),
        ([HEADER], "{} holds no data: a row with the names of the columns and rows below it are needed."),
        (["a,,c,d", *ROWS], "{}: column 2 has no name in the header."),
        (
            [",b,c,d", *changed(7, "4,25,red,yes")],
            "{}: column 1 has no name in the header: give it one, or write the file without row labels.",
        ),
        ([",,c,d", *ROWS], "{}: column 2 has no name in the header."),
        (["a,b,c,d,", *(f"{row}," for row in ROWS)], "{}: column 5 has no name in the header."),
        (
            [",c", *(f"{row},{row % 2}" for row in range(20))],
            "{} has one column only, 'c', where the target and an input are needed.",
        ),
        (["a,b,a,d", *ROWS], "{}: the header has two columns 'a', but names must be unique."),
        (["1.5,2,red,yes", *ROWS], "{}, row 1: 1.5 is a number, where the header must name the columns."),
        (["a;b;c", "1;2;3"], "{}, row 1 names one column only, 'a;b;c': two or more, separated by commas, are needed."),
        ([HEADER, *changed(7, "5,25,red")], "{}, row 7: its number of cells is 3, but the header's is 4."),
        ([HEADER, *changed(7, "5,25,red,yes,1")], "{}, row 7: its number of cells is 5, but the header's is 4."),
        ([HEADER, "", *changed(7, "5, ,red,yes")], "{}, row 8, column 'b' is empty: every cell needs a value."),
        ([HEADER, *changed(7, "5,?,red,yes")], f"{{}}, row 7, column 'b': '?' {MISSING_VALUE}"),
        (
            [HEADER, *changed(7, "5,five,red,yes")],
            "{}, row 7, column 'b': 'five' is not a number, but other cells of the column are.",
        ),
        (
            [HEADER, *changed(7, "5,1_000,red,yes")],
            f"{{}}, row 7, column 'b': '1_000' is not a number, but other cells of the column are: {WRITE}.",
        ),
        (
            [HEADER, *changed(7, "5,\u22125,red,yes")],
            f"{{}}, row 7, column 'b': '\u22125' is not a number, but other cells of the column are: {WRITE}.",
        ),
        ([HEADER, *changed(7, "5,25,N/A,yes")], f"{{}}, row 7, column 'colour': 'N/A' {MISSING_VALUE}"),
        (["", *ROWS], "{}, row 2: 0 is a number, where the header must name the columns."),
        (
            [HEADER, *changed(7, "5,25,1,yes")],
            "{}, row 2, column 'colour': 'blue' is not a number, but other cells of the column are.",
        ),
        ([HEADER, *changed(7, "5,NaN,red,yes")], f"{{}}, row 7, column 'b': 'NaN' {MISSING_VALUE}"),
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
        ([HEADER, *changed(7, "nan,25,red,yes")], "a", f"{{}}, row 7, column 'a': 'nan' {MISSING_VALUE}"),
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
    path.write_bytes("a,y\ngröße,2\n".encode("latin-1"))
    sentence = r"table\.csv, line 2: byte 0xf6 is not UTF-8, in which a CSV file must be encoded\.$"
    with pytest.raises(DataProblem, match=sentence):
        csv_table(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("\n".join([HEADER, *ROWS]).encode(encoding))
    with pytest.raises(
        DataProblem, match=r"table\.csv, line 1(: byte 0xff is not UTF-8| holds a NUL byte: it is no text in UTF-8)"
    ):
        csv_table(path)


def test_a_nul_byte_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, *changed(7, "5,25,red,y\0es"))
    with pytest.raises(DataProblem, match=r"table\.csv, line 7 holds a NUL byte"):
        csv_table(path)


@pytest.mark.parametrize("between", [";", "\t", "|"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_other_separators_are_refused(tmp_path: Path, between: str, quote: str) -> None:
    first = between.join(f"{quote}{name}{quote}" for name in ("a b", "c", "y"))
    path = write(tmp_path, *(between.join(row.split(",")[:3]) for row in ROWS), header=first)
    sentence = f"table.csv, row 1 names one column only, {first!r}: two or more, separated by commas, are needed."
    with pytest.raises(DataProblem, match=f"{re.escape(sentence)}$"):
        csv_table(path)


def test_another_separator_is_refused_also_where_names_hold_commas(tmp_path: Path) -> None:
    path = write(tmp_path, *(f"{row};1,5;{row % 2}" for row in range(20)), header="a;x,y;b")
    sentence = r"table\.csv, row 1 and all others have 2 ';' each: cells must be separated by commas\.$"
    with pytest.raises(DataProblem, match=sentence):
        csv_table(path)
    assert csv_table(write(tmp_path, *ROWS, header="a;b,c;d,e;f,y")).input_shape == (4,)


@pytest.mark.parametrize("cell", MARKERS)
@pytest.mark.parametrize("values", [("0", "1"), ("no", "yes")])
@pytest.mark.parametrize("column", ["x", "y"])
def test_what_marks_a_missing_value_is_neither_class_nor_category(
    tmp_path: Path, column: str, values: tuple[str, str], cell: str
) -> None:
    rows = [[str(row), values[row % 2], values[row % 2]] for row in range(30)]
    for row in range(5, 29, 4):
        rows[row]["xy".index(column) + 1] = f'"{cell}"'
    path = write(tmp_path, *map(",".join, rows), header="n,x,y")
    with pytest.raises(
        DataProblem, match=rf"^.*, row 7, column '{column}'(: {re.escape(repr(cell))} marks a missing value| is empty)"
    ):
        csv_table(path)


@pytest.mark.parametrize("cell", ["none", "Unknown", "missing"])
def test_a_word_for_missing_is_a_class_beside_words_only(tmp_path: Path, cell: str) -> None:
    def rows(*classes: str) -> list[str]:
        return [f"{row},{classes[row % 3]}" for row in range(30)]

    assert csv_table(write(tmp_path, *rows("mild", "severe", cell), header="x,y")).n_classes == 3
    with pytest.raises(DataProblem, match=f"row 4, column 'y': '{cell}' marks a missing value"):
        csv_table(write(tmp_path, *rows("0", "1", cell), header="x,y"))


def test_plus_and_minus_are_classes(tmp_path: Path) -> None:
    assert csv_table(write(tmp_path, *(f"{row},{'+-'[row % 2]}" for row in range(20)), header="x,y")).n_classes == 2


@pytest.mark.parametrize(
    "cells",
    [
        ["1,163.74", "12,594"],
        ["$11592", "$594"],
        ["1.163,74 €", "-2,5 €"],
        ["USD 5", "USD 1 000"],
        ["45%", "7.5 %"],
        ["1,5", "-0,25"],
        ["1 163", "12 594"],
        ["1\u202f163,5", "12\u00a0594"],
        ["(1,234)", "(5)"],
        ["\u22125", "\u22127.5"],
        ["1_000", "2_000"],
        ["'5.1'", "'7'"],
        ["1'163.74", "2'000.00"],
        ["\uff11\uff12", "\uff13"],
        ["12,34,567", "1,00,000"],
        ["1,5E+05", "2,25E-01"],
        ["<0.1", "> 5"],
        ["~5", "~7.5"],
        [f"{n}.5 kg" for n in range(11)],
        [f"{n}{'kM'[n % 2]}" for n in range(11)],
    ],
)
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_numbers_as_spreadsheets_show_them_are_no_categories(tmp_path: Path, cells: list[str], kind: Any) -> None:
    rows = [f'"{cells[row % len(cells)]}",{row % 2}' for row in range(30)]
    target = "y" if kind == "classification" else "x"
    sentence = f"table.csv, row 2, column 'x': {cells[0]!r} is no plain number: {WRITE}."
    with pytest.raises(DataProblem, match=f"{re.escape(sentence)}$"):
        csv_table(write(tmp_path, *rows, header="x,y"), target=target, kind=kind)


@pytest.mark.parametrize(
    "cells",
    [
        ["2door", "4door"],
        ["1st", "2nd", "3rd"],
        ["2024-01-05", "2024-02-06"],
        ["12:30", "8:15"],
        ["5%", "all"],
        ["A1", "B2"],
        ["CAR 1", "CAR 2"],
        ["1-2", "3-5"],
    ],
)
def test_texts_with_digits_are_categories(tmp_path: Path, cells: list[str]) -> None:
    rows = [f"{cells[row % len(cells)]},{row // 3 % 2}" for row in range(60)]
    assert csv_table(write(tmp_path, *rows, header="x,y")).input_shape == (len(cells),)


def test_numbers_as_spreadsheets_show_them_may_name_classes(tmp_path: Path) -> None:
    data = csv_table(write(tmp_path, *(f"{row},{('5%', '10%')[row % 2]}" for row in range(20)), header="x,y"))
    assert data.n_classes == 2


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["9007199254740993", "9007199254740992"], ["9007199254740992", "9007199254740993"]),
        (["9223372036854775813", "5"], ["5", "9223372036854775813"]),
        (["0.1", "0.1000000000000000055"], ["0.1", "0.1000000000000000055"]),
        (["01", "02"], ["1", "2"]),
        (["1e3", "2"], ["2", "1000"]),
    ],
)
def test_classes_that_are_numbers_are_not_rounded(tmp_path: Path, classes: list[str], names: list[str]) -> None:
    data = csv_table(write(tmp_path, *(f"{row},{classes[row % 2]}" for row in range(20)), header="x,y"))
    assert data.n_classes == 2
    assert data.notes[0].endswith(f": {names[0]} 10, {names[1]} 10.")


def test_classes_that_differ_by_a_leading_zero_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, *(f"{row},{('5', '01', '1')[row % 3]}" for row in range(30)), header="x,y")
    sentence = (
        "table.csv, rows 3 and 4, column 'y': '01' and '1' are one class as numbers, and two as texts: write them alike, or with"
        " a letter before them."
    )
    with pytest.raises(DataProblem, match=f"{sentence}$"):
        csv_table(path)


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([f"{row + 5},{row % 4},{row % 2}" for row in range(20)], "5 is a number"),
        ([f"{row + 5},{row % 4},{'no' if row % 2 else 'yes'}" for row in range(20)], "5 is a number"),
        ([f"{row},{row % 2 + 1},{'no' if row % 2 else 'yes'}" for row in range(20)], "'yes' is also a value of its column"),
        (
            [f"{'redblue'[row % 2 * 3 :][:3]},{'no' if row % 2 else 'yes'}" for row in range(20)],
            "'red' is also a value of its column",
        ),
        (["5,?,3", *(f"{row},1,{row % 2}" for row in range(20))], "5 is a number"),
        (["?,0,3", *(f"{row},1,{row % 2}" for row in range(20))], "? is no name"),
        ([f"{row},{row / 2},{row % 2}" for row in range(1, 20)], "0.5 is a number"),
    ],
)
def test_a_file_without_a_header_loses_no_row(tmp_path: Path, rows: list[str], wrong: str) -> None:
    path = write(tmp_path, *rows[1:], header=rows[0])
    with pytest.raises(DataProblem, match=rf"table\.csv, row 1: {re.escape(wrong)}, where the header must name the columns\.$"):
        csv_table(path)


@pytest.mark.parametrize("header", ["2019,2020,colour,price", "a,y,yes,2020", "7,b,red,yes"])
def test_a_header_may_hold_numbers_and_values_where_another_name_shows_that_it_is_one(tmp_path: Path, header: str) -> None:
    rows = [f"{row},{row**2},{'red' if row % 3 else 'blue'},{row % 2}" for row in range(20)]
    assert csv_table(write(tmp_path, *rows, header=header)).input_shape == (4,)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1"])
def test_the_row_labels_that_pandas_writes_are_left_out(tmp_path: Path, name: str) -> None:
    rows = [f"{(7 * row) % 20},{line}" for row, line in enumerate(ROWS)]
    data = csv_table(write(tmp_path, *rows, header=f"{name},{HEADER}"))
    plain = csv_table(write(tmp_path, *ROWS))
    assert torch.equal(data.training.inputs, plain.training.inputs)
    assert (
        data.notes[2]
        == f"Left out of {tmp_path / 'table.csv'}: the first column, {name or 'without a name'}, which holds row labels."
    )
    assert csv_table(write(tmp_path, *rows, header=f"{name},0,1,2,3")).input_shape == (4,)
    second = "Unnamed: 0.2"
    twice = csv_table(write(tmp_path, *(f"{row},{line}" for row, line in enumerate(rows)), header=f"{name},{second},{HEADER}"))
    assert torch.equal(twice.training.inputs, plain.training.inputs)
    assert twice.notes[3].endswith(f"table.csv: the next column, {second}, which holds row labels.")


def test_what_was_read_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS)
    assert csv_table(path).notes == (
        f"Read 20 rows of 2 classes from {path}: no 10, yes 10.",
        "The target is 'bought', the inputs are a, b, colour (2 texts).",
    )
    assert csv_table(path, target="a", kind="regression").notes == (
        f"Read 20 rows from {path}.",
        "The target is 'a', the inputs are b, colour (2 texts), bought (2 texts).",
    )


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"table\.csv cannot be read as a file \(No such file or directory\)\.$"):
        csv_table(tmp_path / "table.csv")
