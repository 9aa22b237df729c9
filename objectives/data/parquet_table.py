"""A table in a parquet file, read with pyarrow, which the extra `data` installs."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.cells import check_header, check_present
from objectives.data.columns import (
    Classes,
    Column,
    Kind,
    check_finite,
    classes_of_numbers,
    classes_of_texts,
    column_of_texts,
    table_sets,
    target_column,
)
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file
from objectives.data.parquet import open_parquet

INDEX = re.compile(r"__index_level_\d+__")
"""Columns that pandas appends for its row labels. They are skipped: the last one would be taken for the target."""


def parquet_table(path: Path, fold: int = 0, *, target: str | None = None, kind: Kind = "classification") -> Sets:
    """The rows as sets. target: the name of the target column; None: the last one.

    Columns hold numbers, booleans or texts; texts are read as the cells of a CSV file are, unless they are categories. What
    pandas calls the index is left out. Messages count rows from 1. Raises DataProblem. The last KEPT results are cached until
    the file changes.
    """
    return _load(data_file(path), fold, target, kind)


@lru_cache(maxsize=KEPT)
def _load(file: DataFile, fold: int, target: str | None, kind: Kind) -> Sets:
    path = file.path
    with open_parquet(path) as opened:
        index = _index_of_pandas(path, opened.schema_arrow)
        names = [name for name in opened.schema_arrow.names if name not in index]
        if not names or not opened.metadata.num_rows:
            raise DataProblem(f"{path} holds no data: columns with names and rows in them are needed.")
        check_header(path, names)
        if target in index:
            raise DataProblem(f"{path}: {target!r} is the index of the table, and cannot be the target: make it a column.")
        target = target_column(path, names, target)
        table = opened.read(use_threads=False)
        inputs = {name: _column(path, name, table[name]) for name in names if name != target}
        values = _classes(path, target, table[target]) if kind == "classification" else _column(path, target, table[target])
    notes = [f"Left out of {path}: the index, {', '.join(index)}."] if index else []
    return table_sets(path, inputs, target, values, fold, notes)


def _index_of_pandas(path: Path, schema: Any) -> list[str]:
    """The columns that hold the index of a pandas table, by the file's metadata and by their names."""
    content = (schema.metadata or {}).get(b"pandas", b"{}")
    try:
        columns = json.loads(content).get("index_columns", [])
        named = {column for column in columns if isinstance(column, str)}  # an index that only counts is a dict, and no column
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataProblem(f"{path}: what pandas says about the table is damaged, so that its index is unknown.") from error
    return [name for name in schema.names if name in named or INDEX.fullmatch(name)]


def _column(path: Path, name: str, column: Any) -> Column:
    """Numbers, or texts. Those of a dictionary are categories, also where they look like numbers."""
    import pyarrow as pa

    values = _values(path, name, column)
    if isinstance(values, list):
        rows = range(1, len(values) + 1)
        if pa.types.is_dictionary(column.type):
            check_present(path, name, values, rows)
            return values
        return column_of_texts(path, name, values, rows)
    numbers: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy()
    check_finite(path, name, numbers, range(1, len(numbers) + 1))
    return numbers


def _classes(path: Path, name: str, column: Any) -> Classes:
    import pyarrow as pa

    values = _values(path, name, column)
    if isinstance(values, list):
        return classes_of_texts(path, name, values, range(1, len(values) + 1))
    numbers = values.cast(pa.float64(), safe=False).to_numpy()
    check_finite(path, name, numbers, range(1, len(numbers) + 1))
    return classes_of_numbers(numbers if pa.types.is_floating(values.type) else values.to_numpy(zero_copy_only=False))


def _values(path: Path, name: str, column: Any) -> Any:
    """A list of texts without spaces around them, or a column of numbers. Raises DataProblem for other types and empty cells."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if column.null_count:
        row = int(column.is_null().to_numpy().argmax()) + 1
        raise DataProblem(f"{path}, row {row}, column {name!r} is empty: every cell needs a value.")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return [text.strip() for text in column.to_pylist()]
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        raise DataProblem(f"{path}: column {name!r} holds {kind}, where numbers or texts are needed.")
    return column
