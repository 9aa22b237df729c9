"""Opens parquet files with pyarrow, which the extra `data` installs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from objectives.data.files import needs, unreadable


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """The file as a pyarrow.parquet.ParquetFile, open within the block. Raises DataProblem when it is not a parquet file."""
    with needs("pyarrow", path):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, "a parquet file", error) from error
