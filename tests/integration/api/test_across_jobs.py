"""best-lr across jobs, through the API: an item for each recipe."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.analysis.answer.best_lr import answered
from service.app import create_app
from service.dispatch.outcome import Completed, Pruned
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.conftest import SETTINGS
from tests.integration.api.training import Worker

RATES = {"type": "float", "low": 1e-4, "high": 0.4, "log": True}


def trained(database: Database, worker: Worker, *values: float, **overrides: Any) -> Job:
    """A job whose trials have these values, at rates from 0.01 on."""
    first = [{"learning_rate": 0.01 * (1 + number)} for number in range(len(values))]
    spec = {"search_space": {"learning_rate": RATES, "epochs": 4}, "try_first": first, "budget": {"trials": len(values)}}
    job = submit_job(database, **spec | overrides)
    left = iter(values)
    worker.train(len(values), lambda _: Completed(value=next(left)))
    return job


def of_settings(**settings: Any) -> dict[str, Any]:
    return {"objective": {"name": "quadratic", "settings": settings}}


def pages(client: TestClient, **query: Any) -> Iterator[Any]:
    page = ask(client, "/v1/best-lr", **query)
    yield page
    while page["next_cursor"]:
        page = ask(client, "/v1/best-lr", **query, cursor=page["next_cursor"])
        yield page


def test_neither_recipes_nor_measures_are_mixed(client: TestClient, database: Database, worker: Worker) -> None:
    mlp, cnn = of_settings(dataset="digits", model="mlp"), of_settings(dataset="digits", model="cnn")
    worse, better = trained(database, worker, 0.5, **mlp), trained(database, worker, 0.4, 0.2, **mlp)
    other = trained(database, worker, 0.1, **cnn)
    elsewhere = trained(database, worker, 0.05, **of_settings(dataset="csv", model="mlp"))
    score = trained(database, worker, 0.9, **cnn, metric="score", direction="maximize")

    found = ask(client, "/v1/best-lr")
    assert (found["next_cursor"], found["left_out"]) == (None, [])
    assert [(item["measure"], item["recipe"], item["metric"], item["direction"]) for item in found["items"]] == [
        ({"objective": "quadratic", "dataset": "csv"}, {"epochs": 4, "model": "mlp"}, "loss", "minimize"),
        ({"objective": "quadratic", "dataset": "digits"}, {"epochs": 4, "model": "cnn"}, "loss", "minimize"),
        ({"objective": "quadratic", "dataset": "digits"}, {"epochs": 4, "model": "mlp"}, "loss", "minimize"),
        ({"objective": "quadratic", "dataset": "digits"}, {"epochs": 4, "model": "cnn"}, "score", "maximize"),
    ]
    assert [item["jobs"] for item in found["items"]] == [
        [str(elsewhere.id)],
        [str(other.id)],
        [str(better.id), str(worse.id)],
        [str(score.id)],
    ]
    of_mlp = found["items"][2]["answer"]
    assert (of_mlp["job"], of_mlp["learning_rate"]) == (str(better.id), 0.02)
    assert of_mlp["evidence"] == {"trials": 3, "infeasible": 0, "pruned": 0, "hopeless": 0, "seeds": 2}


def test_a_job_of_its_own_has_the_answer_that_it_has_alone(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 12})
    worker.train(12)
    [item] = ask(client, "/v1/best-lr")["items"]
    assert item["answer"] == ask(client, f"/v1/jobs/{job.id}/best-lr")
    assert item["answer"]["expected"]


def test_the_best_expected_recipe_of_a_measure_comes_first(client: TestClient, database: Database, worker: Worker) -> None:
    for width, added in ((1, 0.2), (2, 0.0), (3, 0.1)):
        submit_job(database, **of_settings(width=width), budget={"trials": 10})
        worker.train(10, lambda claim, added=added: Completed(value=added + claim.lease.number % 3 / 100))  # type: ignore[misc]
    items = ask(client, "/v1/best-lr")["items"]
    assert [item["recipe"]["width"] for item in items] == [2, 3, 1]
    assert [item["answer"]["expected"]["mean"] for item in items] == sorted(item["answer"]["expected"]["mean"] for item in items)


def test_pages_hold_each_recipe_once_in_the_order_of_the_whole_list(
    client: TestClient, database: Database, worker: Worker
) -> None:
    for dataset in ("a", "b", "c"):
        for width, value in ((1, 0.5), (2, 0.5), (3, 0.1)):  # two of them tie
            trained(database, worker, value, **of_settings(dataset=dataset, width=width))
    waiting = submit_job(database)
    whole = ask(client, "/v1/best-lr")
    assert whole["next_cursor"] is None
    assert [item["measure"]["dataset"] for item in whole["items"]] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    for limit in (1, 2, 3, 4, 8, 9):
        found = list(pages(client, limit=limit))
        assert [item for page in found for item in page["items"]] == whole["items"]
        assert {len(page["items"]) for page in found[:-1]} <= {limit}
        assert len(found) == -(-9 // limit)
        assert [page["left_out"] for page in found[1:]] == [[]] * (len(found) - 1)
        assert [each["job"] for each in found[0]["left_out"]] == [str(waiting.id)]


def test_a_page_goes_on_after_the_job_where_it_ended_is_gone(client: TestClient, database: Database, worker: Worker) -> None:
    jobs = [trained(database, worker, width / 10, **of_settings(width=width)) for width in (1, 2, 3)]
    first = ask(client, "/v1/best-lr", limit=1)
    assert client.delete(f"/v1/jobs/{jobs[0].id}").status_code == 204
    [second] = ask(client, "/v1/best-lr", limit=1, cursor=first["next_cursor"])["items"]
    assert second["jobs"] == [str(jobs[1].id)]


def test_jobs_without_an_answer_are_named_with_the_reason(client: TestClient, database: Database, worker: Worker) -> None:
    job = trained(database, worker, 0.5)
    pruned = submit_job(database, budget={"trials": 1})
    worker.train(1, lambda _: Pruned(value=0.0, step=1))
    no_rate = submit_job(database, search_space={"momentum": 0.5}, budget={"trials": 1})
    worker.train(1, lambda _: Completed(value=0.5))
    folds = submit_job(
        database, search_space={"learning_rate": 0.01, "fold": {"type": "int", "low": 0, "high": 4}}, budget={"trials": 1}
    )
    worker.train(1)
    queued = submit_job(database)
    found = ask(client, "/v1/best-lr")
    assert [item["jobs"] for item in found["items"]] == [[str(job.id)]]
    assert [(each["job"], each["because"]) for each in found["left_out"]] == [
        (str(queued.id), "none of its trials has finished, and it is queued"),
        (str(folds.id), "it searches fold, so its trials do not measure the same loss"),
        (str(no_rate.id), "the job's objective has no learning rate among its parameters, so there is no best one"),
        (str(pruned.id), "the only trial that ended has not trained to its end with a finite loss, at a rate above zero"),
    ]


def test_jobs_are_those_of_an_objective_a_metric_and_all_labels(client: TestClient, database: Database, worker: Worker) -> None:
    both = trained(database, worker, 0.5, **of_settings(width=1), labels={"team": "vision", "stage": "1"})
    team = trained(database, worker, 0.6, **of_settings(width=2), labels={"team": "vision"})
    score = trained(database, worker, 0.7, metric="score", direction="maximize")

    def found(**query: Any) -> list[str]:
        return [item["answer"]["job"] for item in ask(client, "/v1/best-lr", **query)["items"]]

    assert found(label="team:vision") == [str(both.id), str(team.id)]
    assert found(label=["team:vision", "stage:1"]) == [str(both.id)]
    assert found(metric="score") == found(objective="quadratic", metric="score") == [str(score.id)]
    assert found(objective="quadratic", metric="loss", label="stage:1") == [str(both.id)]
    assert found(label=["stage:2", "stage:1"]) == found(label="team:sound") == found(objective="image-classification") == []


def test_an_objective_that_is_gone_from_the_catalog_is_found(client: TestClient, database: Database, worker: Worker) -> None:
    job = trained(database, worker, 0.5, metric="accuracy", direction="maximize")
    without = SETTINGS.model_copy(update={"objective_modules": ()})
    with TestClient(create_app(without, database), "http://127.0.0.1") as other:
        [item] = ask(other, "/v1/best-lr", objective="quadratic", metric="accuracy")["items"]
        assert item["jobs"] == [str(job.id)]
        assert ask(other, "/v1/best-lr", objective="quadratic", label="a:b")["items"] == []
        [fault] = ask(other, "/v1/best-lr", 422, objective="quadratic", metric="loss")["errors"]
        assert fault == {"pointer": "/metric", "detail": "quadratic has no metric 'loss'; it has: accuracy"}
        [fault] = ask(other, "/v1/best-lr", 422, objective="quadratics")["errors"]
        assert ", quadratic, " in fault["detail"]


def test_an_answer_changes_with_the_next_trial_of_any_job(client: TestClient, database: Database, worker: Worker) -> None:
    done = trained(database, worker, 0.3)
    running = submit_job(database, search_space={"learning_rate": RATES, "epochs": 4}, budget={"trials": 3})
    worker.train(1, lambda _: Completed(value=0.5))
    [first] = ask(client, "/v1/best-lr")["items"]
    assert first["jobs"] == [str(done.id), str(running.id)]
    assert ask(client, "/v1/best-lr")["items"] == [first]
    worker.train(1, lambda _: Completed(value=0.1))
    [second] = ask(client, "/v1/best-lr")["items"]
    assert second["jobs"] == [str(running.id), str(done.id)]
    assert (second["answer"]["best_trial"]["value"], second["answer"]["evidence"]["trials"]) == (0.1, 3)


def test_no_transaction_is_open_while_a_curve_is_fitted(
    app: FastAPI, database: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in (1, 2):
        trained(database, worker, 0.5, **of_settings(width=width))
    held = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        with database.transaction() as conn:
            held.append(
                conn.exec_driver_sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                ).scalar_one()
            )
        return answered(*args, **kwargs)

    monkeypatch.setattr("service.api.kept_answers.answered", watched)
    without_sweeper = TestClient(
        app, "http://127.0.0.1"
    )  # entered, it would start the sweeper, which has transactions of its own
    assert len(ask(without_sweeper, "/v1/best-lr")["items"]) == 2
    assert held == [0, 0]
