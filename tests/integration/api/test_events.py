from typing import Any

import pytest
from starlette.testclient import TestClient

from service.dispatch.outcome import Failed
from service.domain.events import Event
from service.domain.job import Job
from service.domain.trial import TrialError
from service.store import jobs
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker


@pytest.fixture
def job(database: Database, worker: Worker) -> Job:
    """Done, after two trials, of which the second failed."""
    job = submit_job(database, name="short", budget={"trials": 2})
    worker.train(1)
    worker.train(1, lambda _: Failed(error=TrialError(type="ValueError", message="no such file")))
    return job


def told(events: list[Any]) -> list[tuple[str, Any]]:
    return [(event["type"], event["payload"].get("trial")) for event in events]


def test_events_tell_what_happened_oldest_first(client: TestClient, job: Job) -> None:
    page = ask(client, f"/v1/jobs/{job.id}/events")
    assert told(page["items"]) == [
        *(("job.submitted", None), ("job.started", None)),
        *(("trial.started", 0), ("trial.completed", 0), ("trial.started", 1), ("trial.failed", 1)),
        ("job.completed", None),
    ]
    assert [event["seq"] for event in page["items"]] == [1, 2, 3, 4, 5, 6, 7]
    assert page["items"][0]["payload"] == {"name": "short", "objective": "quadratic"}
    assert page["items"][0]["at"].endswith("Z")
    assert page["items"][-1]["payload"]["reason"]
    assert page["next_cursor"] is None


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_events_are_paged_by_their_number(client: TestClient, job: Job, limit: int) -> None:
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = ask(client, f"/v1/jobs/{job.id}/events", limit=limit, **cursor)
        assert len(page["items"]) <= limit
        found += [event["seq"] for event in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == [1, 2, 3, 4, 5, 6, 7]


def test_who_follows_a_job_asks_for_what_came_after_the_last_event(client: TestClient, job: Job) -> None:
    page = ask(client, f"/v1/jobs/{job.id}/events", after=5, limit=1)
    assert told(page["items"]) == [("trial.failed", 1)]
    assert page["items"][0]["payload"] == {"trial": 1, "value": None, "error": "ValueError: no such file"}
    page = ask(client, f"/v1/jobs/{job.id}/events", after=5, limit=1, cursor=page["next_cursor"])
    assert told(page["items"]) == [("job.completed", None)]
    assert ask(client, f"/v1/jobs/{job.id}/events", after=7) == {"items": [], "next_cursor": None}


def test_events_are_those_of_the_job_alone(client: TestClient, database: Database, job: Job) -> None:
    other = submit_job(database)
    assert told(ask(client, f"/v1/jobs/{other.id}/events")["items"]) == [("job.submitted", None)]
    ask(client, "/v1/jobs/00000000-0000-4000-8000-000000000000/events", 404)
    ask(client, f"/v1/jobs/{job.id}/events", 422, after=-1)
    ask(client, f"/v1/jobs/{job.id}/events", 422, cursor="x")


def test_an_event_that_only_a_newer_version_knows_is_shown(client: TestClient, database: Database, job: Job) -> None:
    database.transact(lambda conn: jobs.move(conn, job, events=[(Event.JOB_PAUSED, {"note": "n\0"})]))
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.events SET type = 'job.audited' WHERE type = 'job.paused'")
    [event] = ask(client, f"/v1/jobs/{job.id}/events", after=7)["items"]
    assert (event["type"], event["payload"]) == ("job.audited", {"note": "n\ufffd"})
