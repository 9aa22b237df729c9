import json
import threading
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.domain.request import JobRequest
from service.store.postgres import Database
from tests.integration.api.training import Worker


def rows(database: Database, table: str) -> int:
    with database.transaction() as conn:
        count: int = conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
    return count


def test_a_job_is_accepted_queued_and_found_at_its_location(client: TestClient, document: dict[str, Any]) -> None:
    answer = client.post("/v1/jobs", json=document | {"name": "digits", "labels": {"team": "vision"}})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{UUID(job['id'])}"
    assert (job["state"], job["name"], job["best"], job["reason"]) == ("queued", "digits", None, None)
    assert job["created_at"].endswith("Z")
    assert (job["started_at"], job["finished_at"]) == (None, None)
    assert job["study_name"] == f"digits ({job['id'][:8]})"
    assert job["progress"] == {
        "trials": {"planned": 6, "total": 0, "waiting": 0, "running": 0, "complete": 0, "infeasible": 0, "pruned": 0, "failed": 0}
    }
    assert client.get(answer.headers["location"]).json() == job


def test_the_spec_comes_back_with_its_defaults_filled_and_can_be_submitted_again(
    client: TestClient, document: dict[str, Any]
) -> None:
    spec = client.post("/v1/jobs", json=document).json()["spec"]
    assert spec["strategy"] == {"type": "random", "sampler": "uniform"}
    assert spec["pruner"] == {"type": "none"}
    assert spec["search_space"]["mode"] == "plain"
    assert (spec["metric"], spec["seed"], spec["priority"], spec["max_attempts"]) == ("loss", 0, 0, 3)
    assert spec["budget"] == {"trials": 6, "seconds": None, "confirm": 0, "target": None, "failures": 5}
    assert client.post("/v1/jobs", json=spec).json()["spec"] == spec


def test_the_spec_comes_back_as_a_request_wherever_it_is_shown(client: TestClient, document: dict[str, Any]) -> None:
    answer = client.post("/v1/jobs", json=document)
    spec = answer.json()["spec"]
    assert list(spec) == list(JobRequest.model_fields)
    assert client.post("/v1/jobs?dry_run=true", json=document).json()["spec"] == spec
    assert client.get(answer.headers["location"]).json()["spec"] == spec
    assert [job["spec"] for job in client.get("/v1/jobs").json()["items"]] == [spec]


def test_what_is_doubtful_about_a_job_is_warned_of_before_and_after_it_is_submitted(
    client: TestClient, document: dict[str, Any]
) -> None:
    assert client.post("/v1/jobs", json=document).json()["warnings"] == []
    document["search_space"] = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.4}}
    planned = client.post("/v1/jobs?dry_run=true", json=document).json()
    answer = client.post("/v1/jobs", json=document)
    [warning] = answer.json()["warnings"]
    assert warning["pointer"] == "/search_space/learning_rate"
    assert '"log": true' in warning["detail"]
    assert planned["warnings"] == [warning]
    assert client.get(answer.headers["location"]).json()["warnings"] == [warning]


def test_a_job_without_a_worker_says_what_it_waits_for(client: TestClient, document: dict[str, Any], database: Database) -> None:
    job = client.post("/v1/jobs", json=document).json()
    assert job["waiting_for"] == "a worker that offers quadratic"
    Worker(database)
    assert client.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] is None


def test_points_to_try_first_are_waiting_trials(client: TestClient, document: dict[str, Any], worker: Worker) -> None:
    job = client.post("/v1/jobs", json=document | {"try_first": [{"learning_rate": 0.1, "epochs": 4}, {"momentum": 0.5}]}).json()
    assert job["progress"]["trials"]["waiting"] == 2
    first, second = worker.claim(), worker.claim()
    assert first.params["learning_rate"] == 0.1
    assert second.params["momentum"] == 0.5


@pytest.mark.parametrize(
    "overrides",
    [
        {"strategy": "random"},
        {"strategy": {"type": "random", "sampler": "qmc"}},
        {"strategy": "bayesian"},
        {"strategy": {"type": "bayesian", "sampler": "gp"}},
        {"strategy": "bayesian", "pruner": "hyperband", "seed": 2**63 - 1},
        {"strategy": {"type": "random", "sampler": "qmc"}, "seed": 2**40},
        {"strategy": "bayesian", "try_first": [{"learning_rate": 0.1}, {"momentum": 0.5}]},
        {"strategy": "grid", "search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "points": 9}}},
        {"strategy": "grid", "search_space": {"mode": {"type": "categorical", "choices": ["plain", "fancy"]}}},
        {"strategy": "random", "replicates": 2},
        {"strategy": {"type": "random", "sampler": "qmc"}, "replicates": 3},
        {
            "strategy": "bayesian",
            "replicates": 3,
            "budget": {"trials": 7},
            "try_first": [{"learning_rate": 0.1}, {"momentum": 0.5}],
        },
        {"strategy": {"type": "random", "sampler": "qmc"}, "replicates": 2, "try_first": [{"momentum": 0.5}]},
        {"strategy": "grid", "replicates": 2, "search_space": {"mode": {"type": "categorical", "choices": ["plain", "fancy"]}}},
        {"budget": {"trials": 2}},
        {"budget": {"seconds": 60}},
    ],
    ids=lambda overrides: json.dumps(overrides)[:60],
)
def test_the_first_points_of_a_dry_run_are_those_of_the_job(
    client: TestClient, document: dict[str, Any], worker: Worker, database: Database, overrides: dict[str, Any]
) -> None:
    dry = client.post("/v1/jobs", params={"dry_run": True}, json=document | overrides)
    assert dry.status_code == 200
    assert (rows(database, "stride.jobs"), rows(database, "optuna.studies"), rows(database, "stride.events")) == (0, 0, 0)
    planned = dry.json()["trials"]
    points = dry.json()["first_points"]
    assert len(points) == (5 if planned is None else min(planned, 5))
    job = client.post("/v1/jobs", json=document | overrides).json()
    assert [claim.params for claim in worker.train(len(points))] == points
    assert dry.json()["spec"] == job["spec"]
    with database.transaction() as conn:
        assert not conn.exec_driver_sql("SELECT FROM stride.events WHERE type = 'sampler.failed'").all()


def test_a_dry_run_counts_trials_and_epochs(client: TestClient, document: dict[str, Any]) -> None:
    document["search_space"]["epochs"] = {"type": "int", "low": 2, "high": 6}
    dry = client.post("/v1/jobs?dry_run=true", json=document).json()
    assert (dry["trials"], dry["epochs"]) == (6, {"expected": 24.0, "at_most": 36})
    dry = client.post("/v1/jobs?dry_run=true", json=document | {"budget": {"seconds": 5}}).json()
    assert (dry["trials"], dry["epochs"]) == (None, {"expected": None, "at_most": None})


def test_a_dry_run_counts_every_seed_of_a_point(client: TestClient, document: dict[str, Any]) -> None:
    document["search_space"] = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "points": 9}, "epochs": 5}
    document |= {"strategy": "grid", "replicates": 3, "budget": None}
    dry = client.post("/v1/jobs?dry_run=true", json=document).json()
    assert (dry["trials"], dry["epochs"]) == (27, {"expected": 135.0, "at_most": 135})
    shown = [point["learning_rate"] for point in dry["first_points"]]
    assert shown == [shown[index] for index in (0, 0, 0, 3, 3)]


def test_a_dry_run_shows_what_a_bayesian_job_tries_before_it_repeats(client: TestClient, document: dict[str, Any]) -> None:
    document |= {"strategy": "bayesian", "replicates": 3, "budget": {"trials": 5}}
    points = client.post("/v1/jobs?dry_run=true", json=document).json()["first_points"]
    assert len({json.dumps(point) for point in points}) == len(points) == 4


def test_trials_say_which_replicate_they_are(client: TestClient, document: dict[str, Any], worker: Worker) -> None:
    job = client.post("/v1/jobs", json=document | {"replicates": 2}).json()
    assert (job["spec"]["replicates"], job["progress"]["trials"]["planned"]) == (2, 6)
    worker.train(6)
    trials = client.get(f"/v1/jobs/{job['id']}/trials").json()["items"]
    assert [trial["user_attrs"]["replicate"] for trial in trials] == [0, 1] * 3
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "completed"


def test_a_dry_run_refuses_what_a_job_is_refused_for(client: TestClient, document: dict[str, Any]) -> None:
    answer = client.post("/v1/jobs?dry_run=true", json=document | {"budget": {}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/budget"


def submit(client: TestClient, document: dict[str, Any], key: str) -> Any:
    return client.post("/v1/jobs", json=document, headers={"Idempotency-Key": key})


def test_the_same_key_with_the_same_body_is_the_same_job(
    client: TestClient, document: dict[str, Any], database: Database
) -> None:
    first, again = submit(client, document, "key"), submit(client, document, "key")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert rows(database, "stride.jobs") == rows(database, "optuna.studies") == 1
    assert submit(client, document, "other key").json()["id"] != first.json()["id"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"strategy": "grid"}, {"pruner": "median"}])
def test_the_same_key_with_another_body_is_refused(
    client: TestClient, document: dict[str, Any], database: Database, change: dict[str, Any]
) -> None:
    document |= {"search_space": {"learning_rate": {"type": "float", "low": 0.01, "high": 0.1, "points": 3}}}
    submit(client, document | {"pruner": "hyperband"}, "key")
    answer = submit(client, document | {"pruner": "hyperband"} | change, "key")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:stride:idempotency-key-reused"
    assert "use a new key" in answer.json()["detail"]
    assert rows(database, "stride.jobs") == 1


def test_a_key_is_free_again_after_seven_days(client: TestClient, document: dict[str, Any], database: Database) -> None:
    first = submit(client, document, "key").json()["id"]
    for age, same in (("6 days 23 hours", True), ("7 days 1 second", False)):
        with database.transaction() as conn:
            conn.exec_driver_sql(f"UPDATE stride.jobs SET created_at = clock_timestamp() - interval '{age}'")
        assert (submit(client, document, "key").json()["id"] == first) is same
    assert submit(client, document | {"seed": 1}, "key").status_code == 422


def test_one_key_sent_many_times_at_once_makes_one_job(app: FastAPI, document: dict[str, Any], database: Database) -> None:
    together = threading.Barrier(8)
    answers = []

    def send() -> None:
        client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)
        together.wait()
        answers.append(submit(client, document, "key"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert rows(database, "stride.jobs") == rows(database, "optuna.studies") == 1


@pytest.mark.parametrize("key", ["", "a" * 201, "tab\there", "ü".encode("latin-1"), "nul\0"])
def test_a_key_of_other_characters_or_length_is_refused(client: TestClient, document: dict[str, Any], key: str | bytes) -> None:
    answer = client.post("/v1/jobs", json=document, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].lower() == "/idempotency-key"
