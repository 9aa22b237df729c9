"""A job is named by its id, or by as much of it as lists show: 8 digits."""

from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from service.dispatch import submit
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker

ALONE = UUID("8d8a199b-1d62-4654-a5f0-e5312a20323e")
TWINS = (UUID("52ac5c18-0000-4000-8000-000000000000"), UUID("52ac5c18-0000-4fff-bfff-ffffffffffff"))


def with_id(database: Database, monkeypatch: pytest.MonkeyPatch, job_id: UUID, **overrides: Any) -> Job:
    monkeypatch.setattr(submit, "uuid4", lambda: job_id)
    return submit_job(database, **{"name": str(job_id)} | overrides)  # studies have names of their own


@pytest.fixture(autouse=True)
def jobs(database: Database, monkeypatch: pytest.MonkeyPatch, worker: Worker) -> None:
    with_id(database, monkeypatch, ALONE, budget={"trials": 1})
    worker.train(1)
    for job_id in TWINS:
        with_id(database, monkeypatch, job_id)


@pytest.mark.parametrize(
    "named", ["8d8a199b", "8D8A199B", "8d8a199b-", "8d8a199b1d62", "8d8a199b-1d62-4654", ALONE.hex, str(ALONE)]
)
def test_a_job_is_named_by_its_id_or_by_its_first_digits(client: TestClient, named: str) -> None:
    assert ask(client, f"/v1/jobs/{named}")["id"] == str(ALONE)


@pytest.mark.parametrize("path", ["/events", "/trials", "/trials/0", "/trials/0/measurements", "/trials/0/log", "/trade-off"])
def test_so_it_is_in_all_that_lies_below_it(client: TestClient, path: str) -> None:
    assert ask(client, f"/v1/jobs/8d8a199b{path}") == ask(client, f"/v1/jobs/{ALONE}{path}")


def test_so_it_is_wherever_jobs_are_named(client: TestClient) -> None:
    problem = ask(client, "/v1/compare", 422, jobs=f"8d8a199b,{ALONE}")
    assert problem["errors"] == [{"pointer": "/jobs/1", "detail": "is named before"}]
    assert client.post("/v1/jobs/52ac5c18-0000-40/cancel").json()["id"] == str(TWINS[0])
    assert client.delete("/v1/jobs/52ac5c18-0000-40").status_code == 204
    assert ask(client, "/v1/jobs/52ac5c18")["id"] == str(TWINS[1])


@pytest.mark.parametrize(
    ("path", "query"),
    [("/v1/jobs/52ac5c18", {}), ("/v1/jobs/52ac5c180000-4/trials", {}), ("/v1/compare", {"jobs": "8d8a199b,52ac5c18"})],
)
def test_where_several_are_meant_they_are_named(client: TestClient, path: str, query: dict[str, str]) -> None:
    problem = ask(client, path, 409, **query)
    assert problem["type"] == "urn:stride:ambiguous-job"
    assert f": {TWINS[0]}, {TWINS[1]} (give more of the id)." in problem["detail"]


def test_of_many_some_are_named(client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        with_id(database, monkeypatch, UUID(int=TWINS[0].int + 1 + number))
    detail = ask(client, "/v1/jobs/52ac5c18", 409)["detail"]
    assert detail.count("52ac5c18-") == 5
    assert detail.endswith(", ... (give more of the id).")


def test_where_none_is_meant_it_is_said(client: TestClient) -> None:
    assert ask(client, "/v1/jobs/8d8a199c", 404)["detail"] == "There is no job whose id begins with 8d8a199c."
    assert ask(client, "/v1/jobs/ffffffff", 404)["type"] == "urn:stride:job-not-found"


@pytest.mark.parametrize("named", ["8d8a199", "8d8a199x", "-8d8a199b", "8d8a199b--1", str(ALONE) + "0", "latest"])
def test_what_names_no_job_is_refused(client: TestClient, named: str) -> None:
    [fault] = ask(client, f"/v1/jobs/{named}/trials", 422)["errors"]
    assert fault == {"pointer": "/job_id", "detail": "should be a job's id, or its first 8 digits or more"}


def test_the_document_has_the_pattern(client: TestClient) -> None:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if "{job_id}" in path:
            for operation in methods.values():
                [named] = [parameter for parameter in operation["parameters"] if parameter["name"] == "job_id"]
                assert "{8}" in named["schema"]["pattern"], path
