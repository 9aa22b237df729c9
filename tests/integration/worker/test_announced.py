"""Objectives that workers announce: the API has no module of theirs, and is never restarted."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from objectives.meaning import declared
from service.store import objectives
from service.store.postgres import Database
from service.worker import loop
from tests.integration.dispatch.test_announce import end, offering, version
from tests.integration.worker.conftest import Start
from tests.integration.worker.fickle import FICKLE
from tests.integration.worker.test_fitness import fickle_job, is_completed, worker_events, working
from tests.integration.worker.users_module import api_without_modules, job, settings_for
from tests.polling import wait_until


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with api_without_modules(database) as client:
        yield client


def shown(client: TestClient, name: str = "mine") -> dict[str, Any] | None:
    items = client.get("/v1/objectives").raise_for_status().json()["items"]
    return next((item for item in items if item["name"] == name), None)


def is_offered(client: TestClient) -> bool:
    found = shown(client)
    return found is not None and found["offered"]


def submitted(client: TestClient, **fields: object) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=job(**fields))
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def state(client: TestClient, submitted: dict[str, Any]) -> tuple[str, str | None]:
    found = client.get(f"/v1/jobs/{submitted['id']}").json()
    return found["state"], found["waiting_for"]


def wait_for_end(client: TestClient, submitted: dict[str, Any]) -> None:
    wait_until(lambda: state(client, submitted) == ("completed", None), "the end of the job")


def test_a_job_for_what_a_worker_has_announced_is_submitted_trained_answered_and_extended(
    client: TestClient, start_worker: Start, tmp_path: Path
) -> None:
    nobody = client.post("/v1/jobs", json=job())
    assert nobody.status_code == 422
    [fault] = nobody.json()["errors"]
    assert fault["pointer"] == "/objective/name"
    assert fault["detail"].startswith("there is no objective 'mine'; there are: few-shot-classification, ")
    worker = start_worker(**settings_for(tmp_path / "mine"))
    wait_until(lambda: is_offered(client), "the announcement")
    dry = client.post("/v1/jobs?dry_run=true", json=job()).raise_for_status().json()
    assert dry["step_word"] == "epoch"
    wrong = client.post("/v1/jobs", json=job(metric="nonsense"))
    assert wrong.json()["errors"] == [{"pointer": "/metric", "detail": "mine has no metric 'nonsense'; it has: loss, score"}]
    first = submitted(client)
    assert len(first["objective_sha256"]) == 64
    assert first["objective_sha256"] == (shown(client) or {})["sha256"]
    wait_for_end(client, first)
    answer = client.get(f"/v1/jobs/{first['id']}/best-lr").raise_for_status().json()
    assert answer["evidence"]["trials"] == 3
    [item] = client.get("/v1/best-lr?objective=mine").raise_for_status().json()["items"]
    assert item["answer"]["job"] == first["id"]
    assert client.get("/v1/best-lr?metric=nonsense").status_code == 422
    client.post(f"/v1/jobs/{first['id']}/extend", json={"trials": 2}).raise_for_status()
    wait_for_end(client, first)
    assert client.get(f"/v1/jobs/{first['id']}").json()["progress"]["trials"]["total"] == 5
    assert worker.stop() == 0
    assert (shown(client) or {})["offered"] is False
    later = submitted(client)
    assert later["objective_sha256"] == first["objective_sha256"]
    assert state(client, later) == ("queued", "a worker that offers mine")
    client.post(f"/v1/jobs/{first['id']}/extend", json={"trials": 1}).raise_for_status()
    assert state(client, first) == ("running", "a worker that offers mine")
    start_worker(**settings_for(tmp_path / "mine"))
    wait_for_end(client, first)
    wait_for_end(client, later)


def test_a_job_waits_for_the_source_that_it_was_submitted_with(client: TestClient, start_worker: Start, tmp_path: Path) -> None:
    old = start_worker(**settings_for(tmp_path / "old"))
    wait_until(lambda: is_offered(client), "the announcement")
    assert old.stop() == 0
    first = submitted(client)
    start_worker(**settings_for(tmp_path / "new", source="# changed"))
    wait_until(lambda: is_offered(client), "the announcement of the changed one")
    second = submitted(client)
    assert second["objective_sha256"] != first["objective_sha256"]
    wait_for_end(client, second)
    waiting_for = "a worker that offers mine as it was when the job was submitted: those that run have another version of it"
    assert state(client, first) == ("queued", waiting_for)
    start_worker(**settings_for(tmp_path / "old"))  # the declaration is the same: both may run
    wait_for_end(client, first)
    third = submitted(client)
    assert third["objective_sha256"] == first["objective_sha256"], "that of the worker that announced last"
    wait_for_end(client, third)


def test_a_file_that_has_changed_since_its_worker_was_started_is_set_aside_with_a_sentence(
    client: TestClient, database: Database, start_worker: Start, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "mine")
    start_worker(**settings)
    wait_until(lambda: is_offered(client), "the announcement")
    settings_for(tmp_path / "mine", source="# changed")
    waiting = submitted(client)
    wait_until(lambda: bool(worker_events(database, "worker.set_aside")), "the objective set aside")
    [event] = worker_events(database, "worker.set_aside")
    file = tmp_path / "mine" / "mine.py"
    assert event["reason"] == f"mine has changed since this worker was started, so start it again ({file})"
    wait_until(lambda: state(client, waiting) == ("running", "a worker that offers mine"), "the trial given back")
    wait_for_end(client, submitted(client, objective={"name": "quadratic"}))
    start_worker(**settings)
    wait_until(lambda: is_offered(client), "the announcement of the changed one")
    wait_for_end(client, submitted(client))
    settings_for(tmp_path / "mine")
    start_worker(**settings)
    wait_for_end(client, waiting)
    trials = client.get(f"/v1/jobs/{waiting['id']}/trials").json()["items"]
    assert [trial["state"] for trial in trials] == ["complete"] * 3


def test_of_two_workers_with_different_declarations_the_second_trains_other_things_until_the_first_has_stopped(
    client: TestClient, database: Database, start_worker: Start, tmp_path: Path
) -> None:
    first = start_worker(**settings_for(tmp_path / "first"))
    wait_until(lambda: is_offered(client), "the announcement")
    second = start_worker(**settings_for(tmp_path / "second", step_word="update"))
    wait_until(lambda: bool(worker_events(database, "worker.refused")), "the refusal")
    [event] = worker_events(database, "worker.refused")
    assert event["objective"] == "mine"
    assert event["reason"].endswith("give this one another name, or stop that worker")
    [refused, offering] = client.get("/v1/workers").json()["items"]
    assert event["reason"].startswith(f"worker {offering['name']} offers another objective called 'mine'")
    assert (refused["name"], refused["set_aside"]) == (event["worker"], {"mine": event["reason"]})
    assert "mine" not in refused["objectives"]
    assert "quadratic" in refused["objectives"]
    wait_until(lambda: "worker.refused" in second.log, "the sentence")
    assert second.log.count(event["reason"]) == 1
    assert (shown(client) or {})["step_word"] == "epoch"
    assert first.stop() == 0
    other = submitted(client, objective={"name": "quadratic"})
    wait_for_end(client, other)
    assert state(client, submitted(client)) == ("queued", "a worker that offers mine")


def test_what_was_refused_is_offered_once_no_other_worker_contradicts_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TRY_AGAIN_S", 0.2)
    other, _ = offering(database, "host:1", version(replace(declared(FICKLE), step_word="update")))
    job = fickle_job(database)
    with working(database_url):
        wait_until(lambda: bool(worker_events(database, "worker.refused")), "the refusal")
        time.sleep(0.5)  # it asks again
        assert worker_events(database, "worker.fit") == []
        end(database, other)
        wait_until(lambda: is_completed(database, job), "the end of the job")
    assert len(worker_events(database, "worker.refused")) == 1, "one event, however often it tries"
    [event] = worker_events(database, "worker.fit")
    assert (event["objective"], event["reason"]) == ("fickle", "no other worker offers it with another declaration any more")


def test_a_worker_whose_row_was_deleted_announces_again(database: Database, database_url: str) -> None:
    """Retention does so after a long outage."""
    with working(database_url, heartbeat_s=0.1, lease_s=3.0, database_timeout_s=1.0) as worker:

        def is_offered() -> bool:
            with database.transaction() as conn:
                return any(each.is_offered for each in objectives.versions_of(conn, "fickle"))

        wait_until(is_offered, "the announcement")
        with database.transaction() as conn:
            conn.exec_driver_sql("DELETE FROM stride.workers")
            conn.exec_driver_sql("DELETE FROM stride.objectives")
        wait_until(is_offered, "the announcement")
    assert worker.name


def test_two_workers_with_the_same_module_share_the_trials(client: TestClient, start_worker: Start, tmp_path: Path) -> None:
    for _ in range(2):
        start_worker(**settings_for(tmp_path / "mine"))
    wait_until(lambda: len(client.get("/v1/workers").json()["items"]) == 2 and is_offered(client), "both workers")
    objective = {"name": "mine", "settings": {"epoch_s": 0.2}}
    both = submitted(client, objective=objective, budget={"trials": 6, "confirm": 0})
    wait_for_end(client, both)
    trials = client.get(f"/v1/jobs/{both['id']}/trials").json()["items"]
    assert len({attempt["worker"] for trial in trials for attempt in trial["attempts"]}) == 2
