"""A CSV file as texts: UTF-8, separated by commas, with the names of the columns in the first row. No torch here."""

import csv
import io
import re
from pathlib import Path

from objectives.contract import DataProblem
from objectives.data.cells import check_header, is_missing, missing_cell, number
from objectives.data.utf8 import read_utf8

UNNAMED = re.compile(r"(Unnamed: 0(\.\d+)?)?")
"""The name of the first column where pandas has written row labels: none, or this where it has read and written them again."""
FIRST_LINE = re.compile(r"[^\r\n]*\S[^\r\n]*")
"""That is not blank."""
OTHER_SEPARATORS = ";\t|"
LONGEST_CELL = 2**31 - 1
"""Characters of a cell, at most. The limit of Python's reader, 131,072, is exceeded by long texts."""
N_JUDGED = 100
"""Rows by which a column is judged when the header is checked."""


def csv_columns(
    path: Path, *, may_be_empty: bool = False, separators: str = ","
) -> tuple[dict[str, list[str]], list[int], list[str]]:
    """The cells of each column by its name, the number of each row in the file, and notes on what is left out.

    separators: cells are separated by the first of these characters that the first row has.
    Raises DataProblem when the file is no such table, or a cell is empty, unless it may be.
    """
    names, rows, cells = _read(path, separators, may_be_empty=may_be_empty)
    notes = _row_labels(path, names, cells)
    first = len(notes)
    check_header(path, names[first:], first + 1)
    columns = {name: [row[position] for row in cells] for position, name in enumerate(names) if position >= first}
    return columns, rows, notes


def _read(path: Path, separators: str, *, may_be_empty: bool) -> tuple[list[str], list[int], list[list[str]]]:
    """The header, and the number and the cells of each row that is not empty."""
    names: list[str] = []
    rows, cells = [], []
    header, count = 0, 0
    text = read_utf8(path, "a CSV file")
    top = FIRST_LINE.search(text)
    separator = next((mark for mark in separators if top is not None and mark in top[0]), separators[0])
    csv.field_size_limit(LONGEST_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for count, line in enumerate(lines, start=1):
            row = [cell.strip() for cell in line]
            if row in ([], [""]):
                continue
            if not names:
                names, header = row, count
                if len(names) == 1:
                    raise _one_column(path, count, names[0])
                if "" in names[1:]:
                    raise DataProblem(f"{path}: column {names.index('', 1) + 1} has no name in the header.")
                continue
            _check_row(path, count, names, row, may_be_empty=may_be_empty)
            rows.append(count)
            cells.append(row)
    except csv.Error as error:
        if not names and "," not in (first := text.strip().splitlines()[0]):
            raise _one_column(path, count + 1, first) from error
        raise DataProblem(f"{path}, row {count + 1} is not CSV ({error}).") from error
    if not cells:
        raise DataProblem(f"{path} holds no data: a row with the names of the columns and rows below it are needed.")
    if separator == ",":
        _check_separator(path, header, names, cells)
    _check_names(path, header, names, cells)
    return names, rows, cells


def _one_column(path: Path, row: int, name: str) -> DataProblem:
    return DataProblem(f"{path}, row {row} names one column only, {name!r}: two or more, separated by commas, are needed.")


def _check_row(path: Path, row: int, names: list[str], cells: list[str], *, may_be_empty: bool) -> None:
    if len(cells) != len(names):
        raise DataProblem(f"{path}, row {row}: its number of cells is {len(cells)}, but the header's is {len(names)}.")
    if "" in cells and not may_be_empty:
        raise missing_cell(path, row, names[cells.index("")], "")


def _check_separator(path: Path, row: int, names: list[str], cells: list[list[str]]) -> None:
    """Raise DataProblem where another character than the comma separates cells, and commas only occur in them."""
    for mark in OTHER_SEPARATORS:
        n = "".join(names).count(mark)
        if n >= len(names) - 1 and all("".join(line).count(mark) == n for line in cells):
            raise DataProblem(f"{path}, row {row} and all others have {n} {mark!r} each: cells must be separated by commas.")


def _check_names(path: Path, row: int, names: list[str], cells: list[list[str]]) -> None:
    """Raise DataProblem where the first row seems to hold data: it would be lost.

    It holds names when one of them is no number though its column has numbers only. Otherwise whole numbers must count the
    columns from 0, as pandas names them, and most names of text columns must not be values of their columns.
    """
    wrong = f"{path}, row {row}: {{}}, where the header must name the columns."
    if value := next((name for name in names if number(name) is not None and not _is_whole(name)), None):
        raise DataProblem(wrong.format(f"{value} is a number"))
    some = cells[:N_JUDGED]
    is_numeric = [all(_is_data(line[position]) for line in some) for position in range(len(names))]
    if any(numeric and name and not _is_data(name) for name, numeric in zip(names, is_numeric, strict=True)):
        return
    first = 0 if names[0] else 1
    for position, name in enumerate(names):
        if _is_data(name) and name and name != str(position - first):
            raise DataProblem(wrong.format(f"{name} is {'a number' if _is_whole(name) else 'no name'}"))
    texts = [position for position, numeric in enumerate(is_numeric) if not numeric]
    again = [position for position in texts if any(line[position] == names[position] for line in cells)]
    if len(again) > len(texts) / 2:
        raise DataProblem(wrong.format(f"{names[again[0]]!r} is also a value of its column"))


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _is_data(cell: str) -> bool:
    return number(cell) is not None or is_missing(cell)


def _row_labels(path: Path, names: list[str], cells: list[list[str]]) -> list[str]:
    """A note for each of the first columns that is left out, since it holds the row labels of pandas.

    Raises DataProblem when such a column has no name and may be something else.
    """
    notes: list[str] = []
    while UNNAMED.fullmatch(name := names[len(notes)]):
        labels = [row[len(notes)] for row in cells]
        if not all(map(_is_whole, labels)) or (not name and len(set(labels)) < len(labels)):
            raise DataProblem(f"{path}: column 1 has no name in the header: give it one, or write the file without row labels.")
        which = "the first column" if not notes else "the next column"
        notes.append(f"Left out of {path}: {which}, {name or 'without a name'}, which holds row labels.")
        if len(notes) == len(names):
            break
    return notes
