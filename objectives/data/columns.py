"""Turns the columns of a table into sets: numbers are standardized, texts are one-hot encoded, the target is separated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.split import random_split, stratified_split
from objectives.data.standardize import classification_sets, regression_sets, standardized_columns

Kind = Literal["classification", "regression"]
Column = NDArray[np.float64] | list[str]
"""One entry per row: finite numbers, or texts."""

LARGEST = float(np.finfo(np.float32).max)
MOST_CATEGORIES = 1000
"""Limit for one column: a text that differs in every row, such as a name, would become as many inputs as there are rows."""


def check_header(source: Path, names: Sequence[str]) -> None:
    """Raise DataProblem unless there are at least two columns, and each has a unique name."""
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataProblem(f"{source}: column {position} has no name in the header.")
        if name in names[: position - 1]:
            raise DataProblem(f"{source}: the header has two columns {name!r}, but names must be unique.")
    if len(names) < 2:
        raise DataProblem(f"{source} has one column only, {names[0]!r}, where the target and an input are needed.")


def target_column(source: Path, names: Sequence[str], target: str | None) -> str:
    """The name of the target column; by default the last one. Raises DataProblem when there is no such column."""
    if target is None:
        return names[-1]
    if target not in names:
        raise DataProblem(f"{source} has no column {target!r} to be the target; its columns are {', '.join(names)}.")
    return target


def check_finite(source: Path, name: str, numbers: NDArray[np.float64], rows: Sequence[int]) -> None:
    """Raise DataProblem for the first number that is not finite in float32. rows: the row of each number in the file."""
    wrong = ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        position = int(wrong.argmax())
        raise DataProblem(
            f"{source}, row {rows[position]}, column {name!r}: {numbers[position]:g} is not a finite 32-bit number."
        )


def table_sets(source: Path, columns: Mapping[str, Column], target: str, kind: Kind, fold: int) -> Sets:
    """Split the rows into sets with the column `target` as targets and the other columns as inputs.

    In classification each distinct value of the target is a class, in sorted order. In regression targets are standardized.
    A text column is one-hot encoded, with one input per category of the training set. Raises DataProblem.
    """
    inputs = {name: column for name, column in columns.items() if name != target}
    if kind == "regression":
        values = columns[target]
        if isinstance(values, list):
            raise DataProblem(f"{source}: column {target!r} holds texts ({values[0]!r}), where regression needs numbers.")
        split = random_split(len(values), fold, source=source)
        if np.ptp(values[split.training]) == 0:
            raise DataProblem(
                f"{source}: column {target!r} is {values[split.training][0]:g} in all training rows: there is nothing to learn."
            )
        return regression_sets(_encoded(source, inputs, split.training), values, split)
    classes, labels = _classes(columns[target])
    split = stratified_split(labels, fold, source=f"column {target!r} of {source}", classes=classes)
    return classification_sets(_encoded(source, inputs, split.training), labels, split, len(classes))


def _classes(column: Column) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the classes, and the label of each row, (rows,)."""
    if isinstance(column, list):
        names = sorted(set(column))
        positions = {name: position for position, name in enumerate(names)}
        return names, np.array([positions[text] for text in column], dtype=np.int64)
    values, labels = np.unique(column, return_inverse=True)
    return [f"{value:.15g}" for value in values], labels.astype(np.int64)


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
