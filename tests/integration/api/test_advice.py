"""Advice, through the API, on trials that a worker stored."""

import html
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.domain.job import Job
from service.domain.measurement import RunSummary
from service.store import measurements
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker

LOW = {"type": "float", "low": 1e-5, "high": 1e-3, "log": True}
GOOD = {"type": "float", "low": 1e-4, "high": 0.4, "log": True}


def trained_job(database: Database, worker: Worker, rates: dict[str, Any], trials: int = 16) -> Job:
    job = submit_job(database, search_space={"learning_rate": rates, "epochs": 4, "momentum": 0.9}, budget={"trials": trials})
    worker.train(trials)
    return job


def test_a_range_too_narrow_is_advised_on_and_the_next_job_can_be_posted(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = trained_job(database, worker, LOW)
    found = ask(client, f"/v1/jobs/{job.id}/advice")
    assert found["job"] == str(job.id)
    [item] = found["items"]
    assert item["code"] == "range_too_narrow"
    assert item["source"]["link"].startswith("https://")
    assert item["numbers"]["high"] == 1e-3
    assert item["trials"]
    answer = client.post("/v1/jobs", json=item["next_job"])
    assert answer.status_code == 202, answer.text
    following = answer.json()["spec"]
    assert following["search_space"]["learning_rate"]["high"] == pytest.approx(0.1)
    assert (following["budget"]["trials"], following["seed"]) == (16, job.spec.seed)
    worker.train(16)
    best = ask(client, f"/v1/jobs/{answer.json()['id']}")["best"]["value"]
    assert best < ask(client, f"/v1/jobs/{job.id}")["best"]["value"]


def test_a_healthy_job_gets_no_advice_and_neither_does_one_without_trials(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = trained_job(database, worker, GOOD)
    found = ask(client, f"/v1/jobs/{job.id}/advice")
    assert (found["items"], found["because"]) == ([], "Nothing stands out in 16 trials.")
    empty = submit_job(database)
    found = ask(client, f"/v1/jobs/{empty.id}/advice")
    assert (found["items"], found["because"]) == ([], "The job is queued, and none of its trials has a result.")


def test_there_is_no_advice_on_a_job_that_does_not_exist(client: TestClient) -> None:
    assert ask(client, "/v1/jobs/00000000-0000-0000-0000-000000000000/advice", 404)["type"] == "urn:stride:job-not-found"


def test_runs_are_summed_up_as_far_as_they_were_measured(database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 2})
    first, second = worker.claim(), worker.claim()
    for step, clipped in enumerate((1.0, 1.0, 0.5, 0.7), start=1):
        metrics = {"loss": 1.0, "clipped_share": clipped, "gradient_norm": float(step), "update_to_weight_ratio": step / 100}
        losses = [(10 * step - 5, 1.0), (10 * step, 1.0)]
        worker.report(first, 1.0, step, metrics=metrics, update_losses=losses)
    worker.report(second, 1.0, 4, metrics={"loss": 1.0, "gradient_norm": float("nan")})
    with database.transaction() as conn:
        found = measurements.summaries(conn, job.study_id, [0, 1])
    assert found[0].clipped == pytest.approx(0.6)
    assert (found[0].gradient_norm, found[0].updates, found[0].update_to_weight) == (2.5, 40, pytest.approx(0.025))
    assert found[1] == RunSummary()


def test_the_page_of_a_job_shows_its_advice_with_the_job_that_its_button_submits(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = trained_job(database, worker, LOW)
    [item] = ask(client, f"/v1/jobs/{job.id}/advice")["items"]
    page = client.get(f"/jobs/{job.id}").text
    section = page[page.index('data-part="advice"') :]
    section = html.unescape(section[: section.index("</section>")])
    assert "What to do next" in section
    assert item["advice"] in section
    assert item["evidence"] in section
    assert json.dumps(item["next_job"], separators=(",", ":")) in section
    healthy = trained_job(database, worker, GOOD)
    assert 'data-part="advice"' not in client.get(f"/jobs/{healthy.id}").text
