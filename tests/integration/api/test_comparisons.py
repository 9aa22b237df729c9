"""Jobs compared through the API, on trials that a real database holds."""

import math
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from service.analysis.comparison.comparison import compare
from service.dispatch.outcome import Completed, Pruned
from service.domain.comparison import ComparisonView
from service.domain.job import Job
from service.domain.training_seeds import replicate_seed
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, diverged
from tests.quadratic import expected_loss

LR = {"type": "float", "low": 1e-4, "high": 0.4, "log": True}
RATES = [1e-4 * 4000 ** (index / 9) for index in range(10)]


def submit(database: Database, **overrides: Any) -> Job:
    """A job that tries ten rates, evenly spread."""
    space = {"learning_rate": LR, "epochs": 4} | overrides.pop("space", {})
    first = [{"learning_rate": rate} for rate in RATES]
    trials = len(RATES) * overrides.get("replicates", 1)
    return submit_job(database, **{"search_space": space, "try_first": first, "budget": {"trials": trials}} | overrides)


def train(worker: Worker, job: Job, shift: float = 1.0, above: float = 0.0) -> None:
    """All of the job's trials, step for step: the parabola's best rate times `shift`, its loss and `above`."""
    luck = {replicate_seed(job.spec.seed, replicate): loss for replicate, loss in enumerate((0.05, -0.03, 0.01))}
    for _ in range(len(RATES) * job.spec.replicates):
        claim = worker.claim()
        assert claim.job.id == job.id
        lucky = luck[claim.training_seed] if job.spec.replicates > 1 else 0.0
        rate = float(claim.params["learning_rate"]) / shift
        for step in (1, 2, 3, 4):
            loss = expected_loss(rate, step / 4) + above + lucky
            worker.report(claim, loss, step)
        worker.finish(claim, Completed(value=loss))


@pytest.fixture
def sgd(database: Database, worker: Worker) -> Job:
    """Best at 0.1, where it loses 0.2."""
    job = submit(database, name="sgd", space={"mode": "plain"})
    train(worker, job, shift=10, above=0.1)
    return job


@pytest.fixture
def adam(database: Database, worker: Worker) -> Job:
    """Best at 0.001, where it loses 0.1."""
    job = submit(database, name="adam", space={"mode": "fancy"})
    train(worker, job, shift=0.1)
    return job


def test_the_fair_comparison_is_right_where_the_one_at_a_shared_rate_is_wrong(client: TestClient, sgd: Job, adam: Job) -> None:
    found = ask(client, "/v1/compare", jobs=[str(sgd.id), str(adam.id)], learning_rate=0.05)
    shared = found["at_shared_rate"]
    assert (shared["winner"], shared["agrees"]) == (str(sgd.id), False)
    assert [each["expected"]["mean"] for each in shared["jobs"]] == pytest.approx([0.29, 2.99], abs=0.05)
    assert found["best"] == found["most_robust"] == str(adam.id)
    assert (found["metric"], found["direction"], found["level"]) == ("loss", "minimize", 0.9)
    first, second = found["jobs"]
    assert (first["job"], first["name"], first["state"]) == (str(sgd.id), "sgd", "completed")
    assert (first["recipe"], second["recipe"]) == ({"mode": "plain"}, {"mode": "fancy"})
    assert (first["verdict"], second["verdict"]) == ("worse", "best")
    assert first["learning_rate"]["mean"] == pytest.approx(0.1, rel=0.1)
    assert second["expected"]["mean"] == pytest.approx(0.1, abs=0.02)
    assert first["difference"]["estimate"]["mean"] == pytest.approx(0.1, abs=0.02)
    assert (first["difference"]["rests_on"], second["difference"]) == ("response curves", None)
    assert first["sensitivity"]["excess"]["mean"] == pytest.approx(1 / 12, abs=0.02)
    assert found["because"].startswith("mode=fancy is best: ")
    assert [each["front"][-1]["steps"] for each in found["jobs"]] == [4.0, 4.0]
    assert (first["trials"], first["seeds"]) == (10, 10)


def test_replicates_make_pairs_of_seeds(client: TestClient, database: Database, worker: Worker) -> None:
    jobs = []
    for above in (0.0, 0.004):
        jobs.append(submit(database, replicates=3))
        train(worker, jobs[-1], above=above)
    found = ask(client, "/v1/compare", jobs=[str(job.id) for job in jobs])
    difference = found["jobs"][1]["difference"]
    assert (difference["rests_on"], difference["paired_seeds"]["pairs"]) == ("paired seeds", 3)
    assert difference["estimate"]["mean"] == pytest.approx(0.004)
    assert difference["response_curves"]["low"] < 0 < difference["response_curves"]["high"]
    assert [each["verdict"] for each in found["jobs"]] == ["best", "worse"]
    assert found["jobs"][0]["best_point"]["seeds"] == 3
    assert found["jobs"][0]["front"][0]["final"]["sd"] == pytest.approx(0.04)


def test_jobs_may_stand_in_one_parameter_with_commas_between_them(client: TestClient, sgd: Job, adam: Job) -> None:
    apart = ask(client, "/v1/compare", jobs=[str(sgd.id), str(adam.id)])
    assert ask(client, "/v1/compare", jobs=f"{sgd.id}, {adam.id}") == apart
    assert apart["at_shared_rate"] is None


def test_a_job_that_diverged_is_listed_with_its_reason(
    client: TestClient, database: Database, worker: Worker, sgd: Job, adam: Job
) -> None:
    wild = submit(database)
    worker.train(len(RATES), diverged)
    found = ask(client, "/v1/compare", jobs=f"{sgd.id},{wild.id},{adam.id}")
    listed = found["jobs"][1]
    assert (listed["verdict"], listed["because"]) == ("not judged", "is not judged: every rate tried diverged, down to 0.0001")
    assert (listed["learning_rate"], listed["expected"], listed["sensitivity"], listed["front"]) == (None, None, None, [])
    assert found["best"] == str(adam.id)


def test_with_fewer_than_two_judged_jobs_there_is_nothing_to_compare(client: TestClient, database: Database, adam: Job) -> None:
    new = submit(database)
    problem = ask(client, "/v1/compare", 409, jobs=f"{adam.id},{new.id}")
    assert problem["type"] == "urn:stride:too-few-to-compare"
    assert "here one can" in problem["detail"]
    assert "none of its trials has finished, and it is queued" in problem["detail"]


def test_what_cannot_be_compared_is_refused_with_its_place(client: TestClient, database: Database, adam: Job) -> None:
    def faults(status: int = 422, **params: Any) -> Any:
        return ask(client, "/v1/compare", status, **params)["errors"]

    score = submit(database, direction="maximize", metric="score")
    [fault] = faults(jobs=f"{adam.id},{score.id}")
    assert fault["pointer"] == "/jobs/1"
    assert "metric 'score' where the first job has 'loss'" in fault["detail"]
    assert faults(jobs=str(adam.id)) == [{"pointer": "/jobs", "detail": "should be 2 to 20 jobs, not 1"}]
    assert faults(jobs=f"{adam.id},{adam.id}") == [{"pointer": "/jobs/1", "detail": "is named before"}]
    assert faults(jobs=f"{adam.id},latest") == [{"pointer": "/jobs/1", "detail": "should be the id of a job, not 'latest'"}]
    assert faults()[0]["pointer"] == "/jobs"
    assert faults(jobs=f"{adam.id},{score.id}", learning_rate=0)[0]["pointer"] == "/learning_rate"
    ask(client, "/v1/compare", 404, jobs=f"{adam.id},00000000-0000-0000-0000-000000000000")


def trade_off(client: TestClient, job: Job, status: int = 200, **params: Any) -> Any:
    return ask(client, f"/v1/jobs/{job.id}/trade-off", status, **params)


def test_speed_is_weighed_against_where_it_ends(client: TestClient, database: Database, worker: Worker) -> None:
    first = [{"learning_rate": rate} for rate in (0.01, 0.02, 0.1)]
    job = submit_job(database, search_space={"learning_rate": LR}, try_first=first, budget={"trials": 3})
    for losses, seconds in (((0.9, 0.5, 0.1), 0.1), ((0.8, 0.4, 0.3), 0.5), ((0.45, 0.44, 0.43), 1.0)):
        claim = worker.claim()
        for step, loss in enumerate(losses, start=1):
            worker.report(claim, loss, step, fraction=step / 3, seconds=seconds)
        worker.finish(claim, Completed(value=loss))
    found = trade_off(client, job, target=0.47)
    assert [(each["learning_rate"], each["steps"]) for each in found["front"]] == [(0.1, 1.0), (0.02, 2.0), (0.01, 3.0)]
    assert (found["target"], found["why_this_target"], found["by"], found["others"]) == (0.47, "as asked for", "steps", [])
    found = trade_off(client, job, target=0.47, by="seconds")
    assert [(each["learning_rate"], each["seconds"]) for each in found["front"]] == [(0.01, pytest.approx(0.3))]
    assert found["others"][0]["final"] == {"mean": 0.3, "low": 0.3, "high": 0.3, "sd": None}
    with database.transaction() as conn:  # as retention does
        conn.execute(sa.text("DELETE FROM stride.measurements"))
    found = trade_off(client, job, target=0.47)
    assert [(each["steps"], each["seconds"]) for each in found["front"]] == [(1.0, None), (2.0, None), (3.0, None)]
    assert trade_off(client, job)["why_this_target"] == "the best mean final value, 0.1, and a tenth of it worse"


def test_a_trade_off_takes_a_finished_trial_and_a_finite_target(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit(database)
    assert trade_off(client, job, 409)["type"] == "urn:stride:nothing-finished"
    worker.train(1, lambda _: Pruned(value=0.1, step=1))
    trade_off(client, job, 409)
    for target in (math.inf, math.nan, "soon"):
        assert trade_off(client, job, 422, target=target)["errors"][0]["pointer"] == "/target"
    assert trade_off(client, job, 422, by="luck")["errors"][0]["pointer"] == "/by"


def test_a_comparison_asks_the_database_three_times_a_job(client: TestClient, database: Database, sgd: Job, adam: Job) -> None:
    statements: list[str] = []
    with database.transaction() as conn:
        engine = conn.engine

    def count(*event: Any) -> None:
        if threading.current_thread().name != "sweeper":  # it looks on its own, whenever it likes
            statements.append(event[2])

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        ask(client, "/v1/compare", jobs=f"{sgd.id},{adam.id}")
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
    of_ours = [statement for statement in statements if "optuna.trials" in statement or "stride.jobs" in statement]
    assert len(of_ours) == 6, of_ours


def test_what_was_worked_out_is_kept_until_a_job_has_another_trial(
    client: TestClient, sgd: Job, adam: Job, worker: Worker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = submit_job(database, search_space={"learning_rate": LR, "epochs": 4, "mode": "plain"}, budget={"trials": 7})
    worked_out: list[None] = []

    def counted(*args: Any) -> ComparisonView:
        worked_out.append(None)
        return compare(*args)

    monkeypatch.setattr("service.analysis.comparison.comparison.compare", counted)
    both = {"jobs": f"{sgd.id},{third.id}"}
    for number in range(5):
        worker.finish(worker.claim(), Completed(value=0.5 + 0.1 * number))
    before = ask(client, "/v1/compare", **both)
    assert ask(client, "/v1/compare", **both) == before
    assert len(worked_out) == 1
    assert ask(client, "/v1/compare", **both, learning_rate=0.01)["at_shared_rate"] is not None
    worker.finish(worker.claim(), Completed(value=0.01))
    assert ask(client, "/v1/compare", **both)["jobs"][1]["trials"] == 6
    assert len(worked_out) == 3
