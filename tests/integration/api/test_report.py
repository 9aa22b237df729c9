"""A job's report: one file that holds all it needs, whatever the job's trials."""

import base64
import html
import re
from hashlib import sha256

import pytest
from starlette.testclient import TestClient

from service.api.pages import job_content
from service.api.pages.standalone import SCRIPTS
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.test_pages import MARKUP, STATES
from tests.integration.api.training import Worker


def report(client: TestClient, job: Job) -> str:
    response = client.get(f"/v1/jobs/{job.id}/report")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8"), response.text
    return response.text


def without_scripts(found: str) -> str:
    return re.sub(r"<(script|style)>.*?</\1>", "", found, flags=re.DOTALL)


def numbers(found: str) -> list[int]:
    """The trials of the table, in its order."""
    return [int(number) for number in re.findall(r'<th scope="row" data-value="(\d+)">\1</th>', found)]


@pytest.mark.parametrize("state", STATES)
def test_a_report_holds_all_it_needs_whatever_the_jobs_trials(
    client: TestClient, database: Database, worker: Worker, state: str
) -> None:
    do, said = STATES[state]
    job = submit_job(database, name=MARKUP, labels={"team": "<b>"}, budget={"trials": 30})
    do(worker)
    found = without_scripts(report(client, job))
    for each in said:
        assert each in found, each
    assert "<img src=x" not in found
    assert "<b>" not in found
    # What would ask a server for something: nothing is loaded, no button sends, and only the one link leads to a page of it.
    assert not re.search(r"""\ssrc="|<link|<form|data-(post|load|changes)=""", found)
    links = [link for link in re.findall(r'href="([^"]*)"', found) if not link.startswith("https://")]
    assert links == ["#main", f"http://127.0.0.1/jobs/{job.id}"]


def test_its_policy_allows_its_own_scripts_alone(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 30})
    worker.train(20)
    response = client.get(f"/v1/jobs/{job.id}/report")
    scripts = re.findall(r"<script>(.*?)</script>", response.text, flags=re.DOTALL)
    assert len(scripts) == len(SCRIPTS)
    hashes = [f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    within = html.unescape(re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', response.text)[0])
    directives = dict(each.split(" ", 1) for each in within.split("; "))
    assert directives["script-src"].split() == hashes
    assert directives["default-src"] == "'none'"
    assert "connect-src" not in directives, "so that it is 'none', as all that is not named"
    assert response.headers["content-security-policy"] == f"{within}; frame-ancestors 'none'"
    assert response.headers["content-disposition"] == f'inline; filename="stride-{str(job.id)[:8]}.html"'


def test_its_table_begins_with_the_best_trial_and_as_many_are_printed_as_fit(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database, budget={"trials": 30})
    worker.train(26)
    found = report(client, job)
    trials = {each["number"]: each for each in ask(client, f"/v1/jobs/{job.id}/trials", limit=100)["items"]}
    assert len(numbers(found)) == 26
    complete = [number for number in numbers(found) if trials[number]["state"] == "complete"]
    assert complete == sorted(complete, key=lambda number: trials[number]["value"])
    assert numbers(found)[: len(complete)] == complete, "those that diverged are last"
    assert len(re.findall(r'<tr data-key="\d+" class="rest">', found)) == 6
    assert '<p class="printed-only">The 20 best of 26 trials.</p>' in found


def test_of_more_trials_than_a_table_takes_it_holds_the_best_of_all(
    client: TestClient, database: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_content, "MOST_TRIALS", 4)
    job = submit_job(database, budget={"trials": 12})
    worker.train(12)
    found = report(client, job)
    assert "The 4 best of 12 trials." in found
    assert numbers(found)[0] == ask(client, f"/v1/jobs/{job.id}")["best"]["number"]
    assert len(numbers(found)) == 4


def test_a_maximized_metric_has_its_largest_value_first(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, direction="maximize", metric="score", budget={"trials": 6})
    worker.train(6)
    assert numbers(report(client, job))[0] == ask(client, f"/v1/jobs/{job.id}")["best"]["number"]


def test_without_the_job_there_is_a_problem_and_no_page(client: TestClient) -> None:
    assert ask(client, "/v1/jobs/ffffffff/report", 404)["type"] == "urn:stride:job-not-found"
