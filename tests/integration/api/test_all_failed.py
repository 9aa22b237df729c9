"""A job whose trials all failed says so, and why, wherever one looks."""

from starlette.testclient import TestClient

from service.dispatch.outcome import Failed
from service.domain.trial import TrialError
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import claimed, claimer_of, conclude


def test_a_job_whose_trials_all_failed_gives_the_reason_instead_of_an_answer(client: TestClient, database: Database) -> None:
    job = submit_job(database, budget={"trials": 2})
    for _ in range(2):
        conclude(database, claimed(claimer_of(database)), Failed(error=TrialError(type="DataProblem", message="it is empty")))
    shown = client.get(f"/v1/jobs/{job.id}").json()
    assert (shown["state"], shown["reason"]) == ("failed", "all 2 trials failed; the last error: DataProblem: it is empty")
    answer = client.get(f"/v1/jobs/{job.id}/best-lr")
    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        "The job is failed, and none of its trials has a result: all 2 trials failed; the last error: DataProblem: it is empty."
    )
