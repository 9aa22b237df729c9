"""best-lr in full and batch-scaling, through the API, on trials that workers stored."""

import math
from typing import Any

import optuna
import pytest
from starlette.testclient import TestClient

from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed, Pruned, Result
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, trained
from tests.quadratic import BEST_LEARNING_RATE, DIVERGES_ABOVE, noise
from tests.stock_optuna import stock

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
    # With nothing else searched there is nothing to tune again; the two are drawn apart.
    assert found["safe_range_retuned"] == pytest.approx(found["safe_range"], rel=0.05)
    assert found["interval_at_params"]["level"] == 0.9
    assert found["interval_at_params"]["low"] <= BEST_LEARNING_RATE <= found["interval_at_params"]["high"]
    assert found["expected"]["low"] <= 0.1 + 0.05 <= found["expected"]["high"] + 0.1
    assert found["divergence_edge"]["low"] < DIVERGES_ABOVE < found["divergence_edge"]["high"]
    assert found["evidence"]["infeasible"] > 0
    assert found["evidence"]["hopeless"] == 0
    assert found["training_seed"] is None
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
    ("name", "value", "says"),
    [
        ("tolerance", 0, "should be greater than 0"),
        ("tolerance", -0.5, "should be greater than 0"),
        ("tolerance", "1e-400", "should be greater than 0"),  # a double has no such number but zero
        ("tolerance", "nan", "should be a finite number"),
        ("tolerance", "inf", "should be a finite number"),
        ("tolerance", "-inf", "should be a finite number"),
        ("tolerance", "1e400", "should be a finite number"),
        ("tolerance", "much", "should be a number"),
        ("tolerance", "", "should be a number"),
        ("curve", "mean", "should be 'params', 'profile' or 'marginal'"),
        ("curve", "", "should be 'params', 'profile' or 'marginal'"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_would_be_right(
    client: TestClient, database: Database, name: str, value: Any, says: str
) -> None:
    job = submit_job(database)
    problem = ask(client, f"/v1/jobs/{job.id}/best-lr", 422, **{name: value})
    assert problem["errors"] == [{"pointer": f"/{name}", "detail": says}]


def test_the_curve_is_drawn_with_the_answers_parameters_the_best_ones_or_averaged(
    client: TestClient, database: Database, worker: Worker
) -> None:
    def result(claim: Claim) -> Result:
        found = noisy(claim)
        return Completed(value=found.value + float(claim.params["momentum"])) if isinstance(found, Completed) else found

    space = {"learning_rate": RATES, "epochs": 4, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    job = tried(database, worker, 40, result, search_space=space)

    def near_the_best(**kind: str) -> float:
        curve = ask(client, f"/v1/jobs/{job.id}/best-lr", **kind)["curve"]
        nearest = min(curve, key=lambda place: abs(math.log10(place["learning_rate"] / BEST_LEARNING_RATE)))
        return float(nearest["mean"])

    assert near_the_best() == near_the_best(curve="params")
    assert near_the_best(curve="profile") <= near_the_best(curve="params") + 0.02
    assert near_the_best(curve="marginal") > near_the_best(curve="profile") + 0.1


def shifted_by_momentum(claim: Claim) -> Result:
    """The best rate is 0.01 * (1 - momentum), with the same loss for each momentum."""
    best = BEST_LEARNING_RATE * (1 - float(claim.params["momentum"]))
    return Completed(value=0.1 + math.log10(float(claim.params["learning_rate"]) / best) ** 2 + noise(claim.lease.number, 0.02))


def test_with_its_parameters_the_rate_is_known_better_than_over_all(
    client: TestClient, database: Database, worker: Worker
) -> None:
    space = {"learning_rate": RATES, "epochs": 4, "momentum": {"type": "float", "low": 0.0, "high": 0.99}}
    job = tried(database, worker, 48, shifted_by_momentum, search_space=space)
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    over_all, at_params = found["interval"], found["interval_at_params"]
    best = BEST_LEARNING_RATE * (1 - found["params"]["momentum"])
    assert at_params["low"] <= best <= at_params["high"]
    assert at_params["low"] <= found["learning_rate"] <= at_params["high"]
    assert at_params["high"] / at_params["low"] < over_all["high"] / over_all["low"]
    safe, retuned = found["safe_range"], found["safe_range_retuned"]
    assert retuned["high"] / retuned["low"] > 2 * safe["high"] / safe["low"], "another momentum makes up for another rate"
    assert safe["low"] < found["learning_rate"] < safe["high"]
    assert safe["tolerance"] == retuned["tolerance"]


def test_trials_that_exploded_and_stayed_finite_count_as_diverged(client: TestClient, database: Database, worker: Worker) -> None:
    def exploding(claim: Claim) -> Result:
        rate = float(claim.params["learning_rate"])
        guessing = 1.1  # as at all rates that are a factor of 5 away from the best one, or more
        trained_to = min(0.1 + 2 * math.log10(rate / BEST_LEARNING_RATE) ** 2, guessing) + noise(claim.lease.number, 0.01)
        return Completed(value=1e6 if rate > DIVERGES_ABOVE else trained_to)

    job = tried(database, worker, 32, exploding, search_space={"learning_rate": RATES | {"points": 32}}, strategy="grid")
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    values = [trial["value"] for trial in ask(client, f"/v1/jobs/{job.id}/trials", limit=100)["items"]]
    assert found["evidence"]["hopeless"] == values.count(1e6) > 0
    assert found["evidence"]["infeasible"] == 0
    assert found["divergence_edge"]["low"] < DIVERGES_ABOVE < found["divergence_edge"]["high"]
    assert found["interval"]["low"] <= BEST_LEARNING_RATE <= found["interval"]["high"]
    [item] = ask(client, "/v1/best-lr", objective="quadratic")["items"]
    assert item["answer"] == found


def test_where_trials_share_a_training_seed_the_answer_speaks_of_it_alone(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = tried(database, worker, 4, training_seed="shared", seed=7)
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert (found["training_seed"], found["evidence"]["seeds"]) == (7, 1)
    assert found["because"].endswith(f"; all of it with training seed 7 alone (stride extend {str(job.id)[:8]} --trials 16)")
    [item] = ask(client, "/v1/best-lr", objective="quadratic")["items"]
    assert (item["answer"]["training_seed"], item["answer"]["because"]) == (found["training_seed"], found["because"])


def test_a_foreign_trial_with_another_seed_is_not_said_to_share_the_jobs(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = tried(database, worker, 4, training_seed="shared", seed=7)
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        distributions = study.trials[0].distributions
        study.add_trial(optuna.create_trial(params=study.trials[0].params, distributions=distributions, value=0.5))
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert (found["training_seed"], found["evidence"]["seeds"]) == (None, 2)
    assert "training seed 7 alone" not in found["because"]


def test_an_answer_holds_until_another_trial_has_finished(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker, 12, budget={"trials": 13})
    first = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert ask(client, f"/v1/jobs/{job.id}/best-lr") == first
    worker.train(1, noisy)
    assert ask(client, f"/v1/jobs/{job.id}/best-lr")["evidence"]["trials"] == 13


def test_replicates_are_counted_as_seeds(client: TestClient, database: Database, worker: Worker) -> None:
    job = tried(database, worker, 18, replicates=3)
    found = ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert (found["evidence"]["seeds"], found["training_seed"]) == (3, None)
    assert "training seed" not in found["because"]


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


def test_batch_scaling_is_fitted_and_predicts(client: TestClient, database: Database, worker: Worker) -> None:
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
    assert ask(client, f"/v1/jobs/{job.id}/batch-scaling", devices=2)["prediction"]["batch_size"] == 2 * best
    for row in by_size:
        tried_one = ask(client, f"/v1/jobs/{job.id}/batch-scaling", batch_size=row["batch_size"])["prediction"]
        assert tried_one["learning_rate"] == pytest.approx(row["learning_rate"])
        assert tried_one["interval"] == pytest.approx(row["interval"])
        assert tried_one["advice"].startswith(f"this is the answer for it: {row['trials']} trials")
    without = ask(client, f"/v1/jobs/{job.id}/batch-scaling")
    assert (without["prediction"], without["training_seed"]) == (None, None)
    assert "training seed" not in without["because"]
    problem = ask(client, f"/v1/jobs/{job.id}/batch-scaling", 422, devices=8, batch_size=64)
    assert problem["errors"][0]["detail"].startswith("give either batch_size")
    problem = ask(client, f"/v1/jobs/{job.id}/batch-scaling", 409, batch_size=1024)
    assert problem["type"] == "urn:stride:no-batch-scaling"
    assert problem["detail"].startswith("Not from these trials: they show the best rate for batch sizes from 16 to 128 only")
    assert "Ask for a batch size of at most 512, or try batch sizes of 256 and more." in problem["detail"]
    for wrong in ({"batch_size": 0}, {"devices": 0}, {"batch_size": "large"}):
        ask(client, f"/v1/jobs/{job.id}/batch-scaling", 422, **wrong)


def test_batch_scaling_of_one_training_seed_says_so(client: TestClient, database: Database, worker: Worker) -> None:
    space = {"learning_rate": RATES, "epochs": 4, "batch_size": {"type": "categorical", "choices": SIZES}}
    job = tried(database, worker, 64, scaled, search_space=space, training_seed="shared", seed=7)
    found = ask(client, f"/v1/jobs/{job.id}/batch-scaling")
    assert found["training_seed"] == 7
    assert found["because"].endswith("; all of it with training seed 7 alone")


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
