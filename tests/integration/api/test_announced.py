"""Objectives that workers have announced, beside those that the API has loaded itself: which version a job keeps."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from objectives.catalog import load_catalog
from objectives.sources import own_versions
from service.dispatch.announce import Announced
from service.store.postgres import Database
from tests.integration.dispatch.test_announce import MINE, end, offering, version

QUADRATIC = load_catalog(["tests.quadratic"])["quadratic"]
OTHERWISE = replace(QUADRATIC, step_word="update")


def submitted(client: TestClient, name: str = "quadratic", **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={"objective": {"name": name}} | fields)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def kept(client: TestClient, name: str = "quadratic") -> str | None:
    sha256: str | None = submitted(client, name)["objective_sha256"]
    return sha256


def test_an_objective_of_the_apis_own_that_nobody_has_announced_may_be_trained_by_any_worker(client: TestClient) -> None:
    job = submitted(client)
    assert (job["objective_sha256"], job["waiting_for"]) == (None, "a worker that offers quadratic")
    assert kept(client, "image-classification") is None


def test_of_an_objective_of_the_apis_own_a_job_keeps_the_version_that_is_offered_with_the_same_declaration(
    client: TestClient, database: Database
) -> None:
    first, second = version(QUADRATIC, b"1"), version(QUADRATIC, b"2")
    offering(database, "host:1", first)
    newer, _ = offering(database, "host:2", second)
    assert kept(client) == second.sha256.hex()
    end(database, newer)
    assert kept(client) == first.sha256.hex()


def test_a_job_is_for_no_worker_whose_declaration_is_not_the_one_that_it_was_checked_against(
    client: TestClient, database: Database
) -> None:
    other = version(OTHERWISE)
    worker_id, _ = offering(database, "host:1", other)
    job = submitted(client)
    assert bytes.fromhex(job["objective_sha256"]) == own_versions({"quadratic": QUADRATIC}, ["tests.quadratic"])["quadratic"]
    assert job["waiting_for"].startswith("a worker that offers quadratic as it was when the job was submitted")
    assert job["step_word"] == "epoch"
    end(database, worker_id)
    offering(database, "host:2", Announced(objective=QUADRATIC, sha256=bytes.fromhex(job["objective_sha256"])))
    assert client.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] is None


def test_a_request_that_is_sent_again_is_answered_with_its_job_whatever_was_announced_since(
    client: TestClient, database: Database
) -> None:
    offering(database, "host:1", version())
    key = {"Idempotency-Key": "once"}
    first = client.post("/v1/jobs", json={"objective": {"name": "mine"}}, headers=key).json()
    offering(database, "host:2", version(source=b"changed"))
    again = client.post("/v1/jobs", json={"objective": {"name": "mine"}}, headers=key).json()
    assert (again["id"], again["objective_sha256"]) == (first["id"], version().sha256.hex())


def test_all_objectives_are_listed_with_whether_a_live_worker_offers_them(client: TestClient, database: Database) -> None:
    offering(database, "host:1", version(replace(QUADRATIC, name="alive")))
    gone, _ = offering(database, "host:2", version())
    end(database, gone)
    items = client.get("/v1/objectives").json()["items"]
    assert [item["name"] for item in items] == sorted(item["name"] for item in items)
    shown = {item["name"]: (item["offered"], item["sha256"]) for item in items}
    assert shown["alive"] == (True, version(replace(QUADRATIC, name="alive")).sha256.hex())
    assert shown["mine"] == (False, version().sha256.hex())
    assert shown["quadratic"] == shown["image-classification"] == (False, None)
    by_name = {item["name"]: item for item in items}
    assert by_name["alive"] | {"name": "quadratic"} == by_name["quadratic"] | {"offered": True, "sha256": shown["alive"][1]}


@pytest.mark.parametrize(("name", "queries"), [("image-classification", 0), ("quadratic", 1), ("mine", 1)])
def test_a_submission_asks_at_most_once_for_what_was_announced(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch, name: str, queries: int
) -> None:
    offering(database, "host:1", version(MINE), version(QUADRATIC))
    submitted(client, name)  # reads the declaration
    execute, asked = psycopg.Cursor.execute, []

    def counted_execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        asked.extend([text] if "stride.objectives" in text else [])
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted_execute)
    submitted(client, name)
    assert len(asked) == queries
