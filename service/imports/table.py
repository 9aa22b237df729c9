"""A table of foreign runs, whatever file it stands in: columns of plain values, and where each cell stands."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from objectives.contract import DataProblem

Cell = bool | int | float | str | list[object] | None
"""None: empty. Cells of a CSV file are texts."""

MOST_BYTES = 512 * 2**20
"""Of a file: what is sent of it must be far smaller."""
MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of a file."""

    source: str
    """The name of the file."""
    columns: Mapping[str, Sequence[Cell]]
    rows: Sequence[int]
    """The number of each row in the file."""
    row_word: str = "row"

    def column(self, name: str, option: str) -> Sequence[Cell]:
        """The cells of a column. option: where it was named. Raises DataProblem when there is no such column."""
        if name not in self.columns:
            raise DataProblem(f"{self.source} has no column {name!r} ({option}); its columns are {listed(self.columns)}.")
        return self.columns[name]

    def row(self, index: int) -> str:
        """Which row of which file this is."""
        return f"{self.source}, {self.row_word} {self.rows[index]}"

    def at(self, index: int, name: str) -> str:
        """Where a cell stands."""
        return f"{self.row(index)}, column {name!r}"

    def among(self, indices: Sequence[int]) -> "Table":
        """The table with these rows only."""
        columns = {name: [cells[index] for index in indices] for name, cells in self.columns.items()}
        return Table(source=self.source, columns=columns, rows=[self.rows[index] for index in indices], row_word=self.row_word)


def listed(names: Collection[str]) -> str:
    """The first names, and how many more there are."""
    some = ", ".join(list(names)[:MOST_LISTED])
    return some if len(names) <= MOST_LISTED else f"{some} and {len(names) - MOST_LISTED} more"
