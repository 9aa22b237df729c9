"""Stock optuna-dashboard: inside the API for looking only, and as its own command on the same database."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from service.dispatch.outcome import Pruned
from service.domain.job import Job
from service.store.postgres import Database, stock_url
from tests.factories import submit_job
from tests.integration.api.training import Worker, diverged


@pytest.fixture
def job(database: Database, worker: Worker) -> Job:
    """A job with a complete, an infeasible, a pruned and a running trial."""
    job = submit_job(database, name="digits, what rate?", budget={"trials": 9}, labels={"team": "vision"})
    worker.train(1)
    worker.train(1, diverged)
    pruned = worker.claim()
    worker.report(pruned, 0.7)
    worker.finish(pruned, Pruned(value=0.7, step=1))
    worker.report(worker.claim(), 0.5)
    return job


def the_study(client: TestClient) -> Any:
    [summary] = client.get("/api/studies").json()["study_summaries"]
    return client.get(f"/api/studies/{summary['study_id']}").json()


def test_a_job_is_a_study_whose_name_direction_and_metric_are_words(client: TestClient, job: Job) -> None:
    [summary] = client.get("/api/studies").json()["study_summaries"]
    assert summary["study_name"] == f"digits, what rate? ({str(job.id)[:8]})"
    assert summary["directions"] == ["minimize"]
    study = the_study(client)
    assert study["objective_names"] == ["loss"]
    assert [column["name"] for column in study["union_search_space"]] == ["learning_rate"]
    attributes = {item["key"]: item["value"] for item in summary["user_attrs"]}
    assert attributes["objective"] == "quadratic"


def test_trials_are_shown_in_their_states_and_a_diverged_one_as_infeasible(client: TestClient, job: Job) -> None:
    trials = the_study(client)["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Complete", "Pruned", "Running"]
    assert [trial["constraints"] for trial in trials[:2]] == [[-1.0], [0.75]]
    assert [trial["values"] for trial in trials[:2]][1] == ["inf"]
    assert [point["value"] for point in trials[3]["intermediate_values"]] == [0.5]


def test_the_dashboard_is_live(client: TestClient, database: Database, worker: Worker, job: Job) -> None:
    assert len(the_study(client)["trials"]) == 4
    worker.train(1)
    for _ in range(400):  # it keeps what it has read for some seconds
        if len(the_study(client)["trials"]) == 5:
            return
        time.sleep(0.2)
    pytest.fail("the new trial is not shown")


ASSETS = {
    "/dashboard": "text/html",
    "/dashboard/": "text/html",
    "/dashboard/studies/{id}": "text/html",
    "/dashboard/studies/{id}/trials?numbers=0": "text/html",
    "/static/bundle.js": "text/javascript",
    "/favicon.ico": "application/gzip",  # so it says of its icon
    "/api/meta": "application/json",
    "/api/studies": "application/json",
    "/api/studies/{id}?after=0": "application/json",
    "/api/studies/{id}/param_importances": "application/json",
    "/csv/{id}": "text/csv",
}


@pytest.mark.filterwarnings("ignore:The number of trials is too small:UserWarning")
def test_everything_its_pages_ask_for_comes_through(client: TestClient, job: Job) -> None:
    for path, media_type in ASSETS.items():
        answer = client.get(path.format(id=job.study_id))
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(media_type), path
        assert client.head(path.format(id=job.study_id)).content == b""


@pytest.mark.parametrize("path", ["/favicon.ico", "/static/bundle.js"])
def test_its_files_come_through_to_clients_that_name_no_encoding(client: TestClient, path: str) -> None:
    del client.headers["accept-encoding"]
    answer = client.get(path)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


def test_the_front_page_leads_to_the_dashboard(client: TestClient) -> None:
    assert '<a href="/dashboard">' in client.get("/").text


def test_the_dashboards_pages_forbid_scripts_from_elsewhere(client: TestClient) -> None:
    assert "default-src 'self'" in client.get("/dashboard").headers["content-security-policy"]


def test_the_dashboards_pages_hide_what_would_be_refused(client: TestClient) -> None:
    page = client.get("/dashboard/studies/1")
    assert page.text.count("<style>\nbutton[aria-label=") == 1
    assert page.text.index("color: inherit }\n</style></head>") < page.text.index("<body>")
    assert int(page.headers["content-length"]) == len(page.content)
    # A browser that has the page of before asks whether it has changed, by the date of the package's file.
    again = client.get("/dashboard", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT", "Range": "bytes=0-9"})
    assert (again.status_code, again.text) == (200, page.text)
    assert "last-modified" not in again.headers
    assert "<style>\nbutton" not in client.get("/static/bundle.js").text


MUTATIONS = [
    ("POST", "/api/studies"),
    ("DELETE", "/api/studies/{id}"),
    ("POST", "/api/studies/{id}/rename"),
    ("PUT", "/api/studies/{id}/note"),
    ("POST", "/api/studies/{id}/preference"),
    ("PUT", "/api/studies/{id}/preference_feedback_component"),
    ("POST", "/api/studies/{id}/1/skip"),
    ("PUT", "/api/studies/{id}/1/note"),
    ("POST", "/dashboard"),
    ("DELETE", "/api/studies/{id}/"),
    ("PATCH", "/api/studies/{id}"),
    ("OPTIONS", "/api/studies"),
    ("POST", "/artifacts/{id}/1"),
    ("DELETE", "/artifacts/{id}/1/a"),
    ("DELETE", "/csv/{id}"),
    ("PUT", "/static/bundle.js"),
    ("delete", "/api/studies/{id}"),
]
ELSEWHERE = [
    ("POST", "/api/trials/1/tell"),
    ("POST", "/api/trials/1/user-attrs"),
    ("POST", "/api/generate_trial_filtering_func"),
    ("DELETE", "//api/studies/{id}"),
    ("DELETE", "/api//studies/{id}"),
    ("DELETE", "/x/../api/studies/{id}"),
    ("DELETE", "/API/studies/{id}"),
]


def contents(database: Database) -> list[Any]:
    with database.transaction() as conn:
        tables = conn.exec_driver_sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'optuna'").scalars()
        return [sorted(map(str, conn.exec_driver_sql(f"SELECT * FROM optuna.{table}"))) for table in sorted(tables)]


def test_the_dashboard_changes_nothing_whatever_it_is_sent(client: TestClient, database: Database, job: Job) -> None:
    the_study(client)
    before = contents(database)
    body = {"study_name": "x", "directions": ["minimize"], "body": "x", "version": 1, "state": "fail", "user_attrs": {}}
    for method, path in MUTATIONS:
        answer = client.request(method, path.format(id=job.study_id), json=body)
        assert (answer.status_code, answer.json()["type"]) == (405, "urn:stride:read-only"), (method, path)
        assert answer.headers["allow"] == "GET, HEAD"
        assert "/v1/jobs" in answer.json()["detail"]
    for method, path in ELSEWHERE:
        answer = client.request(method, path.format(id=job.study_id), json=body)
        assert answer.status_code in (404, 405), (method, path)
    override = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    client.get(f"/api/studies/{job.study_id}?_method=DELETE", headers=override)
    assert contents(database) == before


def test_a_study_that_does_not_exist_is_a_404(client: TestClient) -> None:
    assert client.get("/api/studies/999999").status_code == 404
    assert client.get("/csv/999999").status_code == 404


def test_the_stock_command_shows_the_same_studies(database: Database, job: Job) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = stock_url(database.url.render_as_string(hide_password=False))
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), url, "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                [summary] = httpx2.get(f"http://127.0.0.1:{port}/api/studies", timeout=60).json()["study_summaries"]
                break
            except httpx2.ConnectError:
                assert process.poll() is None, process.stdout and process.stdout.read().decode()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert summary["study_name"] == job.study_name
        study = httpx2.get(f"http://127.0.0.1:{port}/api/studies/{summary['study_id']}", timeout=60).json()
        assert [trial["state"] for trial in study["trials"]] == ["Complete", "Complete", "Pruned", "Running"]
    finally:
        process.terminate()
        process.communicate()
