"""A table in a CSV file: UTF-8, separated by commas, with the names of the columns in the first row."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from objectives.contract import DataProblem
from objectives.data.columns import Column, Kind, check_finite, check_header, table_sets, target_column
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, unreadable


def csv_table(path: Path, fold: int = 0, *, target: str | None = None, kind: Kind = "classification") -> Sets:
    """The rows as sets. target: the name of the target column; None: the last one.

    A column with a number in any row must have numbers in all rows; only classes may mix numbers and texts. Messages count
    rows as a spreadsheet does: the header is row 1. Raises DataProblem. The last KEPT results are cached until the file changes.
    """
    return _load(data_file(path), fold, target, kind)


@lru_cache(maxsize=KEPT)
def _load(file: DataFile, fold: int, target: str | None, kind: Kind) -> Sets:
    path = file.path
    names, rows, cells = _read(path)
    target = target_column(path, names, target)
    columns = {
        name: _column(path, name, [row[position] for row in cells], rows, may_mix=name == target and kind == "classification")
        for position, name in enumerate(names)
    }
    return table_sets(path, columns, target, kind, fold)


def _read(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """The header, and the number and the cells of each row that is not empty."""
    names: list[str] = []
    rows, cells = [], []
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(csv.reader(file, skipinitialspace=True, strict=True), start=1):
                row = [cell.strip() for cell in line]
                if row in ([], [""]):
                    continue
                if not names:
                    names = row
                    _check_header(path, number, names)
                    continue
                _check_row(path, number, names, row)
                rows.append(number)
                cells.append(row)
    except csv.Error as error:
        raise DataProblem(f"{path}, row {number + 1} is not CSV ({error}).") from error
    except UnicodeDecodeError as error:
        raise DataProblem(f"{path} is not encoded in UTF-8, which a CSV file must be.") from error
    except OSError as error:
        raise unreadable(path, "a file", error) from error
    if not cells:
        raise DataProblem(f"{path} holds no data: a row with the names of the columns and rows below it are needed.")
    return names, rows, cells


def _check_header(path: Path, number: int, names: list[str]) -> None:
    # Whole numbers may be names: pandas writes 0, 1, 2 for columns without names.
    if value := next((name for name in names if _number(name) is not None and not name.isdecimal()), None):
        raise DataProblem(f"{path}, row {number}: {value} is a number, where the header must name the columns.")
    if len(names) == 1:
        raise DataProblem(
            f"{path}, row {number} names one column only, {names[0]!r}: two or more, separated by commas, are needed."
        )
    check_header(path, names)


def _check_row(path: Path, number: int, names: list[str], row: list[str]) -> None:
    if len(row) != len(names):
        raise DataProblem(f"{path}, row {number}: its number of cells is {len(row)}, but the header's is {len(names)}.")
    if "" in row:
        raise DataProblem(f"{path}, row {number}, column {names[row.index('')]!r} is empty: every cell needs a value.")


def _column(path: Path, name: str, cells: list[str], rows: list[int], *, may_mix: bool) -> Column:
    numbers = [_number(cell) for cell in cells]
    all_numbers = None not in numbers
    if not all_numbers and (may_mix or not np.isfinite([number for number in numbers if number is not None]).any()):
        return cells
    for row, cell, number in zip(rows, cells, numbers, strict=True):
        if number is None:
            raise DataProblem(f"{path}, row {row}, column {name!r}: {cell!r} is not a number, but other cells of the column are.")
    column = np.array(numbers, dtype=np.float64)
    check_finite(path, name, column, rows)
    return column


def _number(cell: str) -> float | None:
    # float() would also accept 1_000, which other CSV readers take for a text.
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None
