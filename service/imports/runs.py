"""The runs in a table: a row each, or a row for each of their steps, or a row each with their curves as lists."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from objectives.contract import DataProblem
from objectives.data.cells import number
from service.domain.imported import MAX_IMPORTED
from service.domain.space import Scalar
from service.imports import cells
from service.imports.curves import Curves, steps_in
from service.imports.run import Log, Missing, Run, Shorter, shows_steps, steps_told
from service.imports.table import Cell, Table

STEP_NAMES = frozenset({"step", "global_step", "epoch", "epochs_done", "iteration", "iter", "update"})
"""What loggers call the column of steps, in small letters."""


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


def log_of(
    table: Table,
    columns: Columns,
    *,
    direction: Literal["minimize", "maximize"],
    missing: Missing | None = None,
    shorter: Shorter | None = None,
) -> Log:
    """The runs of a table. missing: what a run without a value of the metric is; None: refused. shorter: None: completed.

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
    steps_from_0 = columns.step is not None and 0 in steps_in(table, columns.step)
    if steps_from_0:
        notes.append(f"{columns.step} is counted from 0 there, and from 1 here.")
    params = _params(table, columns, groups)
    curves = Curves(table, columns.metric, columns.step, shift=int(steps_from_0))
    read = [_run(table, columns, curves, rows, at, missing) for rows, at in zip(groups, params, strict=True)]
    judged, said = _judged_by_length(table, columns.metric, read, shorter)
    return Log(
        source=table.source,
        runs=judged,
        learning_rate=columns.learning_rate,
        metric=columns.metric,
        direction=direction,
        notes=[*notes, *said],
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
    return str(cell) == wanted or (number(str(cell)) is not None and number(str(cell)) == number(wanted))


def _grouped(table: Table, columns: Columns) -> tuple[list[list[int]], list[str]]:
    """The rows of each run, and how runs were told apart."""
    every = range(len(table.rows))
    if columns.run is None and columns.step is None:
        return [[index] for index in every], _steps_overlooked(table, columns)
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


def _steps_overlooked(table: Table, columns: Columns) -> list[str]:
    """A note where rows look like steps of runs, and are taken for runs."""
    params = [columns.learning_rate, *columns.params, *([columns.seed] if columns.seed else [])]
    for name in table.columns:
        if name.lower().strip("_").rpartition("/")[2] not in STEP_NAMES or name in params:
            continue
        steps: defaultdict[tuple[object, ...], set[str]] = defaultdict(set)
        for index, cell in enumerate(table.columns[name]):
            steps[tuple(_key(table.columns[each][index]) for each in params)].add(str(cell))
        if any(len(each) > 1 for each in steps.values()):
            return [
                f"Each {table.row_word} is taken for a run, though those of equal {columns.learning_rate} differ in {name}: if"
                f" they are steps of a run, say --step {name}."
            ]
    return []


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
    table: Table, columns: Columns, curves: Curves, rows: Sequence[int], params: Mapping[str, Scalar], missing: Missing | None
) -> Run:
    first = rows[0]
    said = columns.diverged is not None and any(
        cells.flag(table.columns[columns.diverged][index], table.at(index, columns.diverged)) for index in rows
    )
    run = Run(
        where=table.row(first),
        params=params,
        steps=curves.of_row(first) if len(rows) == 1 else curves.of_rows(rows, run=columns.run),
        has_steps=columns.step is not None or isinstance(table.columns[columns.metric][first], list),
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


def _judged_by_length(table: Table, metric: str, runs: Sequence[Run], shorter: Shorter | None) -> tuple[Sequence[Run], list[str]]:
    """The runs, and what is said where completed ones have not equally many steps, and no parameter tells how many."""
    if steps_told(runs, metric) is not None:
        return runs, []
    longest = max((run.last_step for run in runs if shows_steps(run, metric)), default=0)
    judged = list(runs)
    early = [at for at, run in enumerate(runs) if shows_steps(run, metric) and run.last_step < longest]
    for at in early if shorter in ("pruned", "failed") else ():
        reason = f"it ends at step {runs[at].last_step} of {longest}"
        judged[at] = replace(runs[at], ending=shorter, reason=reason)  # type: ignore[arg-type]
    if not early or shorter is not None:
        return judged, []
    first = runs[early[0]]
    end, count = ("ends", "it counts") if len(early) == 1 else ("end", "they count")
    return judged, [
        f"{len(early):,} of {len(runs):,} runs {end} early, such as that of {first.where.removeprefix(table.source + ', ')} at"
        f" step {first.last_step:,}, where the longest has {longest:,}: {count} as complete, by the last value."
        " --shorter pruned counts such runs as stopped early, --shorter failed leaves them out."
    ]


def _others_empty(table: Table, columns: Columns) -> str:
    column = table.columns[columns.metric]
    empty = sum(map(cells.is_empty, column))
    return f", as in {empty:,} of {len(column):,} {table.row_word}s" if empty > 1 and columns.step is None else ""


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
