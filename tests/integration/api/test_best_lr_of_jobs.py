import math
from typing import Any

import optuna
import pytest
from starlette.testclient import TestClient

from service.dispatch.outcome import Completed, Failed, Pruned
from service.domain.job import Job
from service.domain.trial import TrialError
from service.store.postgres import Database, stock_url
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, diverged

LR = {"type": "float", "low": 1e-4, "high": 0.4, "log": True}


def try_rates(database: Database, worker: Worker, *rates: float, **overrides: Any) -> Job:
    """A job whose trials have these rates, first to last."""
    first = [{"learning_rate": rate} for rate in rates]
    spec = {"search_space": {"learning_rate": LR, "epochs": 4}, "try_first": first, "budget": {"trials": len(rates)}}
    return submit_job(database, **spec | overrides)


def of_job(client: TestClient, job: Job, status: int = 200) -> Any:
    return ask(client, f"/v1/jobs/{job.id}/best-lr", status)


def test_the_best_rate_is_answered_with_its_trial_and_the_evidence(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = try_rates(database, worker, 0.1, 0.01, 0.001)
    worker.train(3)
    found = of_job(client, job)
    assert found["job"] == str(job.id)
    assert found["learning_rate"] == 0.01
    assert found["metric"] == "loss"
    assert found["best_trial"] == {"number": 1, "value": 0.1, "params": {"learning_rate": 0.01, "epochs": 4}}
    assert found["evidence"] == {"trials": 3, "infeasible": 0, "pruned": 0, "hopeless": 0, "seeds": 3}
    assert (found["verdict"], found["at_edge"]) == ("needs more trials", None)
    assert found["because"] == (
        "only 3 trials have trained to the end, at 3 different rates: about 16 trials at as many rates would give an interval"
        f" (stride extend {str(job.id)[:8]} --trials 13)"
    )
    assert found["further_trials"] == 13
    unknown = ("interval", "interval_at_params", "safe_range", "safe_range_retuned", "expected", "divergence_edge")
    assert [found[name] for name in unknown] == [None] * len(unknown)
    assert found["curve"] == []
    assert found["training_seed"] is None


def test_the_answer_is_there_from_the_first_finished_trial_on(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.1, 0.01)
    problem = of_job(client, job, 409)
    assert problem["type"] == "urn:stride:nothing-finished"
    assert problem["detail"] == "No trial has finished yet, so there is no answer: ask again when one has."
    first = worker.claim()
    of_job(client, job, 409)
    worker.finish(first, Completed(value=0.5))
    assert of_job(client, job)["learning_rate"] == 0.1
    worker.train(1)
    assert of_job(client, job)["learning_rate"] == 0.01


@pytest.mark.parametrize(("rate", "edge", "further"), [(1e-4, "low", "lower"), (0.4, "high", "higher")])
def test_a_best_rate_at_the_edge_says_so(
    client: TestClient, database: Database, worker: Worker, rate: float, edge: str, further: str
) -> None:
    job = try_rates(database, worker, 0.01, rate)
    worker.train(2, lambda claim: Completed(value=0.0 if claim.params["learning_rate"] == rate else 1.0))
    found = of_job(client, job)
    assert (found["learning_rate"], found["at_edge"], found["verdict"]) == (rate, edge, "search range too narrow")
    assert found["because"] == f"the best rate lies at the {edge} end of the range: {further} ones may be better"


def test_all_diverged_is_an_answer(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.3, 0.2)
    worker.train(2, diverged)
    found = of_job(client, job)
    assert (found["learning_rate"], found["best_trial"], found["verdict"]) == (None, None, "all diverged")
    assert found["because"] == "every rate tried diverged, down to 0.2: look below it"
    assert found["evidence"] == {"trials": 2, "infeasible": 2, "pruned": 0, "hopeless": 0, "seeds": 2}


def test_failed_trials_are_no_evidence(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.3, 0.01)
    worker.train(1, lambda _: Failed(error=TrialError(type="ValueError", message="no")))
    of_job(client, job, 409)
    worker.train(1)
    assert of_job(client, job)["evidence"]["trials"] == 1


def test_pruned_trials_are_evidence_and_no_answer(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.3, 0.01)
    worker.train(1, lambda _: Pruned(value=0.0, step=1))
    assert "The only trial that ended has not trained to its end" in of_job(client, job, 409)["detail"]
    worker.train(1)
    found = of_job(client, job)
    assert (found["learning_rate"], found["evidence"]["pruned"]) == (0.01, 1)


def test_a_metric_to_be_maximized_takes_its_highest_value(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.1, 0.01, direction="maximize", metric="score")
    worker.train(2, lambda claim: Completed(value=float(claim.params["learning_rate"])))
    found = of_job(client, job)
    assert (found["learning_rate"], found["metric"]) == (0.1, "score")


def test_a_fixed_rate_is_its_own_answer(client: TestClient, database: Database, worker: Worker) -> None:
    space = {"learning_rate": 0.02, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    job = submit_job(database, search_space=space, budget={"trials": 1})
    worker.train(1)
    found = of_job(client, job)
    assert (found["learning_rate"], found["at_edge"]) == (0.02, None)


def test_a_job_without_a_learning_rate_has_no_answer(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, search_space={"momentum": {"type": "float", "low": 0.0, "high": 0.9}})
    worker.train(1, lambda _: Completed(value=0.5))
    assert of_job(client, job, 409)["type"] == "urn:stride:no-learning-rate"


@pytest.mark.filterwarnings("ignore:.*out of range.*:UserWarning", "ignore:.*inconsistent.*:UserWarning")
def test_foreign_trials_inform_the_answer(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    storage = optuna.storages.RDBStorage(stock_url(database.url.render_as_string(hide_password=False)))
    study = optuna.load_study(study_name=job.study_name, storage=storage)
    rates = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
    linear = optuna.distributions.FloatDistribution(-1.0, 9.0)
    for rate, value, distribution in ((0.02, 0.5, rates), (0.05, 0.2, rates), (0.9, math.inf, rates)):
        study.add_trial(
            optuna.trial.create_trial(value=value, params={"learning_rate": rate}, distributions={"learning_rate": distribution})
        )
    study.add_trial(optuna.trial.create_trial(value=0.0, params={}, distributions={}))
    found = of_job(client, job)
    assert (found["learning_rate"], found["evidence"]["trials"]) == (0.05, 3)
    odd = submit_job(database)
    study = optuna.load_study(study_name=odd.study_name, storage=storage)
    for rate, value in ((-0.5, 0.1), (0.5, 0.2)):
        study.add_trial(
            optuna.trial.create_trial(value=value, params={"learning_rate": rate}, distributions={"learning_rate": linear})
        )
    of_odd = of_job(client, odd)
    assert (of_odd["learning_rate"], of_odd["best_trial"]["value"]) == (0.5, 0.2), "no rate below zero is answered"
    storage.engine.dispose()


@pytest.mark.filterwarnings("ignore:.*out of range.*:UserWarning", "ignore:.*inconsistent.*:UserWarning")
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_a_foreign_choice_among_lists_is_told_as_text(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    storage = optuna.storages.RDBStorage(stock_url(database.url.render_as_string(hide_password=False)))
    study = optuna.load_study(study_name=job.study_name, storage=storage)
    rates = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
    betas = optuna.distributions.CategoricalDistribution([[0.9, 0.99], [0.8, 0.9]])  # type: ignore[list-item]
    for rate, value in ((0.01, 0.1), (0.02, 0.2)):
        params = {"learning_rate": rate, "betas": [0.8, 0.9]}
        study.add_trial(
            optuna.trial.create_trial(value=value, params=params, distributions={"learning_rate": rates, "betas": betas})
        )
    storage.engine.dispose()
    assert of_job(client, job)["best_trial"]["params"]["betas"] == "[0.8, 0.9]"
    assert ask(client, f"/v1/jobs/{job.id}/trade-off")["others"]
    (listed,) = ask(client, "/v1/jobs")["items"]
    assert listed["best"]["params"]["betas"] == "[0.8, 0.9]"


def test_a_deleted_job_answers_no_more(client: TestClient, database: Database, worker: Worker) -> None:
    job = try_rates(database, worker, 0.01)
    worker.train(1)
    assert client.delete(f"/v1/jobs/{job.id}").status_code == 204
    of_job(client, job, 404)
    assert ask(client, "/v1/best-lr", objective="quadratic")["items"] == []
