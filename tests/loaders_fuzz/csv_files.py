"""CSV files in many dialects and encodings, with and without damage."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from objectives.contract import DataProblem
from objectives.data.cells import number
from objectives.data.csv_table import csv_table
from tests.loaders_fuzz.damage import damaged, some_of
from tests.loaders_fuzz.meaning import N_ROWS, Meaning, check_sets, meanings
from tests.loaders_fuzz.outcome import Outcome

MARKERS = ("", "?", "NA", "nan", "NULL", "None", "#N/A", "-", "\\N", "<NA>", "n/a")
SHOWN = (
    ("1,163.74", "12,594.5"),
    ("$5", "$1,000"),
    ("45%", "7.5%"),
    ("1,5", "-0,25"),
    ("1\u202f163", "5\u00a0000"),
    ("\u22125", "\u22126"),
)
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "utf-32-le")


@dataclass(frozen=True, kw_only=True)
class CsvCase:
    content: bytes
    meaning: Meaning
    damaged: bool
    """Nobody knows what the file says then."""
    plain: bool
    """Whether the file is as the README says, so that it must be read."""


FAULTS = ("missing", "shown", "ragged", "twice", "no header", "separator", "encoding", "damage")


@st.composite
def csv_cases(draw: st.DrawFn) -> CsvCase:
    """A table in a file, with at most two of the faults that people's files have."""
    meaning = draw(meanings())
    faults = some_of(draw, FAULTS)
    columns: dict[str, list[str]] = {name: [_cell(draw, value) for value in values] for name, values in meaning.inputs.items()}
    columns[meaning.target] = [_cell(draw, value) for value in meaning.values]
    header = list(columns)
    if "missing" in faults:
        name = draw(st.sampled_from(header))
        columns[name][draw(st.integers(0, N_ROWS - 1))] = draw(st.sampled_from(MARKERS))
    if "shown" in faults:
        cells = draw(st.sampled_from(SHOWN))
        columns[header[0]] = [cells[row % 2] for row in range(N_ROWS)]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    if "ragged" in faults:
        del rows[draw(st.integers(0, N_ROWS - 1))][-1]
    if "twice" in faults:
        header[-1] = header[0]
    if draw(st.booleans()):
        label = draw(st.sampled_from(["", "Unnamed: 0"]))
        header, rows = [label, *header], [[str(3 * row), *cells] for row, cells in enumerate(rows)]
    written = [header, *rows]
    if "no header" in faults:
        # Of texts alone, or where the first row counts the columns, nobody can tell.
        assume(any(number(cell) is not None and cell != str(position) for position, cell in enumerate(rows[0])))
        written = rows
    separator = draw(st.sampled_from(";\t|")) if "separator" in faults else ","
    encoding = draw(st.sampled_from(ENCODINGS)) if "encoding" in faults else draw(st.sampled_from(["utf-8", "utf-8-sig"]))
    text = _written(draw, written, separator)
    content = text.encode(encoding, "replace")
    lossy = content.decode(encoding) != text
    hurt = damaged(draw, content) if "damage" in faults else content
    return CsvCase(content=hurt, meaning=meaning, damaged=lossy or hurt != content, plain=not faults)


def _cell(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, str):
        return value
    forms = [repr(value), f"{value:.17e}", f"{value:+.17g}"]
    if value == int(value):
        forms.append(str(int(value)))
    return draw(st.sampled_from(forms))


def _written(draw: st.DrawFn, rows: list[list[str]], separator: str) -> str:
    file = io.StringIO()
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    # Python's writer would not quote a \n where rows end with \r.
    quoting = csv.QUOTE_ALL if ends == "\r" else draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(file, delimiter=separator, lineterminator=ends, quoting=quoting)
    for row in rows:
        writer.writerow(row)
        if draw(st.integers(0, 20)) == 0:
            file.write(ends)
    return file.getvalue()


def check_csv(case: CsvCase, folder: Path) -> Outcome:
    """Raises AssertionError when the file is read as something else than it says, or refused without need."""
    path = folder / "table.csv"
    path.write_bytes(case.content)
    try:
        sets = csv_table(path, case.meaning.fold, kind=case.meaning.kind)
    except DataProblem as problem:
        if case.plain:
            raise AssertionError("refused without need") from problem
        return "refused"
    if case.damaged:
        # Which cells are hurt is unknown, but no row may be lost.
        records = csv.reader(io.StringIO(case.content.decode("utf-8-sig"), newline=""), skipinitialspace=True)
        n_rows = sum("".join(record).strip() != "" for record in records) - 1
        assert len(sets.training) + len(sets.validation) + len(sets.test) == n_rows
        return "read, damaged"
    check_sets(sets, case.meaning)
    return "read"
