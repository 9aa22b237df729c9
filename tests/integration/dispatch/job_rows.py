"""What is stored of a job, beside the model of it."""

from collections import Counter

from service.domain.job import FINAL, Job
from service.store import jobs, trial_reader
from service.store.postgres import Database
from tests.integration.dispatch.job_model import ModelJob


def assert_database_agrees(database: Database, submitted: Job, model: ModelJob) -> None:
    with database.transaction() as conn:
        job = jobs.get(conn, submitted.id)
        events = conn.exec_driver_sql(
            "SELECT type, seq FROM stride.events WHERE job_id = %(id)s ORDER BY seq", {"id": job.id}
        ).all()
        counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
        trials = trial_reader.page(conn, job, limit=100)
    assert (job.state, job.started_at is not None, job.finished_at is not None) == (
        model.state,
        model.started,
        model.state in FINAL,
    )
    assert job.failures_in_a_row == model.failures
    assert job.next_point == (model.points if model.grid else 0)
    assert [event.type for event in events] == model.events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [trial.number for trial in trials] == list(range(len(model.trials)))
    assert [trial.state for trial in trials] == [trial.state for trial in model.trials]
    found = [[attempt.outcome for attempt in trial.attempts] for trial in trials]
    assert found == [[lease.outcome for lease in trial.leases] for trial in model.trials]
    numbers = [[attempt.attempt for attempt in trial.attempts] for trial in trials]
    assert numbers == [list(range(1, len(trial.leases) + 1)) for trial in model.trials]
    assert all(outcomes.count(None) <= 1 for outcomes in found)
    assert model.max_parallel is None or sum(outcomes.count(None) for outcomes in found) <= model.max_parallel
    counted = Counter(trial.state for trial in model.trials)
    assert {state: getattr(counts, state) for state in counted} == counted
    assert counts.total == len(model.trials)
