"""The runs in a table: a row each, or a row for each of their steps, or a row each with their curves as lists."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from objectives.contract import DataProblem
from service.domain.imported import MAX_IMPORTED
from service.domain.space import Scalar
from service.imports import cells
from service.imports.run import DIAGNOSED, Log, Measured, Missing, Run
from service.imports.table import Cell, Table


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a table hold, as whoever imports it says."""

    learning_rate: str
    metric: str
    params: Sequence[str] = ()
    step: str | None = None
    run: str | None = None
    diverged: str | None = None
    seed: str | None = None

    def named(self) -> Iterator[tuple[str, str]]:
        """Each column, with the option that names it."""
        yield self.learning_rate, "--learning-rate"
        yield self.metric, "--metric"
        yield from ((name, "--param") for name in self.params)
        for option in ("step", "run", "diverged", "seed"):
            if (name := getattr(self, option)) is not None:
                yield name, f"--{option}"


def log_of(table: Table, columns: Columns, *, direction: Literal["minimize", "maximize"], missing: Missing | None = None) -> Log:
    """The runs of a table. missing: what a run without a value of the metric is; None: refused.

    Raises DataProblem: its message names file, row and column.
    """
    seen: dict[str, str] = {}
    for name, option in columns.named():
        table.column(name, option)
        if name in seen:
            raise DataProblem(f"{table.source}: column {name!r} is named twice, by {seen[name]} and by {option}.")
        seen[name] = option
    groups, notes = _grouped(table, columns)
    if len(groups) > MAX_IMPORTED:
        raise DataProblem(f"{table.source} has {len(groups):,} runs: at most {MAX_IMPORTED:,} are imported at once.")
    steps_from_0 = columns.step is not None and _begins_at_0(table, columns.step)
    if steps_from_0:
        notes.append(f"{columns.step} is counted from 0 there, and from 1 here.")
    params = _params(table, columns, groups)
    read = [_run(table, columns, rows, at, int(steps_from_0), missing) for rows, at in zip(groups, params, strict=True)]
    return Log(
        source=table.source,
        runs=read,
        learning_rate=columns.learning_rate,
        metric=columns.metric,
        direction=direction,
        notes=notes,
    )


def where(table: Table, conditions: Mapping[str, str]) -> Table:
    """The rows in which each of these columns has this value, as text. Raises DataProblem when there are none."""
    kept = list(range(len(table.rows)))
    for name, wanted in conditions.items():
        column = table.column(name, "--where")
        kept = [index for index in kept if _is(column[index], wanted)]
        if not kept:
            found = sorted({str(cell) for cell in column})
            some = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
            raise DataProblem(f"{table.source} has no row where {name} is {wanted!r} (--where); it is: {some}.")
    return table.among(kept)


def _is(cell: Cell, wanted: str) -> bool:
    if isinstance(cell, bool) or cell is None:
        return str(cell).lower() == wanted.lower()
    if isinstance(cell, int | float):
        try:
            return float(wanted) == cell
        except ValueError:
            return False
    return str(cell) == wanted


def _grouped(table: Table, columns: Columns) -> tuple[list[list[int]], list[str]]:
    """The rows of each run, and how runs were told apart."""
    every = range(len(table.rows))
    if columns.run is None and columns.step is None:
        return [[index] for index in every], []
    if columns.run is not None:
        names = [columns.run]
        empty = [index for index in every if cells.is_empty(table.columns[columns.run][index])]
        if empty:
            raise DataProblem(f"{table.at(empty[0], columns.run)} is empty: it must say which run the row belongs to.")
    else:
        names = [columns.learning_rate, *columns.params, *([columns.seed] if columns.seed else [])]
        for name in names:
            _check_given(table, name, list(every))
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in every:
        given = [table.columns[name][index] for name in names]
        key = tuple(map(str if columns.run else _key, given))
        groups.setdefault(key, []).append(index)
    if columns.run is not None:
        if columns.step is None and (several := next((rows for rows in groups.values() if len(rows) > 1), None)):
            raise DataProblem(
                f"{table.row(several[1])} is of the same run as {table.row_word} {table.rows[several[0]]},"
                f" {table.columns[columns.run][several[0]]!r}: name the column of its steps with --step."
            )
        return list(groups.values()), []
    told = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    note = f"Rows with equal {told} are taken for one run: {len(groups):,} of them. --run names a column that tells runs apart."
    return list(groups.values()), [note]


def _key(cell: Cell) -> object:
    """By which values of a parameter are equal: 0.10 is 0.1."""
    if isinstance(cell, list):
        return str(cell)
    return float(cell) if isinstance(cell, str) and _reads_as_float(cell) else cell


def _reads_as_float(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check_given(table: Table, name: str, rows: Sequence[int]) -> None:
    """Raise DataProblem for the first of these rows that has no value in a column."""
    empty = [index for index in rows if cells.is_empty(table.columns[name][index])]
    if not empty:
        return
    others = f", as in {len(empty):,} of {len(rows):,} {table.row_word}s" if len(empty) > 1 else ""
    raise DataProblem(
        f"{table.at(empty[0], name)} is empty{others}: every run needs its value. Fill it in, or take the {table.row_word} out."
    )


def _begins_at_0(table: Table, name: str) -> bool:
    given = [index for index in range(len(table.rows)) if not cells.is_empty(table.columns[name][index])]
    return any(cells.step(table.columns[name][index], table.at(index, name)) == 0 for index in given)


def _params(table: Table, columns: Columns, groups: Sequence[Sequence[int]]) -> list[dict[str, Scalar]]:
    """The parameters of each run: where a run has several rows, those that have a value must agree."""
    read: dict[str, Sequence[Scalar | None]] = {
        name: cells.parameter(table, name, table.columns[name]) for name in columns.params
    }
    name = columns.learning_rate
    read[name] = [
        None if cells.is_empty(cell) else cells.rate(cell, table.at(index, name))
        for index, cell in enumerate(table.columns[name])
    ]
    found = []
    for name, values in read.items():
        lacking = [rows[0] for rows in groups if all(values[index] is None for index in rows)]
        if lacking:
            others = f", as in {len(lacking):,} of {len(groups):,} runs" if len(lacking) > 1 else ""
            raise DataProblem(
                f"{table.at(lacking[0], name)} is empty{others}: every run needs its value. Fill it in, or take the run out."
            )
    for rows in groups:
        point: dict[str, Scalar] = {}
        for name, values in read.items():
            given = [(index, value) for index in rows if (value := values[index]) is not None]
            first, point[name] = given[0]
            if other := next((index for index, value in given if value != point[name]), None):
                raise DataProblem(
                    f"{table.at(other, name)}: {values[other]!r}, but {table.row_word} {table.rows[first]} of the same run has"
                    f" {point[name]!r}: a run has one value of each parameter."
                )
        found.append(point)
    return found


def _run(
    table: Table, columns: Columns, rows: Sequence[int], params: Mapping[str, Scalar], shift: int, missing: Missing | None
) -> Run:
    first = rows[0]
    said = columns.diverged is not None and any(
        cells.flag(table.columns[columns.diverged][index], table.at(index, columns.diverged)) for index in rows
    )
    steps = _curve(table, columns, first) if columns.step is None else _curve_of_rows(table, columns, rows, shift)
    run = Run(
        where=table.row(first),
        params=params,
        steps=_cut(steps, columns.metric),
        seed=_seed(table, columns.seed, rows),
        attributes={} if columns.run is None else {"run": str(table.columns[columns.run][first])},
    )
    if said:
        return replace(run, ending="diverged", reason=f"column {columns.diverged} of {table.source} says so")
    if run.steps:
        return run
    if missing is None:
        raise DataProblem(
            f"{table.at(first, columns.metric)} is empty{_others_empty(table, columns)}: write nan where a run diverged, take"
            " out runs that failed, or say with --missing what they are, diverged or failed."
        )
    reason = f"{table.source} has no {columns.metric} of it"
    return replace(run, ending=missing, reason=reason)


def _others_empty(table: Table, columns: Columns) -> str:
    column = table.columns[columns.metric]
    empty = sum(map(cells.is_empty, column))
    return f", as in {empty:,} of {len(column):,} {table.row_word}s" if empty > 1 and columns.step is None else ""


def _curve(table: Table, columns: Columns, index: int) -> list[Measured]:
    """The curve of a run that has one row: a list is a curve, a number its end."""
    cell = table.columns[columns.metric][index]
    if not isinstance(cell, list):
        if cells.is_empty(cell):
            return []
        values = [cells.real(cell, table.at(index, columns.metric))]
    else:
        values = _listed(table, index, columns.metric, cell)
    also = {
        name: others
        for name in DIAGNOSED
        if name in table.columns and name != columns.metric and (others := _as_long(table, index, name, len(values)))
    }
    return [
        Measured(step=at + 1, metrics={columns.metric: value, **{name: others[at] for name, others in also.items()}})
        for at, value in enumerate(values)
    ]


def _listed(table: Table, index: int, name: str, cell: Sequence[object]) -> list[float]:
    return [cells.real(value, f"{table.at(index, name)}, element {at}") for at, value in enumerate(cell, start=1)]


def _as_long(table: Table, index: int, name: str, length: int) -> list[float] | None:
    """What else was measured, where there is as much of it as of the metric."""
    cell = table.columns[name][index]
    if isinstance(cell, list):
        return _listed(table, index, name, cell) if len(cell) == length else None
    return [cells.real(cell, table.at(index, name))] if length == 1 and not cells.is_empty(cell) else None


def _curve_of_rows(table: Table, columns: Columns, rows: Sequence[int], shift: int) -> list[Measured]:
    assert columns.step is not None
    found: dict[int, tuple[int, dict[str, float]]] = {}
    for index in rows:
        cell = table.columns[columns.metric][index]
        if isinstance(cell, list):
            raise DataProblem(
                f"{table.at(index, columns.metric)} holds a list: a curve has no steps of its own, leave out --step."
            )
        if cells.is_empty(cell):  # loggers write training and validation in rows of their own
            continue
        _check_given(table, columns.step, [index])
        at = cells.step(table.columns[columns.step][index], table.at(index, columns.step)) + shift
        if at in found:
            how = "another column tells runs apart: name it with --run" if columns.run is None else "a step is measured once"
            raise DataProblem(
                f"{table.row(index)}: step {at - shift} of this run stands in {table.row_word} {table.rows[found[at][0]]} too:"
                f" {how}."
            )
        metrics = {columns.metric: cells.real(cell, table.at(index, columns.metric))}
        for name in DIAGNOSED:
            if name != columns.metric and name in table.columns and not cells.is_empty(table.columns[name][index]):
                metrics[name] = cells.real(table.columns[name][index], table.at(index, name))
        found[at] = index, metrics
    return [Measured(step=at, metrics=metrics) for at, (_, metrics) in sorted(found.items())]


def _cut(steps: Sequence[Measured], metric: str) -> Sequence[Measured]:
    """The curve up to where it diverged: a worker's run ends with the first value that is not finite."""
    finite = [at for at, step in enumerate(steps) if math.isfinite(step.metrics[metric])]
    return steps[: (finite[-1] if finite else -1) + 2]


def _seed(table: Table, name: str | None, rows: Sequence[int]) -> int | None:
    if name is None:
        return None
    given = [index for index in rows if not cells.is_empty(table.columns[name][index])]
    if not given:
        _check_given(table, name, rows[:1])
    seeds = {cells.seed(table.columns[name][index], table.at(index, name)): index for index in given}
    if len(seeds) > 1:
        raise DataProblem(f"{table.at(list(seeds.values())[1], name)} differs from that of other rows of the same run.")
    return next(iter(seeds))
