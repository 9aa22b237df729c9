"""Notes and plots in stock optuna-dashboard: attributes of studies, as its `save_note` and `save_plotly_graph_object` store them.

No function here commits. A contract test checks that the dashboard reads them, and stores the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from service.domain.job import Job, JobState
from service.store.queries import query
from service.store.trials import TrialRecord, set_study_system_attrs, trials_of

CHARACTERS = 2045
"""The dashboard cuts longer texts into attributes of so many."""
PLOT = "stride-response"
"""The plot's id."""
ENDED = "('COMPLETE', 'PRUNED', 'FAIL')"
TOLD = ("diagnosis", "error", "pruned_at_step", "stopped_by")
"""The user attributes that a trial's note tells."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A job whose notes the caller alone writes, for some time."""

    job_id: UUID
    state: JobState | None
    """The job's when its notes were written; None: never."""
    ended: int | None
    """How many of its trials had ended by then."""


def hold(conn: sa.Connection, *, every_s: float, hold_s: float) -> Held | None:
    """The next job whose notes are out of date, held for so many seconds; None where there is none. every_s: of jobs that run."""
    row = conn.exec_driver_sql(query("hold_notes"), {"every_s": every_s, "hold_s": hold_s}).one_or_none()
    if row is None:
        return None
    return Held(job_id=row.job_id, state=None if row.state is None else JobState(row.state), ended=row.ended)


def written(conn: sa.Connection, job: Job, ended: int) -> None:
    """The notes are those of the job as it was read, with so many ended trials; nobody holds it any longer. Locks their row."""
    conn.exec_driver_sql(
        "UPDATE stride.notes SET state = %(state)s, ended = %(ended)s, written_at = clock_timestamp(),"
        " held_until = clock_timestamp() WHERE job_id = %(job_id)s",
        {"job_id": job.id, "state": job.state, "ended": ended},
    )


def n_ended(conn: sa.Connection, study_id: int) -> int:
    """How many trials have ended, whatever their result."""
    found: int = conn.exec_driver_sql(
        f"SELECT count(*) FROM optuna.trials WHERE study_id = %(study_id)s AND state IN {ENDED}", {"study_id": study_id}
    ).scalar_one()
    return found


def not_noted(conn: sa.Connection, study_id: int, *, most: int) -> list[TrialRecord]:
    """The first ended trials that have something to tell and no note, so many that `most` of the study's have one."""
    ids = conn.exec_driver_sql(
        "WITH noted AS MATERIALIZED ("
        "  SELECT split_part(key, ':', 2)::integer AS trial_id FROM optuna.study_system_attributes"
        "  WHERE study_id = %(study_id)s AND key ~ '^dashboard:[0-9]{1,9}:note_ver$'"
        " ) SELECT trial_id FROM optuna.trials AS trial"
        f" WHERE study_id = %(study_id)s AND state IN {ENDED} AND trial_id NOT IN (SELECT trial_id FROM noted)"
        " AND EXISTS (SELECT FROM optuna.trial_user_attributes WHERE trial_id = trial.trial_id AND key = ANY(%(told)s::text[]))"
        " ORDER BY number LIMIT greatest(%(most)s - (SELECT count(*) FROM noted), 0)",
        {"study_id": study_id, "most": most, "told": list(TOLD)},
    ).scalars()
    found = list(ids)
    return list(trials_of(conn, study_id, found, with_curves=False)) if found else []


def lock_study(conn: sa.Connection, study_id: int) -> bool:
    """Lock the study, so that it is not deleted, FOR KEY SHARE: claims go on. False when it is gone."""
    found = conn.exec_driver_sql(
        "SELECT FROM optuna.studies WHERE study_id = %(study_id)s FOR KEY SHARE", {"study_id": study_id}
    ).one_or_none()
    return found is not None


def save(conn: sa.Connection, study_id: int, *, note: str, plot: str | None, trials: Mapping[int, str]) -> None:
    """Replace the study's note and plot, and add notes of trials, by trial id. note and trials: Markdown; plot: Plotly's JSON.

    Locks the attributes' rows. The caller holds the lock on the study.
    """
    version = conn.exec_driver_sql(
        "SELECT value_json::integer FROM optuna.study_system_attributes"
        " WHERE study_id = %(study_id)s AND key = 'dashboard:note_ver'",
        {"study_id": study_id},
    ).scalar()
    attributes: dict[str, str | int] = {"dashboard:note_ver": (version or 0) + 1}
    attributes |= _cut("dashboard:note_str:", note)
    if plot is not None:
        attributes |= _cut(f"dashboard:plot_data:{PLOT}:", plot)
    for trial_id, text in trials.items():
        attributes |= {f"dashboard:{trial_id}:note_ver": 1, **_cut(f"dashboard:{trial_id}:note_str:", text)}
    set_study_system_attrs(conn, study_id, attributes)
    # What a longer text had left; and a plot where there is none now.
    conn.exec_driver_sql(
        "DELETE FROM optuna.study_system_attributes WHERE study_id = %(study_id)s AND key <> ALL(%(kept)s::text[])"
        " AND (starts_with(key, 'dashboard:note_str:') OR starts_with(key, %(plot)s))",
        {"study_id": study_id, "kept": list(attributes), "plot": f"dashboard:plot_data:{PLOT}:"},
    )


def _cut(prefix: str, text: str) -> dict[str, str]:
    parts: Sequence[int] = range(0, len(text), CHARACTERS)
    return {f"{prefix}{number}": text[start : start + CHARACTERS] for number, start in enumerate(parts)}
