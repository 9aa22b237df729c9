"""Measurements as read back. They are written by `leases.report`, under the lease."""

import math
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.measurement import GroupRate, Measurement, RunSummary
from service.store import tables


def of_trial(conn: sa.Connection, trial_id: int, *, after_step: int = 0, limit: int | None = None) -> list[Measurement]:
    """The measurements of a trial beyond `after_step`, in the order of their steps."""
    columns = tables.measurements.c
    statement = (
        tables.measurements.select()
        .where(columns.trial_id == trial_id, columns.step > after_step)
        .order_by(columns.step)
        .limit(limit)
    )
    return [_of_row(row) for row in conn.execute(statement)]


def some_of_trial(conn: sa.Connection, trial_id: int, *, most: int) -> list[Measurement]:
    """At most about so many measurements of a trial, evenly by their order, the last one among them."""
    rows = conn.exec_driver_sql(
        "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY step) AS place, count(*) OVER () AS n"
        " FROM stride.measurements WHERE trial_id = %(trial_id)s) AS measured"
        " WHERE (place - 1) %% ceil(n::numeric / %(most)s) = 0 OR place = n ORDER BY step",
        {"trial_id": trial_id, "most": most},
    )
    return [_of_row(row) for row in rows]


def newest(conn: sa.Connection, trial_id: int) -> Measurement | None:
    """The measurement of a trial's last step; None when nothing has been measured."""
    columns = tables.measurements.c
    statement = tables.measurements.select().where(columns.trial_id == trial_id).order_by(columns.step.desc()).limit(1)
    row = conn.execute(statement).one_or_none()
    return None if row is None else _of_row(row)


def first_and_before(conn: sa.Connection, trial_id: int, step: int) -> tuple[Measurement | None, list[Measurement]]:
    """The first measurement of a trial, and the last two before `step`, in the order of their steps. Needs measurements_pkey."""
    rows = conn.exec_driver_sql(
        "(SELECT *, true AS is_first FROM stride.measurements WHERE trial_id = %(trial_id)s ORDER BY step LIMIT 1)"
        " UNION ALL (SELECT *, false FROM stride.measurements WHERE trial_id = %(trial_id)s AND step < %(step)s"
        " ORDER BY step DESC LIMIT 2)",
        {"trial_id": trial_id, "step": step},
    ).all()
    first = next((_of_row(row) for row in rows if row.is_first), None)
    return first, sorted((_of_row(row) for row in rows if not row.is_first), key=lambda item: item.step)


def is_measured(conn: sa.Connection, trial_id: int, step: int) -> bool:
    """Whether a step of a trial was measured."""
    found: bool = conn.exec_driver_sql(
        "SELECT EXISTS (SELECT FROM stride.measurements WHERE trial_id = %(trial_id)s AND step = %(step)s)",
        {"trial_id": trial_id, "step": step},
    ).scalar_one()
    return found


def last_steps(conn: sa.Connection, trial_ids: Sequence[int]) -> dict[int, int]:
    """The last step that was measured of each trial that has one. Needs measurements_pkey."""
    rows = conn.exec_driver_sql(
        "SELECT trial.id, last.step FROM unnest(%(ids)s::integer[]) AS trial (id), LATERAL"
        " (SELECT step FROM stride.measurements WHERE trial_id = trial.id ORDER BY step DESC LIMIT 1) AS last",
        {"ids": list(trial_ids)},
    )
    return {trial_id: step for trial_id, step in rows}


def seconds_until(conn: sa.Connection, trial_id: int, step: int) -> float:
    """Seconds of training that a trial's steps up to `step` took."""
    columns = tables.measurements.c
    statement = sa.select(sa.func.coalesce(sa.func.sum(columns.seconds), 0.0))
    seconds: float = conn.execute(statement.where(columns.trial_id == trial_id, columns.step <= step)).scalar_one()
    return seconds


def seconds_of_study(conn: sa.Connection, study_id: int) -> dict[int, dict[int, float]]:
    """What each measured step took, where that is known, of all trials of a study: by trial number and step."""
    rows = conn.exec_driver_sql(
        "SELECT trial.number, array_agg(measured.step), array_agg(measured.seconds)"
        " FROM optuna.trials AS trial JOIN stride.measurements AS measured USING (trial_id)"
        " WHERE trial.study_id = %(study_id)s AND measured.seconds <> 'NaN' GROUP BY trial.number",
        {"study_id": study_id},
    )
    return {number: dict(zip(steps, seconds, strict=True)) for number, steps, seconds in rows}


def last_values(conn: sa.Connection, study_id: int, metric: str) -> dict[int, float]:
    """A metric at the last step of each trial of a study that measured it there, by the trials' numbers."""
    rows = conn.exec_driver_sql(
        "SELECT trial.number, last.value FROM optuna.trials AS trial, LATERAL"
        " (SELECT metrics ->> %(metric)s AS value FROM stride.measurements WHERE trial_id = trial.trial_id"
        " ORDER BY step DESC LIMIT 1) AS last WHERE trial.study_id = %(study_id)s AND last.value IS NOT NULL",
        {"study_id": study_id, "metric": metric},
    )
    return {number: float(value) for number, value in rows}


def applied_rates(conn: sa.Connection, study_id: int, numbers: Sequence[int]) -> dict[int, list[tuple[int, float]]]:
    """Step and learning rate that the optimizer applied, of some of a study's trials, by their numbers; in order of the steps."""
    rows = conn.exec_driver_sql(
        "SELECT trial.number, measured.step, measured.learning_rate"
        " FROM optuna.trials AS trial JOIN stride.measurements AS measured USING (trial_id)"
        " WHERE trial.study_id = %(study_id)s AND trial.number = ANY(%(numbers)s::integer[]) ORDER BY measured.step",
        {"study_id": study_id, "numbers": list(numbers)},
    )
    found: dict[int, list[tuple[int, float]]] = {}
    for number, step, rate in rows:
        found.setdefault(number, []).append((step, rate))
    return found


def summaries(conn: sa.Connection, study_id: int, numbers: Sequence[int]) -> dict[int, RunSummary]:
    """What was measured of some trials beside their metric, by their numbers."""
    rows = conn.exec_driver_sql(
        "SELECT trial.number,"
        " avg((measured.metrics ->> 'clipped_share')::float8) FILTER (WHERE measured.fraction > 0.5) AS clipped,"
        " avg((measured.metrics ->> 'gradient_norm')::float8) AS gradient_norm,"
        " avg((measured.metrics ->> 'update_to_weight_ratio')::float8) AS update_to_weight,"
        " max((measured.details -> 'update_losses' -> -1 ->> 0)::bigint) AS updates"
        " FROM optuna.trials AS trial JOIN stride.measurements AS measured USING (trial_id)"
        " WHERE trial.study_id = %(study_id)s AND trial.number = ANY(%(numbers)s::integer[]) GROUP BY trial.number",
        {"study_id": study_id, "numbers": list(numbers)},
    )
    return {
        row.number: RunSummary(
            clipped=_finite(row.clipped),
            gradient_norm=_finite(row.gradient_norm),
            updates=row.updates,
            update_to_weight=_finite(row.update_to_weight),
        )
        for row in rows
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _of_row(row: sa.Row[Any]) -> Measurement:
    details = row.details or {}
    return Measurement(
        step=row.step,
        fraction=row.fraction,
        in_warmup=row.in_warmup,
        metrics={name: float(value) for name, value in row.metrics.items()},
        learning_rate=row.learning_rate,
        seconds=row.seconds,
        group_rates=tuple(
            GroupRate(
                group=rate["group"],
                learning_rate=float(rate["learning_rate"]),
                momentum=None if rate["momentum"] is None else float(rate["momentum"]),
            )
            for rate in details.get("group_rates", ())
        ),
        update_losses=tuple((update, float(loss)) for update, loss in details.get("update_losses", ())),
        best_step=details.get("best_step"),
    )
