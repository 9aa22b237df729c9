"""Trials in Optuna's tables, written with our own statements (DESIGN decision 4). No function here commits.

A contract test checks that stock `RDBStorage` reads what these write as its own, and that `trials_since` reads what it writes.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from service.domain.measurement import CurvePoint
from service.domain.trial import Param
from service.store.queries import query

OptunaState = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING"]
UNFINISHED = frozenset({"RUNNING", "WAITING"})
Attributes = Mapping[str, Any]

PAGE = 2_000
"""Trials read by one statement. Making objects of a whole large study would leave the transaction idle for so long that the
server ends it."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as stored, without Optuna's classes."""

    trial_id: int
    number: int
    state: OptunaState
    started_at: datetime | None
    """Naive UTC, as Optuna's columns hold it; `completed_at` too."""
    completed_at: datetime | None
    value: float | None
    params: tuple[Param, ...]
    user_attrs: Attributes
    system_attrs: Attributes
    curve: tuple[CurvePoint, ...]
    leased: bool
    """Whether it was ever trained under a lease; if not, it is a foreign trial."""


def insert_study(conn: sa.Connection, name: str, direction: str, *, user_attrs: Attributes, system_attrs: Attributes) -> int:
    """A study with one direction ("minimize" or "maximize"); returns its id."""
    study_id: int = conn.exec_driver_sql(
        "INSERT INTO optuna.studies (study_name) VALUES (%(name)s) RETURNING study_id", {"name": name}
    ).scalar_one()
    conn.exec_driver_sql(
        "INSERT INTO optuna.study_directions (study_id, direction, objective)"
        " VALUES (%(study_id)s, upper(%(direction)s)::optuna.studydirection, 0)",
        {"study_id": study_id, "direction": direction},
    )
    conn.exec_driver_sql(
        "INSERT INTO optuna.study_user_attributes (study_id, key, value_json)"
        " SELECT %(study_id)s, * FROM unnest(%(keys)s::text[], %(values)s::text[])",
        {"study_id": study_id, "keys": list(user_attrs), "values": _json_values(user_attrs)},
    )
    set_study_system_attrs(conn, study_id, system_attrs)
    return study_id


def study_system_attrs(conn: sa.Connection, study_id: int) -> dict[str, Any]:
    """The system attributes that samplers write to the study: those of the dashboard are left out, which may be many."""
    rows = conn.exec_driver_sql(
        "SELECT key, value_json FROM optuna.study_system_attributes"
        " WHERE study_id = %(study_id)s AND NOT starts_with(key, 'dashboard:')",
        {"study_id": study_id},
    )
    return {key: json.loads(value) for key, value in rows}


def set_study_system_attrs(conn: sa.Connection, study_id: int, attrs: Attributes) -> None:
    """Write a sampler's system attributes of the study. Locks the attributes' rows."""
    if not attrs:
        return
    conn.exec_driver_sql(
        "INSERT INTO optuna.study_system_attributes (study_id, key, value_json)"
        " SELECT %(study_id)s, * FROM unnest(%(keys)s::text[], %(values)s::text[])"
        " ON CONFLICT (study_id, key) DO UPDATE SET value_json = EXCLUDED.value_json",
        {"study_id": study_id, "keys": list(attrs), "values": _json_values(attrs)},
    )


def insert_trial(
    conn: sa.Connection,
    study_id: int,
    number: int,
    *,
    state: Literal["RUNNING", "WAITING"] = "RUNNING",
    params: Sequence[Param] = (),
    user_attrs: Attributes | None = None,
    system_attrs: Attributes | None = None,
) -> int:
    """A new trial; returns its id. The caller holds the lock on the study, under which `number` was found to be the next."""
    trial_id: int = conn.exec_driver_sql(
        query("insert_trial"),
        {"study_id": study_id, "number": number, "state": state} | _params(params) | _attributes(user_attrs, system_attrs),
    ).scalar_one()
    return trial_id


def start_waiting_trial(
    conn: sa.Connection,
    trial_id: int,
    *,
    params: Sequence[Param],
    user_attrs: Attributes | None = None,
    system_attrs: Attributes | None = None,
) -> int | None:
    """Make an enqueued trial a running one; returns its number, or None when it is no longer waiting."""
    return conn.exec_driver_sql(
        query("start_waiting_trial"), {"trial_id": trial_id} | _params(params) | _attributes(user_attrs, system_attrs)
    ).scalar()


def finish_trial(
    conn: sa.Connection,
    trial_id: int,
    state: Literal["COMPLETE", "PRUNED", "FAIL"],
    *,
    value: float | None = None,
    user_attrs: Attributes | None = None,
    system_attrs: Attributes | None = None,
) -> bool:
    """Store the result of a running trial; False when it was not running, and nothing was written.

    value: never nan; inf and -inf as they are. None for FAIL, and for PRUNED when there is none.
    """
    if value is not None and math.isnan(value):
        raise ValueError("a trial's value is never nan: a diverged trial has the worst value there is")
    row = conn.exec_driver_sql(
        query("finish_trial"),
        {"trial_id": trial_id, "state": state, "value": value} | _attributes(user_attrs, system_attrs),
    ).one_or_none()
    return row is not None


def set_system_attrs(conn: sa.Connection, trial_id: int, attrs: Attributes) -> None:
    """Write a pruner's system attributes of a running trial. The caller holds the trial's lease."""
    conn.exec_driver_sql(
        "INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)"
        " SELECT %(trial_id)s, * FROM unnest(%(keys)s::text[], %(values)s::text[])"
        " ON CONFLICT (trial_id, key) DO UPDATE SET value_json = EXCLUDED.value_json",
        {"trial_id": trial_id, "keys": list(attrs), "values": _json_values(attrs)},
    )


def system_attr(conn: sa.Connection, trial_id: int, key: str) -> Any:
    """One of a trial's system attributes; None: it has none of that key."""
    text = conn.exec_driver_sql(
        "SELECT value_json FROM optuna.trial_system_attributes WHERE trial_id = %(trial_id)s AND key = %(key)s",
        {"trial_id": trial_id, "key": key},
    ).scalar()
    return None if text is None else json.loads(text)


def trials_since(
    conn: sa.Connection, study_id: int, *, after: int = -1, again: Collection[int] = (), with_curves: bool = True
) -> Iterator[TrialRecord]:
    """The trials of a study whose id is above `after`, and those in `again`; by id. with_curves: else their curves are empty.

    Read a PAGE at a time, on demand: between two statements the caller processes no more than these.
    """
    wanted = {"study_id": study_id, "after": after, "again": list(again), "with_curves": with_curves, "page": PAGE}
    page_after = -1
    while True:
        rows = conn.exec_driver_sql(query("read_trials"), wanted | {"page_after": page_after}).mappings().all()
        yield from map(_record, rows)
        if len(rows) < PAGE:
            return
        page_after = rows[-1]["trial_id"]


def trials_of(
    conn: sa.Connection, study_id: int, trial_ids: Collection[int], *, with_curves: bool = True
) -> Iterator[TrialRecord]:
    """Some trials of a study, by id."""
    return trials_since(conn, study_id, after=_NO_ID_ABOVE, again=trial_ids, with_curves=with_curves)


def read_trial(conn: sa.Connection, study_id: int, trial_id: int) -> TrialRecord:
    """One trial. Raises ValueError when the study has none with that id."""
    [record] = trials_of(conn, study_id, [trial_id])
    return record


_NO_ID_ABOVE = 2**31 - 1


def _record(row: sa.RowMapping) -> TrialRecord:
    return TrialRecord(
        trial_id=row["trial_id"],
        number=row["number"],
        state=row["state"],
        started_at=row["datetime_start"],
        completed_at=row["datetime_complete"],
        value=row["value"],
        params=tuple(Param(name=name, value=float(value), distribution=text) for name, value, text in row["params"] or ()),
        user_attrs={key: json.loads(value) for key, value in row["user_attrs"] or ()},
        system_attrs={key: json.loads(value) for key, value in row["system_attrs"] or ()},
        curve=tuple(
            CurvePoint(step=step, value=_curve_value(kind, value), fraction=fraction, in_warmup=bool(in_warmup))
            for step, kind, value, fraction, in_warmup in row["curve"] or ()
        ),
        leased=row["leased"],
    )


_INFINITE = {"NAN": math.nan, "INF_POS": math.inf, "INF_NEG": -math.inf}


def _curve_value(kind: str, value: float | None) -> float:
    return _INFINITE[kind] if value is None else float(value)


def _params(params: Sequence[Param]) -> dict[str, Any]:
    return {
        "names": [param.name for param in params],
        "values": [float(param.value) for param in params],
        "distributions": [param.distribution for param in params],
    }


def _attributes(user_attrs: Attributes | None, system_attrs: Attributes | None) -> dict[str, Any]:
    user_attrs, system_attrs = user_attrs or {}, system_attrs or {}
    return {
        "user_keys": list(user_attrs),
        "user_values": _json_values(user_attrs),
        "system_keys": list(system_attrs),
        "system_values": _json_values(system_attrs),
    }


def _json_values(attrs: Attributes) -> list[str]:
    return [json.dumps(value) for value in attrs.values()]
