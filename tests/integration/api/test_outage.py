"""Without a database, or one that is not migrated: a clear 503 from every endpoint that needs it, and service again by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database, psycopg_url
from tests.integration.api.conftest import SETTINGS

ID = UUID(int=7)
NEEDY = [
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", f"/v1/jobs/{ID}"),
    ("POST", f"/v1/jobs/{ID}/cancel"),
    ("POST", f"/v1/jobs/{ID}/pause"),
    ("POST", f"/v1/jobs/{ID}/extend"),
    ("POST", f"/v1/jobs/{ID}/resume"),
    ("DELETE", f"/v1/jobs/{ID}"),
    ("GET", f"/v1/jobs/{ID}/best-lr"),
    ("GET", f"/v1/jobs/{ID}/batch-scaling"),
    ("GET", f"/v1/jobs/{ID}/trade-off"),
    ("GET", f"/v1/jobs/{ID}/advice"),
    ("GET", f"/v1/jobs/{ID}/report"),
    ("GET", f"/v1/compare?jobs={ID}&jobs={UUID(int=1)}"),
    ("GET", f"/v1/jobs/{ID}/best-model"),
    ("GET", f"/v1/jobs/{str(ID)[:8]}"),  # which has to be looked up first
    ("GET", f"/v1/jobs/{ID}/events"),
    ("GET", f"/v1/jobs/{ID}/trials"),
    ("GET", f"/v1/jobs/{ID}/trials/0"),
    ("GET", f"/v1/jobs/{ID}/trials/0/measurements"),
    ("GET", f"/v1/jobs/{ID}/trials/0/log"),
    ("POST", f"/v1/jobs/{ID}/claims"),
    ("POST", f"/v1/jobs/{ID}/trials/0/measurements"),
    ("POST", f"/v1/jobs/{ID}/trials/0/heartbeat"),
    ("POST", f"/v1/jobs/{ID}/trials/0/release"),
    ("POST", f"/v1/jobs/{ID}/trials/0/finish"),
    ("PUT", f"/v1/jobs/{ID}/trials/0/checkpoint?token={ID}&step=1"),
    ("GET", f"/v1/jobs/{ID}/trials/0/checkpoint?token={ID}"),
    ("POST", "/v1/imports"),
    ("GET", "/v1/best-lr?objective=quadratic"),
    ("GET", "/v1/objectives"),
    ("GET", "/v1/workers"),
    ("GET", "/readyz"),
    ("GET", "/dashboard"),
    ("GET", "/dashboard/studies/1"),
    ("GET", "/api/studies"),
    ("GET", "/api/studies/1"),
    ("GET", "/csv/1"),
]


def client_of(database: Database) -> TestClient:
    return TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False)


OBJECTIVE = {
    "name": "external",
    "parameters": [{"name": "lr", "type": "float", "space": {"type": "float", "low": 0.01, "high": 1.0, "log": True}}],
    "metrics": [{"name": "loss", "direction": "minimize"}],
}
MEASURED = [{"step": 1, "metrics": {"loss": 0.5}}]
IMPORTED = [{"params": {"lr": rate}, "measurements": MEASURED} for rate in (0.1, 0.2)]
REPORT = {"token": str(ID)}
BODIES: dict[str, Any] = {
    "/v1/jobs": {"objective": {"name": "quadratic"}},
    "/v1/imports": {"source": "runs.csv", "job": {"objective": OBJECTIVE}, "trials": IMPORTED},
    f"/v1/jobs/{ID}/extend": {"trials": 1},
    f"/v1/jobs/{ID}/claims": {"worker": "me", "tokens": [str(ID)]},
    f"/v1/jobs/{ID}/trials/0/measurements": REPORT | {"measurements": MEASURED},
    **{f"/v1/jobs/{ID}/trials/0/{what}": REPORT for what in ("heartbeat", "release", "finish")},
}


def send(client: TestClient, method: str, path: str) -> Any:
    if method == "PUT":
        return client.put(path, content=b"state", headers={"Content-Type": "application/octet-stream"})
    return client.request(method, path, json=BODIES.get(path) if method == "POST" else None)


def assert_unavailable(answer: Any, kind: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == f"urn:stride:{kind}"
    assert answer.json()["detail"]


def test_every_documented_endpoint_is_asked_during_an_outage_and_documents_the_answer() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    paths = create_app(SETTINGS, database).openapi()["paths"]
    documented = {(method.upper(), path): operation for path, methods in paths.items() for method, operation in methods.items()}
    asked = {(method, path.partition("?")[0].replace(str(ID), "{job_id}").replace("/0", "/{number}")) for method, path in NEEDY}
    assert documented.keys() - asked == {("GET", "/healthz")}
    assert all("503" in map(str, documented[endpoint]["responses"]) for endpoint in asked & documented.keys())


@pytest.fixture(scope="module")
def unreachable() -> Iterator[TestClient]:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/nothing", timeout_s=1)
    with client_of(database) as client:
        yield client
    database.close()


@pytest.mark.parametrize(("method", "path"), NEEDY)
def test_without_a_database_every_endpoint_that_needs_it_answers_503(unreachable: TestClient, method: str, path: str) -> None:
    answer = send(unreachable, method, path)
    assert_unavailable(answer, "database-unavailable")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_without_a_database_the_process_lives_and_answers_what_needs_none(unreachable: TestClient) -> None:
    for path in ("/healthz", "/openapi.json", "/docs"):
        assert unreachable.get(path).status_code == 200
    job = {"objective": {"name": "quadratic"}}
    assert unreachable.post("/v1/jobs?dry_run=true", json=job).status_code == 200
    assert unreachable.post("/v1/jobs", json=job | {"metric": "nonsense"}).status_code == 422


def test_a_database_that_was_never_migrated_is_named_as_such(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with client_of(database) as client:
        for method, path in NEEDY:
            answer = send(client, method, path)
            assert_unavailable(answer, "database-not-migrated")
            assert "stride migrate" in answer.json()["detail"]
        assert client.get("/healthz").status_code == 200
        migrate.upgrade(database)
        for path in ("/readyz", "/v1/jobs", "/dashboard", "/api/studies"):
            assert client.get(path).status_code == 200
    database.close()


def test_a_database_of_another_version_is_not_ready(client: TestClient, database: Database) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.alembic_version SET version_num = '9999'")
    assert_unavailable(client.get("/readyz"), "database-not-migrated")
    assert "9999" in client.get("/readyz").json()["detail"]


def test_after_an_outage_everything_answers_again_by_itself(tmp_path: Path) -> None:
    with EmbeddedPostgres.start(tmp_path / "data") as server:
        url, port = server.url, psycopg_url(server.url).port
        database = Database(url, timeout_s=2)
        migrate.upgrade(database)
        client = client_of(database)
        client.__enter__()
        job = client.post("/v1/jobs", json={"objective": {"name": "quadratic"}}).json()
        assert json.loads(client.get("/api/studies").text)["study_summaries"]
    for method, path in NEEDY:
        assert_unavailable(send(client, method, path), "database-unavailable")
    assert client.get("/healthz").json() == {"status": "alive"}
    with EmbeddedPostgres.start(tmp_path / "data", port=port):
        assert client.get("/readyz").status_code == 200
        assert client.get(f"/v1/jobs/{job['id']}").json() == job
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
        assert client.get("/dashboard").status_code == 200
        assert len(client.get("/api/studies").json()["study_summaries"]) == 1
        client.__exit__(None, None, None)
        database.close()
