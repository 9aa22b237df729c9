"""The curves of runs: of a row for each step, of lists, or of one value, which is where a run ended."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import cast

from objectives.contract import DataProblem
from service.imports import cells
from service.imports.run import DIAGNOSED, Measured
from service.imports.table import Cell, Table


class Curves:
    """The curves in a table, by the columns of the metric and of the step.

    What DIAGNOSED names is read where the table has it beside the metric. shift: added to each step of the table.
    """

    def __init__(self, table: Table, metric: str, step: str | None, shift: int) -> None:
        self._table = table
        self._metric = metric
        self._step = step
        self._shift = shift
        self._also = [
            name for name in DIAGNOSED if name != metric and name in table.columns and _stands_beside(table, name, metric)
        ]

    def of_row(self, index: int) -> list[Measured]:
        """The curve of a run that has one row. Raises DataProblem."""
        given = self._values(index, self._metric)
        if not given:
            return []
        also = {name: values for name in self._also if len(values := self._values(index, name)) == len(given)}
        steps = zip(self._steps(index, len(given)), given, strict=True)
        found = [
            Measured(step=step, metrics=_given({self._metric: value, **{name: values[at] for name, values in also.items()}}))
            for at, (step, value) in enumerate(steps)
            if value is not None
        ]
        return _ended(found, self._metric)

    def of_rows(self, rows: Sequence[int], *, run: str | None) -> list[Measured]:
        """The curve of a run that has a row for each step. run: the column that tells runs apart. Raises DataProblem."""
        assert self._step is not None
        found: dict[int, tuple[int, Measured]] = {}
        for index in rows:
            cell = self._table.columns[self._metric][index]
            if isinstance(cell, list):
                raise DataProblem(
                    f"{self._table.at(index, self._metric)} holds a list, but {self._table.row_word}"
                    f" {self._table.rows[rows[0]]} is of the same run: a list is a whole curve."
                )
            if cells.is_empty(cell):  # loggers write training and validation in rows of their own
                continue
            [step] = self._steps(index, 1)
            if step in found:
                how = "another column tells runs apart: name it with --run" if run is None else "a step is measured once"
                raise DataProblem(
                    f"{self._table.row(index)}: step {step - self._shift} of this run stands in {self._table.row_word}"
                    f" {self._table.rows[found[step][0]]} too: {how}."
                )
            values = {name: self._values(index, name) for name in (self._metric, *self._also)}
            metrics = _given({name: each[0] for name, each in values.items() if each})
            found[step] = index, Measured(step=step, metrics=metrics)
        return _ended([measured for _, (_, measured) in sorted(found.items())], self._metric)

    def _values(self, index: int, name: str) -> list[float | None]:
        """What a cell holds; None: nothing was measured at that step."""
        cell, where = self._table.columns[name][index], self._table.at(index, name)
        if not isinstance(cell, list):
            return [] if cells.is_empty(cell) else [cells.real(cell, where)]
        last = max((at for at, value in enumerate(cell) if value is not None), default=-1)
        if name == self._metric and last < len(cell) - 1:
            raise DataProblem(
                f"{where}, element {last + 2} is null, and no number follows: write NaN where the run diverged, or end the list"
                " before it."
            )
        return [None if value is None else cells.real(value, f"{where}, element {at}") for at, value in enumerate(cell, start=1)]

    def _steps(self, index: int, length: int) -> Sequence[int]:
        """The steps of so many values. Raises DataProblem."""
        if self._step is None:
            return range(1, length + 1)
        cell, where = self._table.columns[self._step][index], self._table.at(index, self._step)
        if not isinstance(cell, list):
            if isinstance(self._table.columns[self._metric][index], list):
                return range(1, length + 1)
            if cells.is_empty(cell):
                raise DataProblem(f"{where} is empty: every value of {self._metric} needs its step.")
            return [cells.step(cell, where) + self._shift]
        steps = [cells.step(cast("Cell", each), f"{where}, element {at}") + self._shift for at, each in enumerate(cell, start=1)]
        if len(steps) != length or any(one >= other for one, other in pairwise(steps)):
            raise DataProblem(f"{where} must hold as many steps as {self._metric} has values, {length}, and go upwards.")
        return steps


def steps_in(table: Table, name: str) -> Iterator[int]:
    """All steps that a column names. Raises DataProblem."""
    for index, cell in enumerate(table.columns[name]):
        for each in cell if isinstance(cell, list) else [] if cells.is_empty(cell) else [cell]:
            yield cells.step(cast("Cell", each), table.at(index, name))


def _stands_beside(table: Table, name: str, metric: str) -> bool:
    """Whether a row has finite values of both: where loggers write them in rows of their own, nan may stand for nothing."""
    return any(
        _has_number(one) and _has_number(other) for one, other in zip(table.columns[name], table.columns[metric], strict=True)
    )


def _has_number(cell: object) -> bool:
    if isinstance(cell, list):
        return any(map(_has_number, cell))
    try:
        return not isinstance(cell, bool) and math.isfinite(float(cast("str", cell)))
    except (TypeError, ValueError, OverflowError):
        return False


def _given(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}


def _ended(steps: Sequence[Measured], metric: str) -> list[Measured]:
    """The curve up to where it diverged, as a worker's run ends with its first value that is no number.

    A nan that a finite value follows is no such value: tables write it where nothing was measured.
    """
    last = {
        name: max((at for at, step in enumerate(steps) if math.isfinite(step.metrics.get(name, math.nan))), default=-1)
        for name in (metric, *DIAGNOSED)
    }
    kept = []
    for at, step in enumerate(steps[: last[metric] + 2]):
        metrics = {name: value for name, value in step.metrics.items() if not (math.isnan(value) and at < last[name])}
        if metric in metrics:
            kept.append(Measured(step=step.step, metrics=metrics))
    return kept
