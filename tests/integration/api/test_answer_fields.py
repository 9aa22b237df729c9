"""best-lr in full and batch-scaling, through the API, on trials that workers stored."""

import math
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.dispatch.claim import Claim
from service.dispatch.finish import Completed, Pruned, Result
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, trained
from tests.quadratic import BEST_LEARNING_RATE, DIVERGES_ABOVE, noise

RATES = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
SIZES = [16, 32, 64, 128]


def tried(database: Database, worker: Worker, trials: int = 24, result: Any = None, **overrides: Any) -> Job:
    spec = {"search_space": {"learning_rate": RATES, "epochs": 4}, "strategy": "random", "budget": {"trials": trials}}
    job = submit_job(database, **spec | overrides)
    worker.train(trials, result or noisy)
    return job


def noisy(claim: Claim) -> Result:
    result = trained(claim)
    return Completed(value=result.value + noise(claim.lease.number, 0.05)) if isinstance(result, Completed) else result


def test_every_field_of_the_answer_is_told(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker, 32)
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert found["params"] == {}, "nothing else is searched"
    assert found["interval"]["level"] == 0.9
    assert found["interval"]["low"] <= BEST_LEARNING_RATE <= found["interval"]["high"]
    assert found["interval"]["low"] <= found["learning_rate"] <= found["interval"]["high"]
    assert found["safe_range"]["low"] < found["learning_rate"] < found["safe_range"]["high"]
    assert found["safe_range"]["tolerance"] > 0
    assert found["expected"]["low"] <= 0.1 + 0.05 <= found["expected"]["high"] + 0.1
    assert found["divergence_edge"]["low"] < DIVERGES_ABOVE < found["divergence_edge"]["high"]
    assert found["evidence"]["infeasible"] > 0
    assert found["best_trial"]["value"] < 0.2
    assert found["curve"][0]["learning_rate"] == pytest.approx(1e-4)
    assert {"learning_rate", "mean", "low", "high"} == found["curve"][0].keys()
    assert found["by_batch_size"] == []
    assert found["verdict"] == "confident"
    assert found["because"].startswith("the best rate lies between")


def test_a_tolerance_of_ones_own_moves_safe_range_and_verdict(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker)
    strict = ask(client, f"/v1/jobs/{job.id}/best-lr", tolerance=1e-6)
    loose = ask(client, f"/v1/jobs/{job.id}/best-lr", tolerance=1.0)
    assert strict["safe_range"]["tolerance"] == 1e-6
    assert math.log10(loose["safe_range"]["low"]) == pytest.approx(-3, abs=0.25)  # a loss of 1 is a decade away
    assert strict["safe_range"]["low"] > loose["safe_range"]["low"]
    assert (strict["verdict"], loose["verdict"]) == ("needs more trials", "confident")
    assert strict["learning_rate"] == loose["learning_rate"]


@pytest.mark.parametrize(
    "wrong", [{"tolerance": 0}, {"tolerance": -1}, {"tolerance": "nan"}, {"tolerance": "much"}, {"curve": "mean"}]
)
def test_what_cannot_be_asked_is_refused(client: TestClient, database: Database, worker: Worker, wrong: dict[str, Any]) -> None:
    job = tried(database, worker, 4)
    problem = ask(client, f"/v1/jobs/{job.id}/best-lr", 422, **wrong)
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/{name}" for name in wrong]


def test_the_curve_averaged_over_the_other_parameters_lies_above_their_best(
    client: TestClient, database: Database, worker: Worker
) -> None:
    def result(claim: Claim) -> Result:
        found = noisy(claim)
        return Completed(value=found.value + float(claim.params["momentum"])) if isinstance(found, Completed) else found

    space = {"learning_rate": RATES, "epochs": 4, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    job = tried(database, worker, 40, result, search_space=space)
    profile = ask(client, f"/v1/jobs/{job.id}/best-lr")["curve"]
    marginal = ask(client, f"/v1/jobs/{job.id}/best-lr", curve="marginal")["curve"]
    at = min(range(len(profile)), key=lambda index: abs(math.log10(profile[index]["learning_rate"] / BEST_LEARNING_RATE)))
    assert marginal[at]["mean"] > profile[at]["mean"] + 0.1


def test_an_answer_holds_until_another_trial_has_finished(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker, 12, budget={"trials": 13})
    first = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert ask(client, f"/v1/jobs/{job.id}/best-lr") == first
    worker.train(1, noisy)
    assert ask(client, f"/v1/jobs/{job.id}/best-lr")["evidence"]["trials"] == 13


def test_replicates_are_counted_as_seeds(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker, 18, replicates=3)
    assert ask(client, f"/v1/jobs/{job.id}/best-lr")["evidence"]["seeds"] == 3


def test_pruned_trials_with_curves_inform_the_answer(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(
        database,
        search_space={"learning_rate": RATES, "epochs": 4},
        strategy="random",
        pruner={"type": "median", "startup_trials": 12},
        budget={"trials": 24},
    )
    for _ in range(24):
        claim = worker.claim()
        end = trained(claim)
        if not isinstance(end, Completed):
            worker.finish(claim, end)
            continue
        worker.report(claim, end.value + 0.5, step=2, fraction=0.5)
        if claim.lease.number >= 14 and end.value > 0.8:
            worker.finish(claim, Pruned(value=end.value + 0.5, step=2))
        else:
            worker.finish(claim, end)
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert found["evidence"]["pruned"] > 0
    assert found["interval"]["low"] <= BEST_LEARNING_RATE <= found["interval"]["high"]
    assert found["learning_rate"] == pytest.approx(BEST_LEARNING_RATE, rel=0.2)


def scaled(claim: Claim) -> Result:
    """The best rate goes with the batch size."""
    rate, size = float(claim.params["learning_rate"]), int(claim.params["batch_size"])
    return Completed(value=0.1 + math.log10(rate / (0.004 * size / 16)) ** 2 + noise(claim.lease.number, 0.02))


def test_batch_scaling_is_fitted_and_foretells(client: TestClient, database: Database, worker: Worker) -> None:
    space = {"learning_rate": RATES, "epochs": 4, "batch_size": {"type": "categorical", "choices": SIZES}}
    job = tried(database, worker, 64, scaled, search_space=space)
    found = ask(client, f"/v1/jobs/{job.id}/batch-scaling", batch_size=256)
    assert found["power"] == pytest.approx(1.0, abs=0.15)
    assert (found["linear"], found["square_root"]) == (True, False)
    assert found["interval"]["low"] < 1 < found["interval"]["high"]
    assert "scale it linearly" in found["because"]
    assert found["fitted_to"] == SIZES
    assert ask(client, f"/v1/jobs/{job.id}/best-lr")["params"]["batch_size"] in SIZES
    assert found["prediction"]["batch_size"] == 256
    assert found["prediction"]["interval"]["low"] < 0.064 < found["prediction"]["interval"]["high"]
    assert found["prediction"]["advice"]
    by_size = ask(client, f"/v1/jobs/{job.id}/best-lr")["by_batch_size"]
    assert by_size == found["by_batch_size"]
    best = min(by_size, key=lambda each: each["expected"]["mean"])["batch_size"]
    assert ask(client, f"/v1/jobs/{job.id}/batch-scaling", devices=8)["prediction"]["batch_size"] == 8 * best
    assert ask(client, f"/v1/jobs/{job.id}/batch-scaling")["prediction"] is None
    problem = ask(client, f"/v1/jobs/{job.id}/batch-scaling", 422, devices=8, batch_size=64)
    assert problem["errors"][0]["detail"].startswith("give either batch_size")
    for wrong in ({"batch_size": 0}, {"devices": 0}, {"batch_size": "large"}):
        ask(client, f"/v1/jobs/{job.id}/batch-scaling", 422, **wrong)


def test_without_batch_sizes_there_is_no_scaling_and_the_problem_says_what_it_takes(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = tried(database, worker)
    problem = ask(client, f"/v1/jobs/{job.id}/batch-scaling", 409)
    assert problem["type"] == "urn:stride:no-batch-scaling"
    assert "takes a job that searches both" in problem["detail"]
    space = {"learning_rate": RATES, "epochs": 4, "batch_size": {"type": "categorical", "choices": [16, 32]}}
    two = tried(database, worker, 24, scaled, search_space=space)
    assert "of 16, 32 too few are such" in ask(client, f"/v1/jobs/{two.id}/batch-scaling", 409)["detail"]
