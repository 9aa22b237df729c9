"""The page that compares jobs: two or more, those that cannot be compared, and those that cannot be compared yet."""

import html
import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.pages import changes
from service.dispatch.outcome import Completed
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.test_comparisons import RATES, adam, sgd, submit, train
from tests.integration.api.test_pages import MARKUP, page
from tests.integration.api.training import Worker, diverged

__all__ = ["adam", "sgd"]  # fixtures


def text(found: str) -> str:
    """What a page says, in one line."""
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", found).split()))


def parts(found: str) -> list[str]:
    return re.findall(r'data-part="([a-z-]+)"', found)


def test_two_recipes_stand_side_by_side_each_at_its_own_best_rate(client: TestClient, sgd: Job, adam: Job) -> None:
    found = page(client, f"/compare?jobs={str(sgd.id)[:8]}&jobs={adam.id}&learning_rate=0.05")
    said = text(found)
    assert "mode=fancy is best: it expects 0.1" in said
    assert re.search(r"mode=plain is worse by (0.09\d+|0.1\d*) \(", said)
    assert "At one learning rate of 0.05 for all, mode=plain would win" in said
    assert parts(found) == ["answer", "recipes", "curves", "best-values", "shared"]
    assert re.findall(r">(mode=\w+)</a>", found) == ["mode=fancy", "mode=plain"], "the best first"
    assert "at 0.05 for all" in said
    assert not re.findall(r"at \S+ for all", text(page(client, f"/compare?jobs={sgd.id},{adam.id}")))
    assert "10/10 10 seeds" in said
    assert f'data-changes="/compare/changes?jobs={sgd.id},{adam.id}"' in found


def test_a_job_that_searched_no_rate_stands_beside_one_that_did(
    client: TestClient, database: Database, worker: Worker, adam: Job
) -> None:
    space = {"learning_rate": 0.02, "mode": "plain"}
    fixed = submit(database, space=space, strategy="grid", replicates=3, try_first=[], budget={"trials": 3})
    for loss in (0.5, 0.52, 0.49):
        claim = worker.claim()
        worker.report(claim, loss, 4)
        worker.finish(claim, Completed(value=loss))
    found = page(client, f"/compare?jobs={fixed.id},{adam.id}&learning_rate=0.05")
    said = text(found)
    assert "mode=fancy is best: it expects 0.1" in said
    assert re.search(r"mode=plain is worse by 0.4\d* \(.*\) by the expected values", said)
    assert "mode=plain searched no learning rate: it took 3 trials, and mode=fancy 10." in said
    assert "its learning rate is 0.02" in said
    assert parts(found) == ["answer", "recipes", "curves", "best-values", "shared"]
    assert "A level line is what to expect" in html.unescape(found)


def test_a_job_that_is_named_twice_is_one(client: TestClient, sgd: Job, adam: Job) -> None:
    assert "Compare 2 jobs" in page(client, f"/compare?jobs={sgd.id},{adam.id},{str(sgd.id)[:8]}")


def test_ten_recipes_with_names_that_are_markup(client: TestClient, database: Database, worker: Worker) -> None:
    jobs = []
    for number in range(10):
        jobs.append(submit(database, name=f"{number} {MARKUP}"))
        train(worker, jobs[-1], shift=10 ** (number / 9 - 0.5), above=number / 10)
    found = page(client, f"/compare?jobs={','.join(str(job.id) for job in jobs)}")
    assert "<img src=x" not in found
    assert "49" not in re.findall(r'class="headline">(.*)</p>', found)[0]
    assert f"0 {MARKUP} is best" in text(found)
    assert [int(number) for number in re.findall(r">(\d) &lt;img[^<]*</a>", found)] == list(range(10)), "the best first"
    # A label is escaped for the attribute, and within it for Plotly, which takes <b> and the like for markup.
    assert "&amp;lt;img src=x" in re.findall(r'data-figure="([^"]*)"', found)[0]


def test_a_recipe_that_cannot_be_judged_is_listed_last_with_its_reason(
    client: TestClient, database: Database, worker: Worker, sgd: Job, adam: Job
) -> None:
    wild = submit(database, name="wild")
    worker.train(len(RATES), diverged)
    found = page(client, f"/compare?jobs={wild.id},{sgd.id},{adam.id}")
    said = text(found)
    assert "is not judged: every rate tried diverged, down to 0.0001." in said
    assert [str(job.id) for job in (adam, sgd, wild)] == re.findall(r'<a href="/jobs/([^"]+)"', found)


def test_fewer_than_two_jobs_are_told_how_to_choose_more(client: TestClient, adam: Job) -> None:
    for query in ("", "?jobs=", f"?jobs={adam.id}"):
        found = page(client, f"/compare{query}")
        assert "Choose two jobs or more." in found, query
    assert '<a href="/jobs/' in found


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"metric": "score", "direction": "maximize"}, "metric 'score' where the first job has 'loss'"),
        ({"direction": "maximize"}, "direction 'maximize' where the first job has 'minimize'"),
    ],
)
def test_what_is_another_measure_is_said_by_its_job(
    client: TestClient, database: Database, adam: Job, other: dict[str, str], why: str
) -> None:
    score = submit(database, **other)
    said = text(page(client, f"/compare?jobs={adam.id},{score.id}"))
    assert "The jobs cannot be compared." in said
    assert f"Job {str(score.id)[:8]}: its metric is not the same measure" in said
    assert why in said


def test_jobs_without_results_are_waited_for(client: TestClient, database: Database, adam: Job) -> None:
    new = submit(database, name="new")
    found = page(client, f"/compare?jobs={adam.id},{new.id}")
    assert "There is nothing to compare yet." in found
    assert "none of its trials has finished, and it is queued" in text(found)
    assert "data-changes=" in found
    assert parts(found) == ["answer", "recipes"]


def test_what_is_no_job_is_a_page_that_says_so(client: TestClient, database: Database, adam: Job) -> None:
    assert "There is no such job" in page(client, "/compare?jobs=ffffffff", 404)
    assert "/jobs/1: should be the id of a job, not 'latest'" in text(page(client, f"/compare?jobs={adam.id},latest", 422))
    assert "/learning_rate" in page(client, f"/compare?jobs={adam.id}&learning_rate=0", 422)
    many = [submit_job(database).id for _ in range(21)]
    assert "These should be 2 to 20 jobs, not 21." in text(page(client, f"/compare?jobs={','.join(map(str, many))}"))


def test_jobs_are_ticked_on_the_list(client: TestClient, sgd: Job, adam: Job) -> None:
    found = page(client, "/")
    assert '<form id="compare" method="get" action="/compare">' in found
    ticks = re.findall(r'<input type="checkbox" name="jobs" value="([^"]+)" form="compare"', found)
    assert ticks == [str(adam.id), str(sgd.id)]


def test_a_comparison_is_told_what_has_changed(
    app: FastAPI, client: TestClient, database: Database, worker: Worker, adam: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(database)
    monkeypatch.setattr(changes, "EVERY_S", 0.01)
    monkeypatch.setattr(changes, "FOR_S", 0.05)
    address = f"/compare/changes?jobs={adam.id},{job.id}"
    assert client.get(address).text.count("event: changed") == 1, "at once, for what has changed since the page was made"
    monkeypatch.setattr(changes, "FOR_S", 1.0)
    with client.stream("GET", address) as response:
        events = (line for line in response.iter_lines() if line.startswith("event"))
        assert next(events) == "event: changed"
        worker.train(1)
        assert next(events) == "event: changed"
    app.state.stopping.set()
