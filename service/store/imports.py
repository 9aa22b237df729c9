"""Trials that were trained elsewhere, written in bulk. No function here commits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from service.domain.measurement import Measurement
from service.domain.trial import Param
from service.store.leases import stored_metrics
from service.store.queries import query
from service.store.trials import Attributes, OptunaState

TRIALS, STEPS = 500, 20_000
"""By one statement."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImportedRow:
    """A trial that has ended, as Optuna's tables hold it, and its steps."""

    number: int
    state: OptunaState
    value: float | None
    params: Sequence[Param]
    user_attrs: Attributes = field(default_factory=dict)
    system_attrs: Attributes = field(default_factory=dict)
    steps: Sequence[Measurement] = ()


def insert(conn: sa.Connection, study_id: int, rows: Sequence[ImportedRow], metric: str) -> None:
    """Insert trials, and `metric` as their intermediate values too, into a study that this transaction has inserted."""
    ids: dict[int, int] = {}
    for some in _parts(rows, TRIALS):
        ids |= {number: trial_id for number, trial_id in conn.exec_driver_sql(query("import_trials"), _trials(study_id, some))}
    steps = [(ids[row.number], step) for row in rows for step in row.steps]
    for part in _parts(steps, STEPS):
        conn.exec_driver_sql(query("import_steps"), _steps(part, metric))


def _trials(study_id: int, rows: Sequence[ImportedRow]) -> dict[str, Any]:
    params = [(row.number, param) for row in rows for param in row.params]
    return {
        "study_id": study_id,
        "numbers": [row.number for row in rows],
        "states": [row.state for row in rows],
        "values": [row.value for row in rows],
        "param_numbers": [number for number, _ in params],
        "names": [param.name for _, param in params],
        "param_values": [float(param.value) for _, param in params],
        "distributions": [param.distribution for _, param in params],
        **_attributes("user", {row.number: row.user_attrs for row in rows}),
        **_attributes("system", {row.number: row.system_attrs for row in rows}),
    }


def _attributes(kind: str, of: Mapping[int, Attributes]) -> dict[str, Any]:
    every = [(number, key, json.dumps(value)) for number, attrs in of.items() for key, value in attrs.items()]
    return {
        f"{kind}_numbers": [number for number, _, _ in every],
        f"{kind}_keys": [key for _, key, _ in every],
        f"{kind}_values": [value for _, _, value in every],
    }


def _steps(steps: Sequence[tuple[int, Measurement]], metric: str) -> dict[str, Any]:
    return {
        "trial_ids": [trial_id for trial_id, _ in steps],
        "steps": [step.step for _, step in steps],
        "fractions": [step.fraction for _, step in steps],
        "in_warmup": [step.in_warmup for _, step in steps],
        "metrics": [stored_metrics(step) for _, step in steps],
        "learning_rates": [float(step.learning_rate) for _, step in steps],
        "seconds": [float(step.seconds) for _, step in steps],
        "values": [float(step.metrics[metric]) for _, step in steps],
    }


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))
