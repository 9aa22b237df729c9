"""A database of before phases became rows and budgets columns is migrated, answers as it did, and goes on."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from service.store import migrate, revision
from service.store.postgres import Database
from tests.conftest import execute
from tests.databases import connection_url
from tests.integration.worker.conftest import worker_processes
from tests.migration import before
from tests.polling import wait_until

RECORDED = before.recorded()
ASKED = {
    about: {question: answer for question, answer in answers.items() if not question.startswith(before.BEST_OF_ALL)}
    for about, answers in RECORDED.items()
    if about not in (before.EVENTS, before.NEXT_CLAIMS)
}
BEST_OF_ALL = {q: answer for q, (_, answer) in RECORDED[before.ACROSS_JOBS].items() if q.startswith(before.BEST_OF_ALL)}

QUEUED, PAUSED, UNTOUCHED = "wine, queued", "digits, paused in a trial", "quadratic, paused before it began"
KILLED, OVERDUE = "wine, its worker was killed", "quadratic, its time has passed"
IDEMPOTENCY_KEY = "key-of-before"

Copy = Callable[[], str]


@pytest.fixture(scope="module")
def copy(postgres_url: str) -> Copy:
    """Makes a copy of the database of before, and returns its URL. No copy is dropped: that waits for the disk, and all of them
    go with the server."""
    restored = f"before_{uuid4().hex}"
    execute(postgres_url, f"CREATE DATABASE {restored}")
    before.restore(connection_url(postgres_url, restored))

    def copied() -> str:
        name = f"test_{uuid4().hex}"
        execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {restored}")
        return connection_url(postgres_url, name)

    return copied


@pytest.fixture(scope="module")
def looked_at(copy: Copy) -> str:
    """A migrated copy for tests that change nothing."""
    return upgraded(copy())


@pytest.fixture(scope="module")
def client(looked_at: str) -> Iterator[TestClient]:
    with before.api(looked_at) as client:
        yield client


@pytest.fixture
def url(copy: Copy) -> str:
    """A migrated copy of the test's own."""
    return upgraded(copy())


def upgraded(url: str) -> str:
    """The same URL, its database migrated."""
    database = Database(url)
    migrate.upgrade(database)
    with database.transaction() as conn:
        revision.check(conn)
    database.close()
    return url


def id_of(name: str) -> str:
    """The job's id."""
    return next(iter(ASKED[name])).rpartition("/")[2]


@pytest.mark.parametrize("about", ASKED)
def test_every_question_is_answered_as_before(client: TestClient, about: str) -> None:
    different = []
    for question, answer in ASKED[about].items():
        found = before.differences(answer, before.answer(client, question), before.tolerance(question))
        different += [f"{question}\n    {line}" for line in found]
    assert not different, "\n".join(different)


@pytest.mark.parametrize("question", BEST_OF_ALL)
def test_the_best_answer_of_before_is_that_of_its_recipe_and_all_trials_are_found(client: TestClient, question: str) -> None:
    """It mixed recipes and measures; today there is an item for each, and conditions on settings are no more."""
    recorded = BEST_OF_ALL[question]
    conditions = dict(parse_qsl(question.partition("?")[2]))
    query = {"objective": conditions.pop("objective"), "metric": recorded["metric"], "limit": 100}
    items = client.get("/v1/best-lr", params=query).raise_for_status().json()["items"]
    conditions.pop("metric", None)
    among = [item for item in items if conditions.items() <= (item["measure"] | item["recipe"]).items()]
    [item] = [item for item in among if item["answer"]["job"] == recorded["job"]]
    expected = {name: value for name, value in recorded.items() if name != "evidence"}
    assert before.differences(expected, item["answer"], before.DRAWN) == []
    for count in ("trials", "infeasible", "pruned"):
        assert sum(each["answer"]["evidence"][count] for each in among) == recorded["evidence"][count]


def test_all_that_was_told_can_still_be_read(looked_at: str) -> None:
    database = Database(looked_at)
    assert before.events(database) == RECORDED[before.EVENTS]
    database.close()


def test_workers_are_given_the_trials_that_would_have_come_next(url: str) -> None:
    assert before.differences(RECORDED[before.NEXT_CLAIMS], before.next_claims(url), before.ROUNDED) == []


def test_a_request_that_was_sent_before_and_is_sent_again_is_answered_with_its_job(copy: Copy) -> None:
    url = copy()
    # The key would be forgotten after some days. Before the migration, since only that schema stays as it is.
    execute(url, f"UPDATE stride.jobs SET created_at = clock_timestamp() WHERE idempotency_key = '{IDEMPOTENCY_KEY}'")
    request = {
        "name": QUEUED,
        "objective": {"name": "tabular-classification", "settings": {"dataset": "wine", "width": 8}},
        "strategy": "random",
        "replicates": 2,
        "budget": {"trials": 4},
        "labels": {"team": "tables"},
        "seed": 8,
    }
    with before.api(upgraded(url)) as client:
        again = client.post("/v1/jobs", json=request, headers={"Idempotency-Key": IDEMPOTENCY_KEY})
        assert again.status_code == 202, again.text
        assert again.json()["id"] == id_of(QUEUED)
        another = client.post("/v1/jobs", json=request | {"seed": 9}, headers={"Idempotency-Key": IDEMPOTENCY_KEY})
        assert another.status_code == 422


def test_a_worker_goes_on_where_others_stopped(url: str, tmp_path: Path) -> None:
    with before.api(url) as client, worker_processes(url, tmp_path) as start:
        for name in (PAUSED, UNTOUCHED):
            assert client.post(f"/v1/jobs/{id_of(name)}/resume").is_success
        before.wait_for_takeovers(url)
        worker = start()
        for name in (PAUSED, UNTOUCHED, QUEUED, KILLED, OVERDUE):
            wait_until(partial(is_completed, client, name), f"the end of the job {name!r}")
        assert worker.stop() == 0

        assert job(client, OVERDUE)["reason"] == "time budget used up"
        for name, trials in ((PAUSED, 2), (UNTOUCHED, 5), (QUEUED, 4), (KILLED, 12)):
            assert job(client, name)["reason"] == "all trials of the budget have finished"
            assert job(client, name)["progress"]["trials"]["total"] == trials
        for name, number in ((PAUSED, 0), (KILLED, 6)):
            assert_went_on(client, f"/v1/jobs/{id_of(name)}/trials/{number}")
        for name in ASKED.keys() - {PAUSED, UNTOUCHED, QUEUED, KILLED, OVERDUE, before.ACROSS_JOBS}:
            [question, answer] = next(iter(ASKED[name].items()))
            assert before.differences(answer, before.answer(client, question), before.EXACT) == []


def job(client: TestClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/jobs/{id_of(name)}").json()
    return found


def is_completed(client: TestClient, name: str) -> bool:
    """Raises AssertionError when it ended otherwise."""
    found = job(client, name)
    assert found["state"] in ("queued", "running", "completed"), found
    return bool(found["state"] == "completed")


def assert_went_on(client: TestClient, path: str) -> None:
    """One more attempt went on from the checkpoint that the one before had left, and kept what was measured up to there."""
    attempts = client.get(path).json()["attempts"]
    *_, (_, recorded) = (answers[f"GET {path}"] for answers in ASKED.values() if f"GET {path}" in answers)
    assert len(attempts) == len(recorded["attempts"]) + 1
    assert attempts[-1]["outcome"] == "finished"
    from_step = attempts[-1]["from_step"]
    assert from_step >= 1
    question = f"GET {path}/measurements?limit=10"
    *_, (_, measured) = (answers[question] for answers in ASKED.values() if question in answers)
    _, now = before.answer(client, question)
    assert now[:from_step] == measured[:from_step]
    assert [step["step"] for step in now] == list(range(1, len(now) + 1))
    assert len(now) >= len(measured)
