"""The notes that optuna-dashboard shows of jobs: written once for each change, by one process, whatever goes wrong."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from service.api import notes
from service.api.kept_answers import KeptAnswers
from service.dispatch import lifecycle
from service.dispatch import notes as dispatch
from service.dispatch.outcome import Completed, Failed, Pruned
from service.domain.job import Job
from service.domain.trial import TrialError
from service.store import notes as store
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.training import Worker, diverged
from tests.tcp_proxy import Mode, TcpProxy

DEADLINE_S = 60.0
SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 0.4, "log": True},
    "mode": {"type": "categorical", "choices": ["plain", "<b>fancy</b>"]},
    "epochs": 4,
}


def written(database: Database) -> bool:
    return notes.write_next(database, KeptAnswers())


def later(database: Database) -> None:
    """So much later that notes of running jobs are due again."""
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.notes SET written_at = written_at - interval '1 hour'")


def study(client: TestClient, job: Job) -> Any:
    """As the dashboard shows it."""
    return client.get(f"/api/studies/{job.study_id}").json()


def note(client: TestClient, job: Job) -> Any:
    return study(client, job)["note"]


def test_the_dashboard_shows_the_answer_its_curve_and_what_is_said_of_trials(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database, search_space=SPACE, budget={"trials": 40})
    worker.train(12)
    slow = {"diagnosis": {"too_slow": "it fell by *3%*"}}
    worker.train(1, lambda claim: Completed(value=2.0, user_attrs=slow))
    worker.train(1, lambda claim: Pruned(value=1.5, step=2))
    worker.train(1, lambda claim: Failed(error=TrialError(type="ValueError", message="[no](http://127.0.0.1) data")))
    assert written(database)
    found = study(client, job)
    best = client.get(f"/v1/jobs/{job.id}/best-lr").json()
    assert f"## Learning rate {best['learning_rate']:.4g} with mode=" in found["note"]["body"]
    assert f"](/jobs/{job.id})" in found["note"]["body"]
    assert f"in trial {found['best_trials'][0]['number']}" in found["note"]["body"]
    assert "<b>" not in found["note"]["body"]
    assert [plot["id"] for plot in found["plotly_graph_objects"]] == ["stride-response"]
    said = {trial["number"]: trial["note"]["body"] for trial in found["trials"]}
    assert r"**too\_slow**: it fell by \*3%\*" in said[12]
    assert "**pruned**: after step 2 by the pruner" in said[13]
    assert r"**ValueError**: \[no\](http" in said[14]
    assert f"](/jobs/{job.id}/trials/14)" in said[14]
    assert client.get(f"/jobs/{job.id}/trials/14").status_code == 200


def test_a_job_is_noted_again_when_trials_have_ended_rarely_while_it_runs_and_at_once_at_its_end(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database, budget={"trials": 4})
    assert not written(database), "nothing can be said of a job that is queued"
    running = worker.claim()
    assert written(database)
    assert note(client, job)["body"].startswith("## No answer yet")
    later(database)
    assert not written(database), "no trial has ended since"
    later(database)
    worker.finish(running, diverged(running))
    assert written(database)
    assert note(client, job)["version"] == 2
    worker.train(2)
    assert not written(database), "it was noted a moment ago"
    worker.train(1)
    assert written(database), "it has ended"
    assert note(client, job) == {"version": 3, "body": note(client, job)["body"]}
    assert "This rests on 4 trials" in note(client, job)["body"]
    later(database)
    assert not written(database), "nothing can change any more"
    with database.transaction() as conn:
        assert store.n_ended(conn, job.study_id) == 4


def test_several_processes_write_the_notes_of_each_job_once(client: TestClient, database: Database, worker: Worker) -> None:
    jobs = []
    for seed in range(6):
        jobs.append(submit_job(database, seed=seed, budget={"trials": 5}))
        worker.train(5)
    others = [Database(database.url.render_as_string(hide_password=False)) for _ in range(3)]
    together = threading.Barrier(len(others))

    def write_all(own: Database) -> int:
        answers, n = KeptAnswers(), 0
        together.wait(DEADLINE_S)
        for _ in range(3 * len(jobs)):  # who finds a job held by another goes away empty-handed
            n += notes.write_next(own, answers)
        return n

    with ThreadPoolExecutor(len(others)) as pool:
        assert sum(pool.map(write_all, others)) == len(jobs)
    assert {note(client, job)["version"] for job in jobs} == {1}
    for own in others:
        own.close()


def test_what_a_process_has_begun_and_left_is_written_by_another_when_its_time_is_over(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database, budget={"trials": 2})
    worker.train(2)
    assert dispatch.take(database) is not None
    assert not written(database), "somebody writes them"
    with database.transaction() as conn:
        held_s = conn.exec_driver_sql(
            "UPDATE stride.notes SET held_until = clock_timestamp() RETURNING"
            " (SELECT extract(epoch FROM held_until - clock_timestamp())::float8 FROM stride.notes)"
        ).scalar_one()
    assert dispatch.HOLD_S - 20 < held_s < dispatch.HOLD_S
    assert written(database)
    assert note(client, job)["version"] == 1


def test_a_job_that_is_deleted_meanwhile_has_no_notes(database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 1})
    worker.train(1)
    taken = dispatch.take(database)
    assert taken is not None
    database.transact(lambda conn: lifecycle.delete(conn, job.id))
    dispatch.write(database, *taken, note="too late", plot=None, trials={})
    with database.transaction() as conn:
        for table in ("stride.notes", "optuna.study_system_attributes"):
            assert conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


def test_claims_wait_for_no_notes(database: Database, worker: Worker) -> None:
    job = submit_job(database, budget={"trials": 3})
    worker.train(1)
    with database.transaction() as conn:
        assert store.hold(conn, every_s=1.0, hold_s=1.0) is not None
        assert store.lock_study(conn, job.study_id)
        store.save(conn, job.study_id, note="note", plot="{}", trials={})
        worker.train(1)  # whose transactions would time out
    assert worker.claim().lease.number == 2


def test_a_job_whose_notes_cannot_be_made_is_logged_once_and_others_have_theirs(
    client: TestClient, database: Database, worker: Worker
) -> None:
    odd = submit_job(database, budget={"trials": 1})
    worker.train(1)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE optuna.trial_user_attributes SET value_json = 'no JSON'")  # by whomever
    good = submit_job(database, budget={"trials": 1})
    worker.train(1)
    with capture_logs() as logs:
        assert [written(database) for _ in range(4)].count(True) == 1
    assert [(line["event"], line["job"]) for line in logs] == [("notes.not_made", str(odd.id))]
    assert note(client, good)["version"] == 1


def statements(database: Database) -> int:
    """How many it takes to write the notes of one job."""
    seen = []

    def see(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", see)
    try:
        assert written(database)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", see)
    return len(seen)


def test_it_takes_as_many_statements_for_few_trials_as_for_many(database: Database, worker: Worker) -> None:
    counts = []
    for trials in (2, 80):
        submit_job(database, budget={"trials": trials})
        worker.train(trials)
        counts.append(statements(database))
    assert counts[0] == counts[1] <= 17


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread rests for moments only."""
    monkeypatch.setattr(notes, "LOOK_S", 0.05)
    monkeypatch.setattr(notes, "REST", 0.0)


def test_notes_are_kept_through_an_outage_and_the_thread_ends_with_its_process(
    client: TestClient, database: Database, worker: Worker, quick: None
) -> None:
    stopping = threading.Event()
    with TcpProxy(database.url.render_as_string(hide_password=False)) as proxy:
        own = Database(proxy.url, timeout_s=1.0)
        first = submit_job(database, budget={"trials": 1})
        worker.train(1)
        with capture_logs() as logs, notes.kept(own, KeptAnswers(), stopping):
            wait_for_note(client, first)
            proxy.mode = Mode.RESET
            second = submit_job(database, budget={"trials": 1})
            worker.train(1)
            until = time.monotonic() + DEADLINE_S
            while not logs:
                assert time.monotonic() < until
                time.sleep(0.05)
            time.sleep(1.0)
            proxy.mode = Mode.PASS
            wait_for_note(client, second)
            began = time.monotonic()
        assert time.monotonic() - began < notes.END_S
        assert [line["event"] for line in logs] == ["database.unavailable", "database.available"]
        assert "notes" not in {thread.name for thread in threading.enumerate()}
        own.close()


def wait_for_note(client: TestClient, job: Job) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while note(client, job)["version"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
