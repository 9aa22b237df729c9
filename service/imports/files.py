"""Reads a log of runs from a file: CSV, parquet or JSON, by the ending of its name."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from objectives.contract import DataProblem
from objectives.data.csv_file import csv_columns
from objectives.data.parquet import open_parquet
from objectives.data.utf8 import read_utf8
from service.imports.table import MOST_BYTES, Cell, Table

ENDINGS = ".csv, .tsv, .parquet, .jsonl, .ndjson or .json"
SEPARATORS = ",;\t"
"""Of cells in a CSV file: spreadsheets write the second where the comma is the decimal mark."""


def read_table(path: Path) -> Table:
    """The table in a file. Raises DataProblem: its message names file, row and column."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataProblem(f"{path}: the name of a log must end in {ENDINGS}.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataProblem(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    if size > MOST_BYTES:
        raise DataProblem(f"{path} has {size:,} bytes, and at most {MOST_BYTES:,} are read: leave out columns or steps.")
    table = read(path)
    if not table.rows:
        raise DataProblem(f"{path} holds no runs.")
    return table


def _csv(path: Path) -> Table:
    columns, rows, _ = csv_columns(path, may_be_empty=True, separators=SEPARATORS)
    return Table(source=path.name, columns=columns, rows=rows)


def _parquet(path: Path) -> Table:
    with open_parquet(path) as file:  # raises when pyarrow is not installed
        table = file.read(use_threads=False)
    from pyarrow.types import is_struct

    while any(map(is_struct, table.schema.types)):
        table = table.flatten()  # names are as those of an object in JSON lines: params.lr
    names = Counter(table.column_names)
    if twice := [name for name, n in names.items() if n > 1]:
        raise DataProblem(f"{path} has two columns {twice[0]!r}, but names must be unique.")
    columns = {name: list(map(_plain, table[name].to_pylist())) for name in table.column_names}
    return Table(source=path.name, columns=columns, rows=range(1, table.num_rows + 1))


def _plain(cell: Any) -> Cell:
    """A cell of a parquet file without decimals, which databases write."""
    if isinstance(cell, list):
        return list(map(_plain, cell))
    if not isinstance(cell, Decimal):
        return cast("Cell", cell)
    return int(cell) if cell == cell.to_integral_value() else float(cell)


def _json_lines(path: Path) -> Table:
    found = []
    for number, line in enumerate(read_utf8(path, "a file of JSON lines").split("\n"), start=1):
        if line.strip():
            found.append((number, _parsed(line, f"{path}, line {number}", "each line must hold one run, as an object")))
    return _of_documents(path, found, "line")


def _json_list(path: Path) -> Table:
    document = _parsed(read_utf8(path, "a JSON file"), str(path), "it must hold a list of runs, each an object")
    if not isinstance(document, list):
        raise DataProblem(f"{path} holds no list of runs, each an object; or name it .jsonl, with a run in each line.")
    return _of_documents(path, list(enumerate(document, start=1)), "element")


def _parsed(text: str, where: str, needed: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = f" ({error.msg}, at column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise DataProblem(f"{where} is not JSON{said}: {needed}.") from error
    if "\\u" in text and not _has_characters(document):
        raise DataProblem(f"{where} holds half of a character, a lone surrogate such as \\ud800: take it out.")
    return document


def _of_documents(path: Path, documents: Sequence[tuple[int, Any]], row_word: str) -> Table:
    """documents: with the number of each in the file."""
    columns: dict[str, list[Cell]] = {}
    for row, (number, document) in enumerate(documents):
        if not isinstance(document, dict):
            kind = "a list" if isinstance(document, list) else "a single value"
            needed = "where an object with the values of one run is needed"
            raise DataProblem(f"{path}, {row_word} {number} holds {kind}, {needed}.")
        for name, value in _flat(document).items():
            columns.setdefault(name, [None] * row).append(value)
        for cells in columns.values():
            if len(cells) == row:
                cells.append(None)
    return Table(source=path.name, columns=columns, rows=[number for number, _ in documents], row_word=row_word)


def _has_characters(document: Any) -> bool:
    """Whether its texts can be written: an escape may name half of a character."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _flat(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values by name, those of an object in an object as params.lr."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


_READERS: Mapping[str, Callable[[Path], Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_list,
}
