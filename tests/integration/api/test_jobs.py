"""Jobs as they are listed, moved and deleted, and their progress beside what the database holds."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api import cursors
from service.dispatch.outcome import Failed, Pruned
from service.domain.trial import TrialError
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, diverged


def walk(client: TestClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(path, params=params | ({"cursor": cursor} if cursor else {})).json()
        items += page["items"]
        cursor = page["next_cursor"]
    return items


def test_there_are_no_jobs_at_first(client: TestClient) -> None:
    assert client.get("/v1/jobs").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_hold_every_job_once_newest_first(client: TestClient, database: Database, limit: int) -> None:
    ids = [str(submit_job(database).id) for _ in range(7)]
    assert [job["id"] for job in walk(client, "/v1/jobs", limit=limit)] == ids[::-1]


def test_jobs_of_one_moment_are_paged_by_id(client: TestClient, database: Database) -> None:
    ids = {str(submit_job(database).id) for _ in range(5)}
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.jobs SET created_at = '2026-01-01T00:00:00Z'")
    listed = [job["id"] for job in walk(client, "/v1/jobs", limit=2)]
    assert listed == sorted(ids, key=UUID, reverse=True)


def test_jobs_submitted_while_pages_are_turned_neither_repeat_nor_hide_others(client: TestClient, database: Database) -> None:
    ids = [str(submit_job(database).id) for _ in range(6)]
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get("/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["items"]]
        submit_job(database)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_jobs_submitted_by_others_meanwhile_are_no_trouble(app: FastAPI, client: TestClient, database: Database) -> None:
    ids = {str(submit_job(database).id) for _ in range(4)}
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            submit_job(database)

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        for _ in range(5):
            seen = [job["id"] for job in walk(client, "/v1/jobs", limit=3)]
            assert len(seen) == len(set(seen))
            assert ids <= set(seen)
    finally:
        stop.set()
        thread.join()


def test_jobs_are_listed_by_state_and_by_all_labels_given(client: TestClient, database: Database) -> None:
    both = str(submit_job(database, labels={"team": "vision", "stage": "1"}).id)
    team = str(submit_job(database, labels={"team": "vision"}).id)
    odd = str(submit_job(database, labels={"a": "b:c", "": ""}).id)
    client.post(f"/v1/jobs/{team}/cancel")

    def listed(**params: Any) -> list[str]:
        return [job["id"] for job in walk(client, "/v1/jobs", **params)]

    assert listed(state="cancelled") == [team]
    assert listed(state="queued") == [odd, both]
    assert listed(label="team:vision") == [team, both]
    assert listed(label=["team:vision", "stage:1"]) == [both]
    assert listed(label=["team:vision", "team:sound"]) == listed(label=["team:sound", "team:vision"]) == []
    assert listed(label="a:b:c") == listed(label=":") == [odd]
    assert listed(label="team:") == []
    assert listed(state="queued", label="team:vision", limit=1) == [both]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00.000001+00:00"])
def test_a_cursor_from_far_away_is_just_a_position(client: TestClient, database: Database, moment: str) -> None:
    submit_job(database)
    cursor = cursors.encode(moment, uuid4())
    for path in ("/v1/jobs", "/v1/workers"):
        assert client.get(path, params={"cursor": cursor}).status_code == 200


def test_progress_is_what_the_database_holds_after_every_step(
    client: TestClient, database: Database, worker: Worker, document: dict[str, Any]
) -> None:
    id_ = client.post("/v1/jobs", json=document | {"budget": {"trials": 9}, "try_first": [{"momentum": 0.1}] * 2}).json()["id"]

    def progress() -> dict[str, int]:
        found: dict[str, int] = client.get(f"/v1/jobs/{id_}").json()["progress"]["trials"]
        with database.transaction() as conn:
            rows = conn.exec_driver_sql("SELECT state::text, count(*) FROM optuna.trials GROUP BY 1").all()
        held = {state: count for state, count in rows}
        six = {name: found[name] for name in ("waiting", "running", "complete", "infeasible", "pruned", "failed")}
        assert found["total"] == sum(six.values()) == sum(held.values())
        assert (six["waiting"], six["running"]) == (held.get("WAITING", 0), held.get("RUNNING", 0))
        assert six["complete"] + six["infeasible"] == held.get("COMPLETE", 0)
        assert (six["pruned"], six["failed"]) == (held.get("PRUNED", 0), held.get("FAIL", 0))
        assert found["planned"] == 9
        return {name: count for name, count in six.items() if count}

    assert progress() == {"waiting": 2}
    first = worker.claim()
    assert progress() == {"waiting": 1, "running": 1}
    worker.report(first, 0.5)
    assert progress() == {"waiting": 1, "running": 1}
    worker.finish(first, Pruned(value=0.5, step=1))
    assert progress() == {"waiting": 1, "pruned": 1}
    worker.train(1)
    worker.train(2, diverged)
    worker.train(1, lambda _: Failed(error=TrialError(type="ValueError", message="no")))
    assert progress() == {"pruned": 1, "complete": 1, "infeasible": 2, "failed": 1}
    running = worker.claim()
    worker.report(running, 0.7)
    client.post(f"/v1/jobs/{id_}/cancel")
    assert progress() == {"pruned": 2, "complete": 1, "infeasible": 2, "failed": 1}


def test_the_best_trial_is_shown_while_the_job_runs(client: TestClient, worker: Worker, document: dict[str, Any]) -> None:
    id_ = client.post("/v1/jobs", json=document).json()["id"]
    claims = worker.train(3)
    best = client.get(f"/v1/jobs/{id_}").json()["best"]
    values = {trial["number"]: trial["value"] for trial in client.get(f"/v1/jobs/{id_}/trials").json()["items"]}
    assert best["value"] == min(values.values()) == values[best["number"]]
    assert best["params"] == claims[best["number"]].params


def test_a_job_runs_from_queued_to_completed(client: TestClient, worker: Worker, document: dict[str, Any]) -> None:
    id_ = client.post("/v1/jobs", json=document).json()["id"]
    worker.train(1)
    job = client.get(f"/v1/jobs/{id_}").json()
    assert (job["state"], job["reason"], job["finished_at"]) == ("running", None, None)
    assert job["started_at"] > job["created_at"]
    worker.train(5)
    job = client.get(f"/v1/jobs/{id_}").json()
    assert (job["state"], job["reason"]) == ("completed", "all trials of the budget have finished")
    assert job["finished_at"] > job["started_at"]


MOVES = {
    "queued": {"cancel": "cancelled", "pause": "paused", "resume": "queued"},
    "running": {"cancel": "cancelled", "pause": "paused", "resume": "running"},
    "paused": {"cancel": "cancelled", "pause": "paused", "resume": "queued"},
    "completed": {},
    "failed": {},
    "cancelled": {"cancel": "cancelled"},
}


@pytest.fixture
def job_in(client: TestClient, worker: Worker, document: dict[str, Any]) -> Any:
    def make(state: str) -> str:
        budget = {"trials": 1 if state == "completed" else 5, "failures": 1}
        id_: str = client.post("/v1/jobs", json=document | {"budget": budget}).json()["id"]
        if state in ("running", "completed"):
            worker.train(1)
        elif state == "failed":
            worker.train(1, lambda _: Failed(error=TrialError(type="ValueError", message="no")))
        elif state in ("paused", "cancelled"):
            client.post(f"/v1/jobs/{id_}/{'pause' if state == 'paused' else 'cancel'}")
        assert client.get(f"/v1/jobs/{id_}").json()["state"] == state
        return id_

    return make


@pytest.mark.parametrize("state", MOVES)
def test_each_state_allows_its_moves_and_answers_409_to_others(client: TestClient, job_in: Any, state: str) -> None:
    for move in ("cancel", "pause", "resume"):
        id_ = job_in(state)
        answer = client.post(f"/v1/jobs/{id_}/{move}")
        if move in MOVES[state]:
            assert (answer.status_code, answer.json()["state"]) == (200, MOVES[state][move])
        else:
            problem = answer.json()
            assert (answer.status_code, problem["type"]) == (409, "urn:stride:illegal-move")
            assert problem["detail"].startswith(f"Job {id_} is {state}; only a ")
            assert client.get(f"/v1/jobs/{id_}").json()["state"] == state


@pytest.mark.parametrize("state", MOVES)
def test_only_a_job_in_a_final_state_can_be_deleted(client: TestClient, database: Database, job_in: Any, state: str) -> None:
    id_ = job_in(state)
    answer = client.delete(f"/v1/jobs/{id_}")
    if state not in ("completed", "failed", "cancelled"):
        assert answer.status_code == 409
        assert "cancel it first" in answer.json()["detail"]
        assert client.get(f"/v1/jobs/{id_}").status_code == 200
        return
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"/v1/jobs/{id_}").status_code == 404
    assert client.delete(f"/v1/jobs/{id_}").status_code == 404
    with database.transaction() as conn:
        for table in ("stride.jobs", "stride.leases", "stride.events", "optuna.studies", "optuna.trials"):
            assert conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table


def test_a_resumed_job_that_had_started_is_running_again(client: TestClient, job_in: Any) -> None:
    id_ = job_in("running")
    client.post(f"/v1/jobs/{id_}/pause")
    assert client.post(f"/v1/jobs/{id_}/resume").json()["state"] == "running"


def test_workers_are_listed_newest_first_with_what_they_do(client: TestClient, database: Database) -> None:
    submit_job(database)
    old, new = Worker(database), Worker(database)
    old.claim()
    listed = walk(client, "/v1/workers", limit=1)
    assert [item["id"] for item in listed] == [str(new.id), str(old.id)]
    assert [(item["state"], item["open_leases"]) for item in listed] == [("idle", 0), ("training", 1)]
    assert listed[0]["objectives"] == ["quadratic"]


def test_objectives_are_listed_with_all_that_a_job_needs(client: TestClient) -> None:
    page = client.get("/v1/objectives").json()
    assert page["next_cursor"] is None
    names = [item["name"] for item in page["items"]]
    assert names == sorted(names)
    assert {"image-classification", "quadratic"} <= set(names)
    images = page["items"][names.index("image-classification")]
    assert (images["metrics"][0]["name"], images["metrics"][0]["direction"]) == ("validation_loss", "minimize")
    assert "validation set" in images["metrics"][0]["description"]
    assert {parameter["name"] for parameter in images["parameters"]} >= {"learning_rate", "batch_size", "epochs", "momentum"}
    assert "digits" in images["settings_schema"]["properties"]["dataset"]["enum"]
    for item in page["items"]:
        job = {"objective": {"name": item["name"]}, "search_space": item["search_space"]}
        assert client.post("/v1/jobs?dry_run=true", json=job).status_code == 200


def test_a_job_shows_why_a_trial_failed_last(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 20, "failures": 10})
    assert ask(client, f"/v1/jobs/{job.id}")["last_failure"] is None
    worker.train(1)
    for message in ("first", "second"):
        worker.train(1, lambda _, message=message: Failed(error=TrialError(type="E", message=message, traceback="t")))  # type: ignore[misc]
    worker.train(1)
    shown = ask(client, f"/v1/jobs/{job.id}")
    assert shown["last_failure"] == {"number": 2, "type": "E", "message": "second"}
    assert ask(client, "/v1/jobs")["items"][0] == shown
