"""A database that has seen much: 100,000 trials, thousands of jobs."""

from typing import Any

import psycopg

from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job

TRIALS = 100_000
OPEN_LEASES = 200
ENDED_JOBS = 2_000
"""Most with no trial of their own here: jobs are many too."""
LATER_JOBS = 100
"""Open ones of lower priority."""
FILLED_JOBS = 40
"""Of the ended jobs, those with a share of the trials."""
OBJECTIVES = (
    *("random", "grid", "tpe"),  # each with a large open job
    *("enqueued", "expired", "dying", "given back", "last", "target", "late", "deadly"),
)
"""Of the jobs here, so that a test's claims see only its own job."""


def fill(database: Database) -> None:
    ended = submit_job(database, objective={"name": "ended"})
    open_jobs = {
        open_job(database, "random", budget={"trials": 1_000_000}).study_id: TRIALS // 2,
        open_job(database, "grid", strategy="grid", budget={"trials": 10}).study_id: TRIALS // 4,
        open_job(database, "tpe", strategy="bayesian", pruner="median", budget={"trials": 1_000_000}).study_id: 300,
    }
    rest = TRIALS - sum(open_jobs.values())
    with database.transaction(timeout_s=100) as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")  # spares the checks of references
        like = {"id": ended.id, "objectives": list(OBJECTIVES)}
        conn.exec_driver_sql(_JOBS, like | {"count": LATER_JOBS, "state": "running", "priority": -1})
        first = conn.exec_driver_sql(_JOBS, like | {"count": ENDED_JOBS, "state": "completed", "priority": 0}).scalar_one()
        for study_id, count in open_jobs.items():
            conn.exec_driver_sql(_TRIALS, {"first": study_id, "last": study_id, "count": count})
        conn.exec_driver_sql(_TRIALS, {"first": first, "last": first + FILLED_JOBS - 1, "count": rest // FILLED_JOBS})
        for statement in _LEFT_BY_TRIALS:
            conn.exec_driver_sql(statement)
        conn.exec_driver_sql(_RUNNING, {"studies": list(open_jobs), "count": OPEN_LEASES})
        conn.exec_driver_sql(_WORKERS)
        conn.exec_driver_sql(_OBJECTIVES)
    with psycopg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True) as raw:
        raw.execute("SET default_statistics_target = 400")  # looks at every row, so that the plans are the same in every run
        raw.execute("VACUUM ANALYZE")


def open_job(database: Database, objective: str, **overrides: Any) -> Job:
    """A job of one of the objectives."""
    assert objective in OBJECTIVES
    return submit_job(database, objective={"name": objective}, **overrides)


_JOBS = """
WITH study AS (
    INSERT INTO optuna.studies (study_name) SELECT gen_random_uuid() FROM generate_series(1, %(count)s) RETURNING study_id
), direction AS (
    INSERT INTO optuna.study_directions (study_id, direction, objective) SELECT study_id, 'MINIMIZE', 0 FROM study
), attribute AS (
    INSERT INTO optuna.study_system_attributes (study_id, key, value_json) SELECT study_id, 'study:metric_names', '[]' FROM study
), job AS (
    INSERT INTO stride.jobs (id, study_id, spec, state, budget_trials, budget_failures, started_at, finished_at)
    SELECT gen_random_uuid(), study.study_id,
        spec || jsonb_build_object('priority', %(priority)s::int, 'objective', jsonb_build_object('name', chosen.name)),
        %(state)s, budget_trials, budget_failures, moment, CASE WHEN %(state)s::text = 'completed' THEN moment END
    FROM study, stride.jobs,
        LATERAL (SELECT (%(objectives)s::text[])[1 + study.study_id %% cardinality(%(objectives)s::text[])]) AS chosen (name),
        LATERAL (SELECT now() - study.study_id * interval '10 minutes') AS at (moment)
    WHERE id = %(id)s
)
SELECT min(study_id) FROM study
"""
_TRIALS = """
INSERT INTO optuna.trials (study_id, number, state, datetime_start, datetime_complete)
SELECT study_id, number, 'COMPLETE', now(), now()
FROM generate_series(%(first)s::int, %(last)s::int) AS study_id, generate_series(0, %(count)s::int - 1) AS number
ORDER BY number, study_id
"""
_RATE = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 1.0, "log": true}}'
_LEFT_BY_TRIALS = [
    """
    INSERT INTO stride.phases (job_id, position, name, search_space, strategy, needs_history, counts_points, first_number)
    SELECT id, 0, 'search', spec -> 'search_space', spec -> 'strategy', false, false, 0 FROM stride.jobs
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO stride.meanings (job_id, meaning)
    SELECT id, (SELECT meaning FROM stride.meanings LIMIT 1) FROM stride.jobs
    ON CONFLICT DO NOTHING
    """,
    f"""
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial_id, 'learning_rate', 1e-5 + 0.9 * random(), '{_RATE}' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT trial_id, 0, random(), 'FINITE' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)
    SELECT trial_id, 'constraints', '[-1.0]' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
    SELECT trial_id, 'test_loss', '1.0' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT trial_id, 1, random(), 'FINITE' FROM optuna.trials
    """,
    """
    INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)
    SELECT trial_id, 1, 0.25, false, '{"loss": 1.0}', 0.1, 0.1 FROM optuna.trials
    """,
    """
    INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, started_at, expires_at, last_step, ended_at, outcome)
    SELECT gen_random_uuid(), job.id, trial_id, 1, gen_random_uuid(), now(), now(), 1, now(), 'finished'
    FROM optuna.trials JOIN stride.jobs AS job USING (study_id)
    """,
    """
    INSERT INTO stride.events (job_id, seq, type, payload)
    SELECT job.id, 2 + number, 'trial.completed', '{}' FROM optuna.trials JOIN stride.jobs AS job USING (study_id)
    """,
    """
    INSERT INTO stride.checkpoints (job_id, trial_id, lease_id, kind, step, size, sha256, content)
    SELECT job_id, trial_id, id, 'model', 1, 3, sha256('abc'), 'abc' FROM stride.leases WHERE mod(id, 100) = 0
    """,
]
_RUNNING = """
WITH trial AS (
    UPDATE optuna.trials SET state = 'RUNNING', datetime_complete = NULL
    WHERE trial_id IN (SELECT trial_id FROM optuna.trials WHERE study_id = ANY(%(studies)s) ORDER BY random() LIMIT %(count)s)
    RETURNING trial_id
), result AS (
    DELETE FROM optuna.trial_values WHERE trial_id IN (SELECT trial_id FROM trial)
), job AS (
    UPDATE stride.jobs SET state = 'running', started_at = now(), event_seq = 1000000 WHERE study_id = ANY(%(studies)s)
)
UPDATE stride.leases SET ended_at = NULL, outcome = NULL, expires_at = now() + interval '1 hour'
WHERE trial_id IN (SELECT trial_id FROM trial)
"""
_WORKERS = """
INSERT INTO stride.workers (id, name, objectives, device, version, lost_after_s, stopped_at, objective_sha256s)
SELECT gen_random_uuid(), 'host:' || n, ARRAY['quadratic', 'announced 1'], 'cpu', '0', 30, CASE WHEN n > 200 THEN now() END,
    jsonb_build_object('announced 1', encode(sha256('1'), 'hex'))
FROM generate_series(1, 5000) AS n
"""
_OBJECTIVES = """
INSERT INTO stride.objectives (name, sha256, declaration, declaration_sha256, announced_by)
SELECT 'announced ' || mod(n, 20), sha256(n::text::bytea), '{}', sha256('same'), gen_random_uuid()
FROM generate_series(1, 2000) AS n
"""
