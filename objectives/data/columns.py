"""Turns the columns of a table into sets: numbers are standardized, texts are one-hot encoded, the target is separated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.cells import MISSING_AMONG_NUMBERS, PLAIN, check_present, decorated, missing_cell, number
from objectives.data.examples import Sets
from objectives.data.notes import contents
from objectives.data.split import random_split, stratified_split
from objectives.data.standardize import classification_sets, regression_sets, standardized_columns

Kind = Literal["classification", "regression"]
Numbers = NDArray[np.float64]
Column = Numbers | list[str]
"""One entry per row: finite numbers, or texts."""

LARGEST = float(np.finfo(np.float32).max)
MOST_CATEGORIES = 1000
"""Limit for one column: a text that differs in every row, such as a name, would become as many inputs as there are rows."""
MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The target of classification."""

    names: Sequence[str]
    labels: NDArray[np.int64]
    """(rows,): positions in `names`."""


def target_column(source: Path, names: Sequence[str], target: str | None) -> str:
    """The name of the target column; by default the last one. Raises DataProblem when there is no such column."""
    if target is None:
        return names[-1]
    if target not in names:
        raise DataProblem(f"{source} has no column {target!r} to be the target; its columns are {', '.join(names)}.")
    return target


def check_finite(source: Path, name: str, numbers: Numbers, rows: Sequence[int]) -> None:
    """Raise DataProblem for the first number that is not finite in float32. rows: the row of each number in the file."""
    wrong = ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        position = int(wrong.argmax())
        raise DataProblem(
            f"{source}, row {rows[position]}, column {name!r}: {numbers[position]:g} is not a finite 32-bit number."
        )


def column_of_texts(source: Path, name: str, cells: list[str], rows: Sequence[int]) -> Column:
    """The column of cells that hold numbers or texts. A column with a number in any row must have numbers in all rows.

    rows: the row of each cell in the file. Raises DataProblem.
    """
    if (plain := _plain_numbers(cells)) is not None:
        check_finite(source, name, plain, rows)
        return plain
    check_present(source, name, cells, rows)
    numbers = [number(cell) for cell in cells]
    if not np.isfinite([value for value in numbers if value is not None]).any() and None in numbers:
        if decorated(cells):
            raise DataProblem(f"{source}, row {rows[0]}, column {name!r}: {cells[0]!r} is no plain number: {PLAIN}.")
        return cells
    for row, cell, value in zip(rows, cells, numbers, strict=True):
        if value is None:
            hint = f": {PLAIN}" if decorated([cell]) else ""
            raise DataProblem(
                f"{source}, row {row}, column {name!r}: {cell!r} is not a number, but other cells of the column are{hint}."
            )
    column = np.array(numbers, dtype=np.float64)
    check_finite(source, name, column, rows)
    return column


def _plain_numbers(cells: list[str]) -> Numbers | None:
    """The numbers where all cells hold one, in a third of the time that looking at each cell takes; None: look at each."""
    try:
        column = np.array(list(map(float, cells)))
    except ValueError:
        return None
    written = "".join(cells)
    # float() also accepts 1_000 and digits of other scripts, and reads nan.
    return None if "_" in written or not written.isascii() or np.isnan(column).any() else column


def classes_of_texts(source: Path, name: str, cells: list[str], rows: Sequence[int]) -> Classes:
    """Each different text is a class, or each different number where all cells are numbers. Raises DataProblem."""
    check_present(source, name, cells, rows)
    different = sorted(set(cells))
    numbers = {cell: number(cell) for cell in different}
    others = [cell for cell, value in numbers.items() if value is None]
    if len(others) == 1 < len(different) and others[0].lower() in MISSING_AMONG_NUMBERS:
        raise missing_cell(source, rows[cells.index(others[0])], name, others[0])
    if others:
        positions = {cell: position for position, cell in enumerate(different)}
        return Classes(names=different, labels=np.array([positions[cell] for cell in cells], dtype=np.int64))
    check_finite(source, name, np.array([numbers[cell] for cell in cells], dtype=np.float64), rows)
    return classes_of_numbers(_exact(source, name, cells, rows, different))


def _exact(source: Path, name: str, cells: list[str], rows: Sequence[int], different: Sequence[str]) -> NDArray[Any]:
    """The numbers as written: float64 would take whole numbers beyond 2^53 for others."""
    numbers = {cell: Decimal(cell) for cell in different}
    written: dict[Decimal, str] = {}
    for cell, value in numbers.items():
        other = written.setdefault(value, cell)
        if other != cell and (_leads_with_zero(other) or _leads_with_zero(cell)):
            first, second = sorted((cells.index(cell), cells.index(other)))
            raise DataProblem(
                f"{source}, rows {rows[first]} and {rows[second]}, column {name!r}: {cells[first]!r} and {cells[second]!r} are"
                " one class as numbers, and two as texts: write them alike, or with a letter before them."
            )
    return np.array([numbers[cell] for cell in cells], dtype=object)


def _leads_with_zero(cell: str) -> bool:
    digits = cell.lstrip("+-")
    return digits.startswith("0") and digits[1:2].isdecimal()


def classes_of_numbers(values: NDArray[Any]) -> Classes:
    """Each different number is a class, in ascending order. Values are (rows,), of any type, so that none is rounded."""
    different, labels = np.unique(values, return_inverse=True)
    names = [f"{value:.15g}" if isinstance(value, float) else _plain(value) for value in different.tolist()]
    return Classes(names=names, labels=labels.astype(np.int64))


def _plain(value: int | Decimal) -> str:
    return str(value if value != int(value) else int(value))


def table_sets(
    source: Path, inputs: Mapping[str, Column], target: str, values: Column | Classes, fold: int, notes: Sequence[str] = ()
) -> Sets:
    """Split the rows into sets with the `values` of the column `target` as targets: classes, or for regression numbers.

    Numbers among inputs, and targets of regression, are standardized. A text column is one-hot encoded, with one input per
    category of the training set. Raises DataProblem.
    """
    columns = f"The target is {target!r}, the inputs are {_listed(inputs)}."
    if isinstance(values, Classes):
        split = stratified_split(values.labels, fold, source=f"column {target!r} of {source}", classes=values.names)
        sets = classification_sets(_encoded(source, inputs, split.training), values.labels, split, len(values.names))
        return replace(sets, notes=(contents(source, "rows", values.labels, values.names), columns, *notes))
    if isinstance(values, list):
        raise DataProblem(f"{source}: column {target!r} holds texts ({values[0]!r}), where regression needs numbers.")
    split = random_split(len(values), fold, source=source)
    if np.ptp(values[split.training]) == 0:
        raise DataProblem(
            f"{source}: column {target!r} is {values[split.training][0]:g} in all training rows: there is nothing to learn."
        )
    sets = regression_sets(_encoded(source, inputs, split.training), values, split)
    return replace(sets, notes=(f"Read {len(values)} rows from {source}.", columns, *notes))


def _listed(inputs: Mapping[str, Column]) -> str:
    names = [
        f"{name} ({len(set(column))} texts)" if isinstance(column, list) else name
        for name, column in list(inputs.items())[:MOST_LISTED]
    ]
    more = f" and {len(inputs) - MOST_LISTED} more" if len(inputs) > MOST_LISTED else ""
    return ", ".join(names) + more


def _encoded(source: Path, columns: Mapping[str, Column], training: NDArray[np.int64]) -> NDArray[np.float32]:
    """All columns as inputs (rows, inputs), in the order of the columns."""
    encoded = []
    for name, column in columns.items():
        if isinstance(column, list):
            encoded.append(_one_hot(source, name, column, training))
        else:
            encoded.append(standardized_columns(column[:, None], training))
    return np.concatenate(encoded, axis=1)


def _one_hot(source: Path, name: str, texts: list[str], training: NDArray[np.int64]) -> NDArray[np.float32]:
    categories = sorted({texts[position] for position in training})
    if len(categories) > MOST_CATEGORIES:
        raise DataProblem(
            f"{source}: column {name!r} has {len(categories)} different texts, and at most {MOST_CATEGORIES} are made into"
            " inputs: leave it out, or turn it into numbers."
        )
    positions = {category: position for position, category in enumerate(categories)}
    one_hot = np.zeros((len(texts), len(categories)), dtype=np.float32)
    for row, text in enumerate(texts):
        if text in positions:
            one_hot[row, positions[text]] = 1
    return one_hot
