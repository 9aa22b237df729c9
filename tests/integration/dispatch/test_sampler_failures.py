"""What becomes of jobs whose space cannot be sampled."""

from uuid import uuid4

import pytest

from service.dispatch.claim import Claimer
from service.domain.job import JobState
from service.store import jobs
from service.store.postgres import Database
from tests.factories import submit_job

# Optuna widens a stepped range by half a step, beyond all numbers here. Submission refuses it; a stored job may hold it.
UNSAMPLEABLE = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.7976931348623157e308, "step": 1e300}}


@pytest.mark.parametrize("strategy", ["random", "bayesian", {"type": "random", "sampler": "qmc"}])
def test_a_job_whose_space_cannot_be_sampled_fails_and_other_jobs_go_on(database: Database, strategy: object) -> None:
    hopeless = submit_job(database, search_space=UNSAMPLEABLE, strategy=strategy, priority=10)
    healthy = submit_job(database)
    claim = Claimer(database, uuid4(), ["quadratic"], lease_s=30).claim(uuid4())
    assert claim is not None
    assert claim.job.id == healthy.id
    with database.transaction() as conn:
        failed = jobs.get(conn, hopeless.id)
    assert failed.state is JobState.FAILED
    assert failed.reason is not None
    assert failed.reason.startswith("no point can be drawn from the search space: OverflowError")
