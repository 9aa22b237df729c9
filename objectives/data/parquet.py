"""Parquet files, opened by pyarrow, which the extra `data` brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from objectives.data.files import needs, unreadable


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """A pyarrow.parquet.ParquetFile, for as long as it is read. Raises DataProblem when the file turns out to be none."""
    with needs("pyarrow", path):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, "a parquet file", error) from error
