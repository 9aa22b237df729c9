"""Clients that are interrupted, paused, cancelled or vanish: what becomes of their trials, and who goes on with them."""

from uuid import UUID, uuid4

from starlette.testclient import TestClient

from service.dispatch.sweeper import tidy_up
from service.store import leases, workers
from service.store.postgres import Database
from tests.integration.api.asking import ask
from tests.integration.api.clients.external_client import asking, expire, step, trial_id
from tests.integration.api.conftest import SETTINGS
from tests.polling import wait_until


def test_a_paused_job_has_its_trials_back_with_a_checkpoint_and_goes_on_from_it(client: TestClient, database: Database) -> None:
    asks = asking(client)
    trial = asks.only()
    asks.measure(trial, 1.0, 0.9)
    client.post(f"{asks.job}/pause")
    told = asks.measure(trial, 0.8, first=3)
    assert (told["answer"], told["reason"], told["state"]) == ("stop", "the job is paused", "paused")
    asks.keep(trial, 3, b"weights")
    assert asks.to(trial, "release", reason="the job is paused") == {"state": "paused"}
    assert asks.ask() == {"state": "paused", "trials": [], "retry_after_s": SETTINGS.poll_s}
    client.post(f"{asks.job}/resume")
    again = asks.only()
    assert (again["number"], again["attempt"], again["resume_step"]) == (0, 2, 3)
    assert again["params"] == trial["params"]
    assert asks.read(again) == (3, b"weights")
    assert asks.to(trial, "heartbeat", 409)["detail"].endswith("it was given back, and the trial was taken over.")
    asks.measure(again, 0.7, first=4)
    assert asks.to(again, "finish")["result"] == "completed"
    attempts = asks.shown()["attempts"]
    assert [(each["outcome"], each["from_step"], each["worker"]) for each in attempts] == [
        ("released", None, "client"),
        ("finished", 3, "client"),
    ]
    assert asks.events().count("trial.resumed") == 1


def test_an_expired_lease_is_taken_over_by_the_next_claim(client: TestClient, database: Database) -> None:
    asks = asking(client, budget={"trials": 1})
    trial = asks.only()
    asks.measure(trial, 1.0)
    expire(database, trial)
    asks.name = "another"
    again = asks.only()
    assert (again["number"], again["attempt"], again["resume_step"], again["seed"]) == (0, 2, None, trial["seed"])
    for what, body in (
        ("measurements", {"measurements": [step(2, 0.9)]}),
        ("heartbeat", {}),
        ("release", {}),
        ("finish", {}),
    ):
        problem = asks.to(trial, what, 409, **body)
        assert problem["type"] == "urn:stride:lease-lost"
        assert problem["detail"].endswith("it expired, and the trial was taken over.")
    asks.keep(trial, 1, b"x", 409)
    with database.transaction() as conn:
        assert leases.fruitless_attempts(conn, trial_id(conn, asks)) == 0  # its client is there, so the trial has not killed it
    asks.train(again)
    assert ask(client, asks.job)["state"] == "completed"


def test_what_was_given_back_or_has_expired_comes_before_a_new_trial(client: TestClient, database: Database) -> None:
    asks = asking(client, max_attempts=2)
    one, other = asks.claim(2)
    asks.to(one, "release")
    expire(database, other)
    again = asks.claim(3)
    assert [(trial["number"], trial["attempt"]) for trial in again] == [(1, 2), (0, 2), (2, 1)]
    for trial in again[:2]:  # the first of them has no attempt left
        expire(database, trial)
    assert (asks.only()["number"], asks.shown(1)["state"]) == (0, "failed")


def test_a_trial_fails_after_so_many_attempts_that_vanish(client: TestClient, database: Database) -> None:
    asks = asking(client, max_attempts=2, budget={"trials": 1})
    for _ in range(2):
        expire(database, asks.only())
    wait_until(lambda: asks.ask()["state"] == "failed", "the end of the job")
    assert asks.shown()["error"]["type"] == "AttemptsExhausted"


def test_a_trial_that_runs_out_of_time_is_pruned(client: TestClient, database: Database) -> None:
    asks = asking(client, limits={"trial_seconds": 100})
    trial = asks.only()
    assert asks.measure(trial, 0.5)["answer"] == "go_on"
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.leases SET started_at = started_at - interval '101 s' WHERE token = %(token)s",
            {"token": UUID(trial["token"])},
        )
    told = asks.to(trial, "heartbeat")
    assert (told["answer"], told["reason"]) == ("prune", "limits.trial_seconds, 100 s")
    assert asks.to(trial, "finish")["result"] == "pruned"
    assert asks.shown()["user_attrs"]["stopped_by"] == "limits.trial_seconds, 100 s"


def test_a_cancelled_job_ends_its_trials(client: TestClient) -> None:
    asks = asking(client)
    trial = asks.only()
    client.post(f"{asks.job}/cancel")
    assert asks.to(trial, "heartbeat", 409)["detail"].endswith("its job is over.")
    assert asks.ask() == {"state": "cancelled", "trials": [], "retry_after_s": None}


def test_clients_are_seen_among_the_workers_and_are_none(client: TestClient, database: Database) -> None:
    asks = asking(client)
    asks.name = "a notebook"
    trial = asks.only()
    [seen] = [each for each in ask(client, "/v1/workers", limit=100)["items"] if each["name"] == "a notebook"]
    assert (seen["state"], seen["objectives"], seen["open_leases"], seen["device"]) == ("training", ["external"], 1, "http")
    assert ask(client, asks.job)["waiting_for"] is None
    asks.train(trial)
    worker = uuid4()
    with database.transaction() as conn:
        workers.register(conn, worker, name="host:1", objectives=[], device="cpu", version="1", lost_after_s=30)
        assert (workers.hosts_before(conn, worker), workers.seen(conn, worker)) == (0, 1)
        conn.exec_driver_sql("UPDATE stride.workers SET seen_at = seen_at - interval '1 h' WHERE name = 'a notebook'")
    tidy_up(database)
    [seen] = [each for each in ask(client, "/v1/workers", limit=100)["items"] if each["name"] == "a notebook"]
    assert seen["state"] == "stopped"
    with database.transaction() as conn:
        lost = conn.exec_driver_sql("SELECT count(*) FROM stride.events WHERE type = 'worker.lost'").scalar_one()
        workers.stopped(conn, worker)
    assert lost == 0
