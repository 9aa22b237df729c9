"""A table in a parquet file, read with pyarrow, which the extra `data` installs."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.columns import Column, Kind, check_finite, check_header, table_sets, target_column
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file
from objectives.data.parquet import open_parquet

INDEX = re.compile(r"__index_level_\d+__")
"""Columns that pandas appends for its row labels. They are skipped: the last one would be taken for the target."""


def parquet_table(path: Path, fold: int = 0, *, target: str | None = None, kind: Kind = "classification") -> Sets:
    """The rows as sets. target: the name of the target column; None: the last one.

    Columns hold numbers, booleans or texts. Messages count rows from 1. Raises DataProblem. The last KEPT results are cached
    until the file changes.
    """
    return _load(data_file(path), fold, target, kind)


@lru_cache(maxsize=KEPT)
def _load(file: DataFile, fold: int, target: str | None, kind: Kind) -> Sets:
    path = file.path
    with open_parquet(path) as opened:
        names = [name for name in opened.schema_arrow.names if not INDEX.fullmatch(name)]
        if not names or not opened.metadata.num_rows:
            raise DataProblem(f"{path} holds no data: columns with names and rows in them are needed.")
        check_header(path, names)
        target = target_column(path, names, target)
        table = opened.read(names, use_threads=False)
        columns = {name: _column(path, name, table[name]) for name in names}
    return table_sets(path, columns, target, kind, fold)


def _column(path: Path, name: str, column: Any) -> Column:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if column.null_count:
        row = int(column.is_null().to_numpy().argmax()) + 1
        raise DataProblem(f"{path}, row {row}, column {name!r} is empty: every cell needs a value.")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts: list[str] = column.to_pylist()
        return texts
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        raise DataProblem(f"{path}: column {name!r} holds {kind}, where numbers or texts are needed.")
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    check_finite(path, name, numbers, range(1, len(numbers) + 1))
    return numbers
