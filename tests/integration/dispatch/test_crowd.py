"""A small version of benchmarks/scale.py: forty worker loops in four real processes do every trial of five jobs exactly once."""

from benchmarks.crowd import Done, Share, faults, submit_jobs, taken_over, work
from service.store.postgres import Database
from tests.processes import at_once

PROCESSES, LOOPS, TRIALS, POOL_SIZE = 4, 40, 400, 2


def test_a_crowd_in_several_processes_does_every_trial_of_all_jobs_exactly_once(database: Database) -> None:
    jobs = submit_jobs(database, TRIALS)
    url = database.url.render_as_string(hide_password=False)
    share = Share(url=url, loops=LOOPS // PROCESSES, pool_size=POOL_SIZE)
    parts: list[Done] = at_once([(work, (share,))] * PROCESSES)
    done = Done()
    for part in parts:
        done.add(part)
    with database.transaction() as conn:
        assert faults(conn, jobs, done.finished) == {job.id: [] for job in jobs}
        assert sum(taken_over(conn, job) for job in jobs) == 0
    assert len(done.finished) == len(done.claims) == TRIALS
    assert done.lost == 0
    assert all(part.finished for part in parts), "a process had nothing to do"
    # Ten loops wait for a free connection rather than open more.
    assert max(part.connections for part in parts) <= 2 * POOL_SIZE


BREAKS = {
    "a lease is open": "UPDATE stride.leases SET ended_at = NULL, outcome = NULL WHERE id = (SELECT max(id) FROM stride.leases)",
    "a trial had two leases": (
        "INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, expires_at, ended_at, outcome)"
        " SELECT gen_random_uuid(), job_id, trial_id, 2, worker_id, expires_at, ended_at, outcome FROM stride.leases LIMIT 1"
    ),
    "a lease vanished": "UPDATE stride.leases SET outcome = 'vanished' WHERE id = (SELECT max(id) FROM stride.leases)",
    "a number is missing": "UPDATE optuna.trials SET number = 1000 WHERE number = 0",
    "a trial is running": "UPDATE optuna.trials SET state = 'RUNNING' WHERE number = 0",
    "an event is missing": "DELETE FROM stride.events WHERE seq = 3",
    "a trial was finished twice": (
        "WITH job AS (UPDATE stride.jobs SET event_seq = event_seq + 1 RETURNING id, event_seq) INSERT INTO stride.events"
        " (job_id, seq, type, payload) SELECT id, job.event_seq, 'trial.completed', '{\"trial\": 0}' FROM job"
    ),
    "a value is missing": "DELETE FROM optuna.trial_values WHERE trial_id = (SELECT min(trial_id) FROM optuna.trials)",
    "a measurement is missing": "DELETE FROM stride.measurements WHERE trial_id = (SELECT min(trial_id) FROM optuna.trials)",
    "two points are the same": "UPDATE optuna.trial_params SET param_value = 0.5",
    "the job is open": "UPDATE stride.jobs SET state = 'running', finished_at = NULL",
}


def test_the_check_sees_what_is_doubled_lost_or_open(database: Database) -> None:
    """What the test above relies on, and the benchmark."""
    jobs = submit_jobs(database, 100)
    [finished] = at_once([(work, (Share(url=database.url.render_as_string(hide_password=False), loops=4, pool_size=2),))])
    results = finished.finished
    clean = {job.id: [] for job in jobs}
    with database.transaction() as conn:
        assert faults(conn, jobs, results) == clean
        assert faults(conn, jobs, results[1:]) != clean
        assert faults(conn, jobs, [*results, results[0]]) != clean
        for what, statement in BREAKS.items():
            conn.exec_driver_sql("SAVEPOINT clean")
            assert conn.exec_driver_sql(statement).rowcount >= 1
            assert faults(conn, jobs, results) != clean, what
            conn.exec_driver_sql("ROLLBACK TO clean")
