"""What tests look at while workers train."""

from typing import Any

from service.domain.job import Job, JobState
from service.domain.lease import Attempt
from service.domain.trial import Trial
from service.store import jobs, leases, measurements, trial_reader, workers
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, submit_job
from tests.polling import wait_until

ENDLESS = 100_000


def long_job(database: Database, epochs: int = ENDLESS, epoch_s: float = 0.02, **overrides: Any) -> Job:
    """One trial of so many steps."""
    return submit_job(
        database,
        objective={"name": "quadratic", "settings": {"epoch_s": epoch_s}},
        search_space={"learning_rate": LEARNING_RATE | {"high": 0.4}, "epochs": epochs, "momentum": 0.9},
        **{"budget": {"trials": 1}} | overrides,
    )


def trial_of(database: Database, job: Job) -> Trial:
    with database.transaction() as conn:
        return trial_reader.get(conn, job, 0)


def attempts_of(database: Database, job: Job) -> tuple[Attempt, ...]:
    return trial_of(database, job).attempts


def state_of(database: Database, job: Job) -> JobState:
    with database.transaction() as conn:
        return jobs.get(conn, job.id).state


def steps_of(database: Database, job: Job) -> int:
    """How many steps of its first trial are stored."""
    with database.transaction() as conn:
        return len(measurements.of_trial(conn, trial_reader.trial_id(conn, job, 0)))


def log_of(database: Database, job: Job) -> str:
    with database.transaction() as conn:
        return leases.log_tail(conn, trial_reader.trial_id(conn, job, 0))


def log_of_running(database: Database, job: Job) -> str:
    """As `log_of`, of a trial that may not have been claimed yet."""
    return log_of(database, job) if state_of(database, job) is JobState.RUNNING else ""


def wait_for_claim(database: Database, job: Job) -> None:
    wait_until(lambda: state_of(database, job) is JobState.RUNNING, "the first claim")


def wait_for_steps(database: Database, job: Job, more_than: int = 0) -> None:
    wait_for_claim(database, job)
    wait_until(lambda: steps_of(database, job) > more_than, "a stored measurement")


def wait_for_end(database: Database, job: Job) -> None:
    wait_until(lambda: state_of(database, job) is JobState.COMPLETED, "the end of the job")


def workers_of(database: Database) -> list[workers.Worker]:
    with database.transaction() as conn:
        return workers.page(conn, limit=10)
