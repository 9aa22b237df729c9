"""What the database holds after a run, read with statements of the tests' own: the service's are under test too."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

END_EVENTS = frozenset({"trial.completed", "trial.infeasible", "trial.pruned", "trial.failed"})


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stored measurement without its throughput, which depends on the clock. Metrics may be the strings nan, inf and -inf."""

    step: int
    fraction: float
    in_warmup: bool
    metrics: Mapping[str, float | str]
    learning_rate: float
    details: Mapping[str, Any] | None
    intermediate_value: tuple[float | None, str]
    """Optuna's copy of the job's metric, and its kind."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """One write of a measurement, from the write log (stage.py)."""

    at: float
    step: int
    metrics: Mapping[str, float | str]
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One attempt at a trial. Times in seconds since 1970."""

    attempt: int
    worker_id: str
    started_at: float
    released_at: float | None
    ended_at: float | None
    outcome: str | None
    last_step: int | None
    from_step: int | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of a job."""

    seq: int
    at: float
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """All that is stored of a trial."""

    trial_id: int
    number: int
    state: str
    value: tuple[float | None, str] | None
    params: Mapping[str, tuple[float, str]]
    """Value and distribution, as Optuna stores them."""
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]
    steps: tuple[Step, ...]
    leases: tuple[Lease, ...]
    written: tuple[Written, ...]


@dataclass(frozen=True, kw_only=True)
class JobHistory:
    """A job, its trials by number, and its events by seq."""

    id: str
    name: str
    spec: Mapping[str, Any]
    budget: int
    """Trials, as the budget stands."""
    state: str
    reason: str | None
    event_seq: int
    trials: tuple[Trial, ...]
    events: tuple[Event, ...]

    def events_of(self, trial: Trial) -> list[Event]:
        return [event for event in self.events if event.payload.get("trial") == trial.number]


@dataclass(frozen=True, kw_only=True)
class WorkerLife:
    """A registered worker: one run of a process."""

    id: str
    pid: int
    started_at: float


@dataclass(frozen=True, kw_only=True)
class History:
    """All jobs in the order of their submission, all workers, and the events that belong to no job."""

    jobs: tuple[JobHistory, ...]
    workers: tuple[WorkerLife, ...]
    events: tuple[Event, ...]


def read_history(conn: psycopg.Connection[Any]) -> History:
    """Read everything."""
    read = _Reader(conn)
    return History(jobs=tuple(read.jobs()), workers=tuple(read.workers()), events=tuple(read.events(None)))


class _Reader:
    """Reads each table once and groups its rows by what they belong to."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._cursor = conn.cursor(row_factory=dict_row)
        self._steps = self._grouped(STEPS, "trial_id")
        self._leases = self._grouped(LEASES, "trial_id")
        self._written = self._grouped(WRITTEN, "trial_id")
        self._params = self._grouped("SELECT * FROM optuna.trial_params ORDER BY param_name", "trial_id")
        self._values = self._grouped("SELECT * FROM optuna.trial_values", "trial_id")
        self._user_attrs = self._grouped("SELECT * FROM optuna.trial_user_attributes ORDER BY key", "trial_id")
        self._system_attrs = self._grouped("SELECT * FROM optuna.trial_system_attributes ORDER BY key", "trial_id")
        self._trials = self._grouped("SELECT * FROM optuna.trials ORDER BY number", "study_id")
        self._events = self._grouped(EVENTS, "job_id")

    def jobs(self) -> list[JobHistory]:
        rows = self._cursor.execute("SELECT * FROM stride.jobs ORDER BY created_at").fetchall()
        return [
            JobHistory(
                id=str(row["id"]),
                name=row["spec"]["name"],
                spec=row["spec"],
                budget=row["budget_trials"],
                state=row["state"],
                reason=row["reason"],
                event_seq=row["event_seq"],
                trials=tuple(map(self._trial, self._trials.get(row["study_id"], ()))),
                events=tuple(self.events(row["id"])),
            )
            for row in rows
        ]

    def workers(self) -> list[WorkerLife]:
        rows = self._cursor.execute(
            "SELECT id, name, extract(epoch FROM started_at)::float8 AS started_at FROM stride.workers ORDER BY started_at"
        )
        return [
            WorkerLife(id=str(row["id"]), pid=int(row["name"].rsplit(":", 1)[1]), started_at=row["started_at"]) for row in rows
        ]

    def events(self, job_id: Any) -> list[Event]:
        return [
            Event(seq=row["seq"], at=row["at"], type=row["type"], payload=row["payload"]) for row in self._events.get(job_id, ())
        ]

    def _trial(self, row: Mapping[str, Any]) -> Trial:
        trial_id = row["trial_id"]
        value = self._values.get(trial_id, ())
        assert len(value) <= 1, f"trial {trial_id} has {len(value)} values"
        return Trial(
            trial_id=trial_id,
            number=row["number"],
            state=row["state"],
            value=(value[0]["value"], value[0]["value_type"]) if value else None,
            params={
                param["param_name"]: (param["param_value"], param["distribution_json"])
                for param in self._params.get(trial_id, ())
            },
            user_attrs=_attributes(self._user_attrs.get(trial_id, ())),
            system_attrs=_attributes(self._system_attrs.get(trial_id, ())),
            steps=tuple(_step(step) for step in self._steps.get(trial_id, ())),
            leases=tuple(Lease(**_without(lease, "trial_id")) for lease in self._leases.get(trial_id, ())),
            written=tuple(Written(**_without(written, "trial_id")) for written in self._written.get(trial_id, ())),
        )

    def _grouped(self, statement: str, key: str) -> dict[Any, list[dict[str, Any]]]:
        grouped: dict[Any, list[dict[str, Any]]] = {}
        for row in self._cursor.execute(statement):
            grouped.setdefault(row[key], []).append(row)
        return grouped


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        step=row["step"],
        fraction=row["fraction"],
        in_warmup=row["in_warmup"],
        metrics=row["metrics"],
        learning_rate=row["learning_rate"],
        details=row["details"],
        intermediate_value=(row["intermediate_value"], row["intermediate_value_type"]),
    )


def _attributes(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {row["key"]: json.loads(row["value_json"]) for row in rows}


def _without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


STEPS = """
SELECT trial_id, step, fraction, in_warmup, metrics - 'samples_per_second' AS metrics, learning_rate, details, intermediate_value,
    intermediate_value_type::text
FROM stride.measurements FULL JOIN optuna.trial_intermediate_values USING (trial_id, step)
ORDER BY trial_id, step
"""
LEASES = """
SELECT trial_id, attempt, worker_id::text, extract(epoch FROM started_at)::float8 AS started_at,
    extract(epoch FROM released_at)::float8 AS released_at, extract(epoch FROM ended_at)::float8 AS ended_at, outcome,
    last_step, from_step
FROM stride.leases ORDER BY trial_id, attempt
"""
WRITTEN = """
SELECT trial_id, step, extract(epoch FROM at)::float8 AS at, metrics - 'samples_per_second' AS metrics, learning_rate, seconds
FROM chaos.measured ORDER BY trial_id, id
"""
EVENTS = "SELECT job_id, seq, type, payload, extract(epoch FROM at)::float8 AS at FROM stride.events ORDER BY job_id, seq, id"
