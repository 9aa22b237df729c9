"""A table in a CSV file: UTF-8, separated by commas, with the names of the columns in the first row."""

from functools import lru_cache
from pathlib import Path

from objectives.data.columns import Kind, classes_of_texts, column_of_texts, table_sets, target_column
from objectives.data.csv_file import csv_columns
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file


def csv_table(path: Path, fold: int = 0, *, target: str | None = None, kind: Kind = "classification") -> Sets:
    """The rows as sets. target: the name of the target column; None: the last one.

    A column with a number in any row must have numbers in all rows; only classes may mix numbers and texts. Messages count
    rows as a spreadsheet does: the header is row 1. Raises DataProblem. The last KEPT results are cached until the file changes.
    """
    return _load(data_file(path), fold, target, kind)


@lru_cache(maxsize=KEPT)
def _load(file: DataFile, fold: int, target: str | None, kind: Kind) -> Sets:
    path = file.path
    columns, rows, notes = csv_columns(path)
    target = target_column(path, list(columns), target)
    inputs = {name: column_of_texts(path, name, column, rows) for name, column in columns.items() if name != target}
    read = classes_of_texts if kind == "classification" else column_of_texts
    return table_sets(path, inputs, target, read(path, target, columns[target], rows), fold, notes)
