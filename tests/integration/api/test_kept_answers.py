"""Answers that are kept, and questions that wait for one another."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.analysis.answer.best_lr import answered
from service.api.kept_answers import seen_of
from service.store.postgres import Database
from tests.factories import submit_job
from tests.finished_jobs import a_job, a_trial, curve
from tests.integration.api.training import Worker

MANY = 60
"""More than the threads that all endpoints share."""


def test_questions_that_wait_for_answers_keep_no_other_endpoint_waiting(
    client: TestClient, database: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit_job(database, budget={"trials": 2})
    worker.train(2)
    may_think = threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> Any:
        assert may_think.wait(60)
        return answered(*args, **kwargs)

    monkeypatch.setattr("service.api.kept_answers.answered", slowly)

    def question(number: int) -> Callable[[], int]:
        return lambda: client.get(f"/v1/jobs/{job.id}/best-lr", params={"tolerance": 1 + number}).status_code

    with ThreadPoolExecutor(MANY + 1) as pool:
        asked = [pool.submit(question(number)) for number in range(MANY)]
        try:
            assert pool.submit(lambda: client.get(f"/v1/jobs/{job.id}").status_code).result(timeout=30) == 200
            assert not any(one.done() for one in asked)
        finally:
            may_think.set()
        assert {one.result(timeout=60) for one in asked} == {200}


def test_what_an_answer_rests_on_is_told_in_few_bytes() -> None:
    trials = [a_trial(number, 0.01, 0.2) for number in range(5_000)]
    assert len(repr(seen_of(a_job(), trials, {}))) < 500
    assert seen_of(a_job(), trials, {}) != seen_of(a_job(), trials[:-1], {})
    assert seen_of(a_job(), trials, {}) == seen_of(a_job(), list(trials), {})


def test_what_retention_deletes_is_part_of_what_an_answer_rests_on() -> None:
    trials, measured = [a_trial(0, 0.01, 0.2)], {0: curve(0.3, 0.2)}
    emptied = {0: tuple(replace(point, fraction=None) for point in measured[0])}
    assert seen_of(a_job(), trials, measured) == seen_of(a_job(), trials, dict(measured))
    assert seen_of(a_job(), trials, measured) != seen_of(a_job(), trials, emptied)
