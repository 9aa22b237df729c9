"""Tables in parquet files, with columns of many types, and with the index of pandas."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from objectives.contract import DataProblem
from objectives.data.cells import number
from objectives.data.parquet_table import parquet_table
from tests.loaders_fuzz.csv_files import MARKERS, SHOWN
from tests.loaders_fuzz.damage import some_of
from tests.loaders_fuzz.meaning import N_ROWS, Meaning, check_sets, meanings
from tests.loaders_fuzz.outcome import Outcome

NUMBERS = (
    pa.float64(),
    pa.int64(),
    pa.int8(),
    pa.uint16(),
    pa.uint64(),
    pa.float32(),
    pa.float16(),
    pa.decimal128(30, 3),
    pa.bool_(),
)
TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
DAY = datetime(2024, 1, 1, tzinfo=UTC)
OTHERS: Sequence[Callable[[int], Any]] = (
    lambda row: DAY + timedelta(days=row),
    lambda row: (DAY + timedelta(days=row)).date(),
    lambda row: timedelta(seconds=row),
    lambda row: [row],
    lambda row: {"x": row},
    lambda row: b"bytes",
    lambda row: None,
)
"""Values of types that are neither numbers nor texts."""
FAULTS = ("null", "type", "missing", "shown", "twice", "nameless", "damage", "metadata")


@dataclass(frozen=True, kw_only=True)
class ParquetCase:
    columns: Sequence[tuple[str, Any]]
    metadata: Mapping[bytes, bytes]
    options: Mapping[str, Any]
    meaning: Meaning
    damage: Callable[[bytes], bytes] | None
    plain: bool
    """Whether the file is as the README says, so that it must be read."""


@st.composite
def parquet_cases(draw: st.DrawFn) -> ParquetCase:
    """A table in a file, with at most two of the faults that people's files have."""
    meaning = draw(meanings())
    faults = some_of(draw, FAULTS)
    values: dict[str, list[Any]] = {name: list(column) for name, column in meaning.inputs.items()}
    values[meaning.target] = list(meaning.values)
    hit, row = draw(st.sampled_from(list(values))), draw(st.integers(0, N_ROWS - 1))
    if "missing" in faults:
        values[hit] = [repr(value) if isinstance(value, float) else value for value in values[hit]]
        values[hit][row] = draw(st.sampled_from(MARKERS))
    if "null" in faults:
        values[hit][row] = None
    if "type" in faults:
        values[hit] = list(map(draw(st.sampled_from(OTHERS)), range(N_ROWS)))
    columns = [(name, _stored(draw, column)) for name, column in values.items()]
    if "shown" in faults:  # in an input: they may name classes
        cells = draw(st.sampled_from(SHOWN))
        columns[0] = (columns[0][0], pa.array([cells[row % 2] for row in range(N_ROWS)]))
    metadata = {}
    if draw(st.booleans()):
        name = draw(st.sampled_from(["group", "__index_level_0__", "when"]))
        labels = pa.array([DAY + timedelta(days=row) if name == "when" else row for row in range(N_ROWS)])
        columns.insert(draw(st.sampled_from([0, len(columns)])), (name, labels))
        metadata[b"pandas"] = json.dumps({"index_columns": [name], "columns": []}).encode()
    if "metadata" in faults:
        metadata[b"pandas"] = draw(st.one_of(st.binary(), st.sampled_from([b"[]", b"{", b'{"index_columns": {}}', b"null"])))
    if "twice" in faults:
        columns.append(columns[0])
    if "nameless" in faults:
        columns[0] = ("", columns[0][1])
    options = {
        "row_group_size": draw(st.integers(1, N_ROWS)),
        "compression": draw(st.sampled_from(["none", "snappy", "gzip", "zstd"])),
        "use_dictionary": draw(st.booleans()),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
    }
    seed = draw(st.randoms(use_true_random=False))
    damage = _damage(seed.random(), seed.random(), draw(st.binary(max_size=6))) if "damage" in faults else None
    return ParquetCase(columns=columns, metadata=metadata, options=options, meaning=meaning, damage=damage, plain=not faults)


def _stored(draw: st.DrawFn, column: list[Any]) -> Any:
    """The values in one of the types that hold them without loss."""
    present = [value for value in column if value is not None]
    if present and all(isinstance(value, float) for value in present):
        kinds = [kind for kind in NUMBERS if _holds(kind, present)]
        return pa.array(column).cast(draw(st.sampled_from(kinds)))
    if present and all(isinstance(value, str) for value in present):
        # Categories that look like numbers stay categories: another meaning.
        kinds = TEXTS if all(number(value) is None for value in present) else TEXTS[:-1]
        return pa.array(column, pa.string()).cast(draw(st.sampled_from(kinds)))
    return pa.array(column)


def _holds(kind: Any, values: list[float]) -> bool:
    try:
        return pa.array(values).cast(kind).cast(pa.float64()).to_pylist() == values
    except pa.ArrowException:
        return False


def _damage(where: float, how: float, put: bytes) -> Callable[[bytes], bytes]:
    """Cut, or put other bytes in: as parts of the file's length, which is not known before it is written."""

    def change(content: bytes) -> bytes:
        place = int(where * len(content))
        return content[:place] if how < 0.2 else content[:place] + put + content[place + int(how * 2 * len(put)) :]

    return change


def check_parquet(case: ParquetCase, folder: Path) -> Outcome:
    """Raises AssertionError when the file is read as something else than it says, or refused without need."""
    path = folder / "table.parquet"
    table = pa.table([column for _, column in case.columns], names=[name for name, _ in case.columns])
    pq.write_table(table.replace_schema_metadata(case.metadata), path, **case.options)
    if case.damage is not None:
        path.write_bytes(case.damage(path.read_bytes()))
    try:
        sets = parquet_table(path, case.meaning.fold, kind=case.meaning.kind)
    except DataProblem as problem:
        if case.plain:
            raise AssertionError("refused without need") from problem
        return "refused"
    if case.damage is not None:
        # Which cells are hurt is unknown, but no row may be lost.
        assert len(sets.training) + len(sets.validation) + len(sets.test) == pq.ParquetFile(path).metadata.num_rows
        return "read, damaged"
    check_sets(sets, case.meaning)
    return "read"
