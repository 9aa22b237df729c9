"""POST /v1/jobs/{id}/extend, and budget.confirm as it is submitted."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.api.training import Worker

SEARCHED = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 10}}


def submitted(client: TestClient, document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=document | changes)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def faults(client: TestClient, document: dict[str, Any], **changes: Any) -> dict[str, str]:
    answer = client.post("/v1/jobs", json=document | changes, params={"dry_run": True})
    assert answer.status_code == 422, answer.text
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("changes", "confirm"),
    [
        ({"budget": {"trials": 15}}, 0),
        ({"budget": {"trials": 16}}, 3),
        ({"budget": {"trials": 64}, "strategy": "random"}, 6),
        ({"budget": {"trials": 1000}}, 100),
        ({}, 3),
        ({"budget": {"trials": 64, "seconds": 100}}, 6),
        ({"budget": {"seconds": 100}}, None),
        ({"budget": {"seconds": 100, "confirm": 5}}, 5),
        ({"budget": {"target": 0.1}}, 0),
        ({"budget": {"trials": 64, "confirm": 0}}, 0),
        ({"budget": {"trials": 6, "confirm": 5}}, 5),
        ({"budget": {"trials": 64}, "replicates": 2}, 0),
        ({"budget": {"trials": 64}, "training_seed": "shared"}, 0),
        ({"strategy": "grid"}, 0),
        (
            {
                "budget": {"trials": 64},
                "search_space": {"learning_rate": 0.1, "momentum": {"type": "float", "low": 0, "high": 0.9}},
            },
            0,
        ),
    ],
)
def test_how_many_trials_confirm_unless_it_is_said(
    client: TestClient, document: dict[str, Any], changes: dict[str, Any], confirm: int | None
) -> None:
    base = {"objective": document["objective"], "search_space": SEARCHED}
    job = submitted(client, base, **changes)
    assert job["spec"]["budget"]["confirm"] == confirm
    assert job["budget"] == job["spec"]["budget"]
    assert job["phase"] == "search"
    assert submitted(client, job["spec"])["spec"] == job["spec"]


def test_a_grid_confirms_where_it_is_asked_to_beside_its_points(client: TestClient, document: dict[str, Any]) -> None:
    base = {"objective": document["objective"], "search_space": SEARCHED, "strategy": "grid"}
    assert submitted(client, base, budget={"confirm": 4})["budget"]["trials"] == 14
    assert submitted(client, base, budget={"trials": 8, "confirm": 4})["budget"]["trials"] == 8


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        (
            {"budget": {"trials": 5, "confirm": 5}},
            "/budget/confirm",
            "leave none of the budget of 5 for the search: take at most 4",
        ),
        ({"budget": {"trials": 5, "confirm": 9}}, "/budget/confirm", "9 trials that confirm leave none"),
        ({"budget": {"trials": 20, "confirm": 3}, "replicates": 2}, "/budget/confirm", "leave out confirm or replicates"),
        (
            {"budget": {"trials": 20, "confirm": 3}, "training_seed": "shared"},
            "/budget/confirm",
            "leave out confirm or training_seed",
        ),
        ({"budget": {"target": 0.1, "confirm": 3}}, "/budget/confirm", "give trials or seconds, or leave out confirm"),
        ({"budget": {"trials": 20, "confirm": -1}}, "/budget/confirm", "greater than or equal to 0"),
        ({"budget": {"trials": 20, "confirm": 1.5}}, "/budget/confirm", "should be a whole number"),
        ({"budget": {"trials": 20}, "try_first": [{"learning_rate": 0.1}] * 18}, "/try_first", "20 trials, of which 3 confirm"),
        ({"strategy": "confirm"}, "/strategy", "grid"),
        ({"strategy": {"type": "confirm"}}, "/strategy", "grid"),
    ],
)
def test_what_cannot_be_confirmed_is_refused_in_the_dry_run(
    client: TestClient, document: dict[str, Any], changes: dict[str, Any], pointer: str, says: str
) -> None:
    base = {"objective": document["objective"], "search_space": SEARCHED}
    found = faults(client, base, **changes)
    [detail] = [detail for where, detail in found.items() if where.startswith(pointer)]
    assert says in detail, found


def test_the_first_points_of_a_dry_run_are_those_of_the_search(client: TestClient, document: dict[str, Any]) -> None:
    base = {"objective": document["objective"], "search_space": SEARCHED, "budget": {"trials": 5, "confirm": 3}}
    plan = client.post("/v1/jobs", json=base, params={"dry_run": True}).json()
    assert (len(plan["first_points"]), plan["trials"]) == (2, 5)


def test_a_job_says_that_it_confirms_and_its_trials_which_candidate(
    client: TestClient, worker: Worker, document: dict[str, Any]
) -> None:
    base = {"objective": document["objective"], "search_space": SEARCHED, "budget": {"trials": 16}}
    job = submitted(client, base)
    worker.train(14)
    assert client.get(f"/v1/jobs/{job['id']}").json()["phase"] == "confirm"
    trial = client.get(f"/v1/jobs/{job['id']}/trials/13").json()
    assert (trial["user_attrs"]["phase"], trial["user_attrs"]["candidate"]) == ("confirm", 0)


def extend(client: TestClient, job_id: str, body: Any, status: int = 202, **headers: str) -> Any:
    answer = client.post(f"/v1/jobs/{job_id}/extend", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 202:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_a_completed_job_runs_again(client: TestClient, worker: Worker, document: dict[str, Any]) -> None:
    job = submitted(client, document, budget={"trials": 2})
    worker.train(2)
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "completed"
    again = extend(client, job["id"], {"trials": 3})
    assert (again["state"], again["reason"], again["finished_at"]) == ("running", None, None)
    assert again["budget"]["trials"] == again["progress"]["trials"]["planned"] == 5
    assert again["spec"]["budget"]["trials"] == 2, "as submitted"
    worker.train(3)
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "completed"


def test_the_same_key_extends_once_and_is_not_that_of_a_submission(client: TestClient, document: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "one"}
    job = client.post("/v1/jobs", json=document, headers=key).json()
    for _ in range(2):
        assert extend(client, job["id"], {"trials": 3}, **key)["budget"]["trials"] == 9
    assert extend(client, job["id"], {"trials": 4}, 422, **key)["type"] == "urn:stride:idempotency-key-reused"
    other = submitted(client, document)
    assert extend(client, other["id"], {"trials": 3}, 422, **key)["type"] == "urn:stride:idempotency-key-reused"
    assert extend(client, job["id"], {"trials": 3})["budget"]["trials"] == 12


@pytest.mark.parametrize(
    "body",
    [
        *[{}, [], 3, None, {"trials": None}, {"epochs": 1}],
        *[{"trials": 1, "seconds": 1}, {"trials": 0}, {"trials": -1}, {"trials": 1.5}, {"trials": "3"}, {"trials": 10**12}],
        {"seconds": 0},
    ],
)
def test_what_is_no_extension_is_refused(client: TestClient, document: dict[str, Any], body: Any) -> None:
    job = submitted(client, document)
    assert extend(client, job["id"], body, 422)["errors"]
    assert client.get(f"/v1/jobs/{job['id']}").json() == job


def test_why_a_job_cannot_be_extended(client: TestClient, document: dict[str, Any]) -> None:
    grid = {"objective": document["objective"], "search_space": SEARCHED, "strategy": "grid"}
    job = submitted(client, grid)
    problem = extend(client, job["id"], {"trials": 1}, 409)
    assert problem["type"] == "urn:stride:not-extendable"
    assert problem["detail"] == f"The grid of job {job['id']} has 10 points, so submit a finer grid."
