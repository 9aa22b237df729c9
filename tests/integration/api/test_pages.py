"""The pages as they are served: every state of a job, and markup in every string that users give."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI, Response
from starlette.testclient import TestClient

from service.api.pages import changes, job_content
from service.app import create_app
from service.dispatch.outcome import Completed, Failed, Pruned
from service.dispatch.takeover import take_over
from service.domain.job import Job
from service.domain.trial import TrialError
from service.settings import Settings
from service.store.leases import release
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker, diverged

MARKUP = "<img src=x onerror=alert(1)>'\"&{{ 7 * 7 }}"


AS_BROWSERS = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def page(client: TestClient, path: str, status: int = 200) -> str:
    response = client.get(path, headers=AS_BROWSERS)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8"), response.text
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    return response.text


def test_there_are_no_jobs_at_first_and_no_worker(client: TestClient) -> None:
    found = page(client, "/")
    assert "There is no job yet." in found
    assert "No worker runs" in found


def test_jobs_are_listed_and_narrowed(client: TestClient, database: Database, worker: Worker) -> None:
    submit_job(database, name="first", labels={"team": "vision"})
    submit_job(database, name="second")
    worker.train(1)
    assert re.findall(r">(first|second)</a>", page(client, "/")) == ["second", "first"]
    assert re.search(r"test:1, cpu,\s+idle", page(client, "/"))
    for query, names in (
        ("q=FIR", ["first"]),
        ("q=quadratic", ["second", "first"]),
        ("q=%25", []),
        ("label=team:vision", ["first"]),
        ("state=queued", ["second"]),
        ("q=&state=", ["second", "first"]),
    ):
        assert re.findall(r">(first|second)</a>", page(client, f"/?{query}")) == names, query
    assert "No job is like that." in page(client, "/?q=third")


def test_workers_are_shown_with_the_trial_that_each_trains(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database)
    worker.train(1)
    assert "1</span> worker:" in page(client, "/")
    assert "idle" in page(client, "/")
    worker.claim()
    found = page(client, "/")
    assert f'<a href="/jobs/{job.id}/trials/1">trial 1 of {str(job.id)[:8]}</a>' in found
    assert "idle" not in found


def test_a_job_that_no_worker_can_train_says_what_it_waits_for(client: TestClient, database: Database) -> None:
    job = submit_job(database, name="first")
    said = '<span class="waits">waits for a worker that offers quadratic</span>'
    for path in (f"/jobs/{job.id}", "/", f"/v1/jobs/{job.id}/report"):
        assert said in client.get(path).text, path
    Worker(database)
    for path in (f"/jobs/{job.id}", "/", f"/v1/jobs/{job.id}/report"):
        assert "waits for" not in client.get(path).text, path


def test_older_jobs_are_on_further_pages(client: TestClient, database: Database) -> None:
    for number in range(45):
        submit_job(database, name=f"job-{number}")
    path, names = "/?q=job-", []
    while path:
        found = page(client, path)
        names += re.findall(r">(job-\d+)</a>", found)
        more = re.search(r'<a href="([^"]+)">Older jobs', found)
        path = more[1].replace("&amp;", "&") if more else ""
    assert names == [f"job-{number}" for number in reversed(range(45))]


def nothing(_worker: Worker) -> None: ...


def some(worker: Worker) -> None:
    worker.train(20)


def all_diverged(worker: Worker) -> None:
    worker.train(6, diverged)


def pruned(worker: Worker) -> None:
    worker.train(3)
    for _ in range(3):
        claim = worker.claim()
        worker.report(claim, 2.0)
        worker.finish(claim, Pruned(value=2.0, step=1))


def failed(worker: Worker) -> None:
    worker.train(3, lambda _: Failed(error=TrialError(type=MARKUP, message=MARKUP)))


def odd_attributes(worker: Worker) -> None:
    worker.train(2)
    diagnose(worker, '{"<i>converged": "<i>"}', "5")


def nothing_learned(worker: Worker) -> None:
    worker.train(20, lambda claim: Completed(value=2.3 + 0.001 * float(claim.params["learning_rate"])))
    diagnose(worker, *['{"plateaued": "flat"}'] * 20)


def diagnose(worker: Worker, *diagnoses: str) -> None:
    """Of the trials from the first on, as a script that uses stock Optuna may write them."""
    with worker._database.transaction() as conn:
        for number, value in enumerate(diagnoses):
            conn.exec_driver_sql(
                "INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)"
                " SELECT trial_id, 'diagnosis', %(value)s FROM optuna.trials WHERE number = %(number)s",
                {"number": number, "value": value},
            )


STATES: dict[str, tuple[Callable[[Worker], None], list[str]]] = {
    "nothing": (nothing, ["There is no answer yet.", "None has begun."]),
    "some": (some, ["Learning rate <strong>", 'data-part="response"', '<p class="verdict ']),
    "all diverged": (all_diverged, ["There is no learning rate to recommend.", "all diverged", 'data-part="response"']),
    "nothing learned": (nothing_learned, ["There is no learning rate to recommend.", "<strong>nothing learned</strong>:"]),
    "pruned": (pruned, ["3 pruned"]),
    "odd attributes": (odd_attributes, ["&lt;i&gt;converged</summary>", "<summary>5</summary>"]),
    "failed": (failed, ["There is no answer yet."]),
}


@pytest.mark.parametrize("state", STATES)
def test_a_job_has_a_page_whatever_its_trials(client: TestClient, database: Database, worker: Worker, state: str) -> None:
    do, said = STATES[state]
    job = submit_job(database, name=MARKUP, labels={"team": "<b>"}, budget={"trials": 30})
    do(worker)
    found = page(client, f"/jobs/{job.id}")
    for each in said:
        assert each in found, each
    assert "<img src=x" not in found
    assert "<b>" not in found
    assert "more</button>" not in found, "the job runs"
    assert "49" not in re.findall(r"<h1>(.*)</h1>", found)[0]
    assert "<img src=x" not in page(client, "/")
    assert page(client, f"/jobs/{job.id}/rate") is not None


def test_the_rate_of_a_job_is_drawn_within_its_range(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 30})
    assert "svg" not in page(client, f"/jobs/{job.id}/rate")
    worker.train(20)
    found = page(client, f"/jobs/{job.id}/rate")
    assert 0 <= float(re.findall(r'cx="([\d.]+)"', found)[0]) <= 100


def test_where_nothing_learned_no_rate_is_recommended(client: TestClient, database: Database, worker: Worker) -> None:
    rates = {"learning_rate": LEARNING_RATE, "momentum": {"type": "float", "low": 0.0, "high": 0.9}, "epochs": 4}
    job = submit_job(database, budget={"trials": 20}, search_space=rates)
    nothing_learned(worker)
    assert ask(client, f"/v1/jobs/{job.id}/best-lr")["learning_rate"] is not None, "the answer says which is the least bad"
    found = page(client, f"/jobs/{job.id}")
    assert re.findall(r'data-part="([a-z-]+)"', found) == ["head", "answer", "advice", "response", "trials", "cost", "events"]
    assert "Expect a loss" not in found
    assert "you can expect" not in found
    assert page(client, f"/jobs/{job.id}/rate") == '<span class="soft">nothing learned</span>'


def test_what_is_not_there_is_a_page_too(client: TestClient, database: Database) -> None:
    assert "There is no such job" in page(client, "/jobs/ffffffff", 404)
    assert "The request is not valid" in page(client, "/jobs/no-id", 422)
    assert "The request is not valid" in page(client, "/?state=odd", 422)
    assert "There is nothing here" in page(client, "/nowhere", 404)
    refused = client.post("/", headers=AS_BROWSERS)
    assert (refused.status_code, "/ does not take POST" in refused.text) == (405, True)
    assert "GET" in refused.headers["allow"]
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get("/v1/nowhere", headers=AS_BROWSERS).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/?q=%00",
        "/?label=a:%00",
        "/?cursor=%00",
        "/jobs/%00",
        "/jobs/%00/rate",
        "/compare?jobs=%00",
        "/new?from=%00",
        "/new?objective=%00",
    ],
)
def test_what_postgresql_cannot_hold_is_refused_on_a_page(client: TestClient, path: str) -> None:
    page(client, path, 422)


def test_an_error_of_ours_is_a_page_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("service.api.pages.jobs.jobs.page", fails)
    found = page(client, "/", 500)
    assert "An internal error occurred" in found
    assert "secret" not in found


def test_a_page_takes_what_links_from_elsewhere_add(client: TestClient, database: Database) -> None:
    """Such as ?utm_source=; the API refuses what it does not know."""
    job = submit_job(database)
    for path in ("/", f"/jobs/{job.id}", "/new", "/learn", f"/compare?jobs={job.id}"):
        page(client, f"{path}{'&' if '?' in path else '?'}utm_source=letter")
    assert client.get("/v1/jobs?utm_source=letter").status_code == 422


def test_a_page_answers_head(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    for path in ("/", f"/jobs/{job.id}", "/new", "/learn", "/compare"):
        assert client.head(path).status_code == 200, path
    assert client.head("/jobs/ffffffff").status_code == 404


def test_a_page_without_its_database_says_so_and_asks_again(database: Database) -> None:
    lost = Database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    app: FastAPI = create_app(Settings.model_validate({"objective_modules": "tests.quadratic"}), lost)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        found = page(client, "/", 503)
    assert "The database cannot be reached right now" in found
    assert '<meta http-equiv="refresh" content="2">' in found


@pytest.mark.parametrize(
    ("name", "kind"), [("stride.css", "text/css"), ("stride.js", "text/javascript"), ("plotly.js", "text/javascript")]
)
def test_what_pages_load_comes_from_here_and_is_sent_once(client: TestClient, name: str, kind: str) -> None:
    first = client.get(f"/assets/{name}", headers={"Accept-Encoding": "gzip"})
    assert (first.status_code, first.headers["content-encoding"]) == (200, "gzip")
    assert first.headers["content-type"].startswith(kind)
    assert client.get(f"/assets/{name}", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get("/assets/../render.py").status_code in (404, 422)
    assert client.get("/assets/render.py").status_code == 422


def test_a_page_is_told_what_has_changed(
    app: FastAPI, client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:

    job: Job = submit_job(database)
    monkeypatch.setattr(changes, "EVERY_S", 0.01)
    monkeypatch.setattr(changes, "FOR_S", 0.5)
    with client.stream("GET", f"/jobs/{job.id}/changes") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: changed"
    app.state.stopping.set()
    assert "event" not in client.get("/changes").text, "the server stops: the stream ends at once"


def test_what_follows_a_page_knows_how_long_it_took(
    app: FastAPI, client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def stream(seen: object, is_stopping: object, took: Callable[[], float]) -> Response:
        asked.append(took())
        return Response()

    monkeypatch.setattr("service.api.pages.job.stream", stream)
    job = submit_job(database)
    client.get(f"/jobs/{job.id}/changes")
    page(client, f"/jobs/{str(job.id)[:8]}")
    client.get(f"/jobs/{job.id}/changes")
    before, after = asked
    assert before == 0.0 < after == app.state.pace.took(job.id)


def test_a_trial_has_a_page_with_all_that_is_known_of_it(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, name=MARKUP, budget={"trials": 10})
    claim = worker.claim()
    before = page(client, f"/jobs/{job.id}/trials/0")
    assert "Its training has printed nothing." in before
    assert ">running<" in before
    worker.report(claim, 2.0, log=f"epoch 1 {MARKUP}")
    worker.finish(claim, Failed(error=TrialError(type=MARKUP, message=MARKUP, traceback=f"line 1\n{MARKUP}")))
    worker.train(2)
    found = page(client, f"/jobs/{job.id}/trials/0")
    assert "<img src=x" not in found
    assert found.count("&lt;img src=x") > 5, "name, error, traceback and log"
    assert 'data-part="metrics"' in found
    assert "After epoch 1: loss 2." in found
    assert "test:1" in found, "the worker of its attempt"
    assert "trial 1</a>" in found
    last = page(client, f"/jobs/{job.id}/trials/2")
    assert "trial 3</a>" not in last
    assert "has no trial 3." in page(client, f"/jobs/{job.id}/trials/3", 404)
    with client.stream("GET", f"/jobs/{job.id}/trials/0/changes") as response:
        assert next(line for line in response.iter_lines() if line.startswith("event")) == "event: changed"


def test_a_table_of_many_trials_is_on_several_pages(
    client: TestClient, database: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_content, "MOST_TRIALS", 4)
    job = submit_job(database, budget={"trials": 10})
    worker.train(10)
    path, numbers = f"/jobs/{job.id}", []
    while path:
        found = page(client, path)
        numbers += [int(number) for number in re.findall(r"/trials/(\d+)\">", found)]
        more = re.search(r'<a href="([^"]+)#trials">Further trials', found)
        path = more[1] if more else ""
    assert numbers == list(range(10))
    assert "Trials 8 to 9 of 10." in found
    assert "The first</a>" in found
    beyond = page(client, f"/jobs/{job.id}?after=99999")
    assert "There are no further trials." in beyond
    assert f'<a href="/jobs/{job.id}#trials">The first</a>' in beyond


def test_diverged_trials_have_no_value_to_sort_by(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 10})
    worker.train(2, diverged)
    worker.train(1, lambda _: Completed(value=0.25))
    found = page(client, f"/jobs/{job.id}")
    assert re.findall(r'<td>(\w+)</td>\s*<td data-value="([^"]*)">([^<]*)</td>', found) == [
        *[("diverged", "", "-")] * 2,
        ("complete", "0.25", "0.25"),
    ]
    assert ">diverged</span>" in page(client, f"/jobs/{job.id}/trials/0")


def test_a_cancelled_job_without_a_trial_promises_no_answer(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    assert client.post(f"/v1/jobs/{job.id}/cancel").status_code == 200
    found = page(client, f"/jobs/{job.id}")
    assert "There is no answer." in found
    assert "Try 16 trials</button>" in found


def test_choices_that_are_true_or_false_are_shown_as_they_are_submitted(
    client: TestClient, database: Database, worker: Worker
) -> None:
    nesterov = {"type": "categorical", "choices": [True, False]}
    job = submit_job(database, search_space={"learning_rate": LEARNING_RATE, "nesterov": nesterov, "epochs": 4})
    params = worker.train(1)[0].params
    shown = "true" if params["nesterov"] else "false"
    assert f">{shown}</td>" in page(client, f"/jobs/{job.id}")
    assert f"<td>{shown}</td>" in page(client, f"/jobs/{job.id}/trials/0")


def test_the_headline_names_few_of_many_parameters_and_a_list_all(client: TestClient, database: Database, worker: Worker) -> None:
    others = {f"parameter_{number:03}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(100)}
    job = submit_job(database, search_space={"learning_rate": LEARNING_RATE, **others, "epochs": 4}, budget={"trials": 20})
    worker.train(20)
    found = page(client, f"/jobs/{job.id}")
    said = re.findall(r'<p class="headline">(.*)</p>', found)[0]
    assert said.count("parameter_") == 4
    assert said.endswith(" and 96 more")
    listed = re.findall(r"<summary>All 100 other parameters</summary><p>(.*?)</p>", found)[0]
    assert re.findall(r"(\w+)=", listed) == sorted(others)


def test_few_parameters_stand_in_the_headline_alone(client: TestClient, database: Database, worker: Worker) -> None:
    others = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in "abcd"}
    job = submit_job(database, search_space={"learning_rate": LEARNING_RATE, **others, "epochs": 4}, budget={"trials": 30})
    worker.train(30)
    found = page(client, f"/jobs/{job.id}")
    assert re.search(r"</strong> with a=\S+ b=\S+ c=\S+ d=\S+</p>", found)
    assert "other parameters</summary>" not in found


def test_a_link_leads_past_the_table_of_trials(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 10})
    assert "Past the trials" not in page(client, f"/jobs/{job.id}")
    worker.train(1)
    found = page(client, f"/jobs/{job.id}")
    target = re.findall(r'<a class="skip" href="#([a-z]+)">Past the trials</a>', found)[0]
    assert f' id="{target}"' in found.split("</table>", 1)[1]


def test_what_a_job_cost_is_told_by_what_became_of_its_trials(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 10})
    assert "What it cost" not in page(client, f"/jobs/{job.id}")
    worker.train(2)
    worker.train(1, diverged)
    claim = worker.claim()
    database.transact(lambda conn: release(conn, claim.lease, "draining"))
    database.transact(lambda conn: take_over(conn, claim.lease.id, job.id))
    worker.claim()
    found = page(client, f"/jobs/{job.id}")
    rows = dict(re.findall(r'<th scope="row">([a-z ]+)</th><td>(\d+)</td>', found))
    assert rows == {"complete trials": "2", "diverged trials": "1", "interrupted attempts": "1", "running trials": "1"}
    assert re.search(r"5 attempts took [\d.]+ s of workers&#39; time within [\d.]+ s", found)


def test_more_trials_are_offered_where_they_would_help(client: TestClient, database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 6})
    worker.train(6)
    assert "Try 16 more</button>" in page(client, f"/jobs/{job.id}")
    job = submit_job(database, budget={"trials": 6})
    worker.train(6, diverged)
    assert "more</button>" not in page(client, f"/jobs/{job.id}")


def test_speed_is_shown_against_the_final_value_where_several_trials_reach_the_target(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database, budget={"trials": 10})
    worker.train(1)
    assert 'data-part="trade-off"' not in page(client, f"/jobs/{job.id}")
    for losses in ([1.0, 0.5, 0.5], [0.6, 0.52, 0.52], [2.0, 1.5, 1.2]):
        claim = worker.claim()
        for step, loss in enumerate(losses, start=1):
            worker.report(claim, loss, step)
        worker.finish(claim, Completed(value=losses[-1]))
    found = page(client, f"/jobs/{job.id}")
    assert 'data-part="trade-off"' in found
    assert "2 others do not reach it" in found
