"""Clients that train trials of a job by HTTP: what they get, what they are told, and what is stored of them."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.testclient import TestClient

from service.api import claims, client_checkpoints
from service.api.clients import RECEIVED_AT_ONCE
from service.app import create_app
from service.dispatch import clients, outcome
from service.dispatch.sweeper import tidy_up
from service.domain.job import Job
from service.store import jobs, leases, measurements, trial_reader, workers
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.asking_for_trials import ExternalClient, declared, events, step
from tests.integration.api.conftest import SETTINGS
from tests.integration.dispatch.training import stored
from tests.integration.worker.supervised import Supervised
from tests.polling import wait_until


@pytest.fixture(scope="module")
def database(shared_database: Database) -> Database:
    """One for all: each test has a job of its own, and clients claim of one job only."""
    return shared_database


@pytest.fixture(scope="module")
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def submitted(client: TestClient, **overrides: Any) -> dict[str, Any]:
    document = {"objective": declared(), "strategy": "random", "budget": {"trials": 6}} | overrides
    answer = client.post("/v1/jobs", json=document)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def asking(client: TestClient, **overrides: Any) -> ExternalClient:
    return ExternalClient(client, submitted(client, **overrides))


def shown(asking: ExternalClient, number: int = 0) -> Any:
    return ask(asking.client, f"{asking.job}/trials/{number}")


def expire(database: Database, trial: dict[str, Any]) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.leases SET expires_at = clock_timestamp() - interval '1 s' WHERE token = %(token)s",
            {"token": UUID(trial["token"])},
        )


def all_of(database: Database, job: Job) -> list[dict[str, Any]]:
    """All that is stored of a job's trials; but of a divergence the words are the run's own, where it notices it itself."""
    with database.transaction() as conn:
        curves = [
            measurements.of_trial(conn, trial_reader.trial_id(conn, job, number))
            for number in range(len(trial_reader.page(conn, job, limit=100)))
        ]
    return [
        {
            "state": trial.state.name,
            "values": trial.values,
            "params": trial.params,
            "distributions": trial.distributions,
            "user": {name: value for name, value in trial.user_attrs.items() if name not in ("divergence", "diagnosis")},
            "diagnosis": list(trial.user_attrs.get("diagnosis", ())),
            "system": trial.system_attrs,
            "values by step": trial.intermediate_values,
            "curve": [(each.step, each.fraction, each.learning_rate, each.metrics) for each in curve],
        }
        for trial, curve in zip(stored(database, job), curves, strict=True)
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"strategy": "grid", "pruner": {"type": "median", "startup_trials": 2}},
        {"strategy": "bayesian", "budget": {"trials": 16, "confirm": 2}},
        {"strategy": "random", "pruner": "successive_halving", "replicates": 2, "budget": {"trials": 12}, "metric": "score"},
    ],
)
def test_what_clients_train_is_stored_as_what_a_worker_trains(
    client: TestClient, database: Database, document: dict[str, Any]
) -> None:
    document = document | {"seed": 3, "search_space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1.0, "log": True}}}
    document["search_space"]["learning_rate"] |= {"points": 9} if document["strategy"] == "grid" else {}
    of_worker = submitted(client, objective={"name": "quadratic"}, **document)
    worker = Supervised(database, modules=["tests.quadratic"])
    while (claim := worker.claimer.claim(uuid4())) is not None:
        worker.supervisor.run_trial(claim)
    worker.trainer.end()
    with database.transaction() as conn:
        trained = jobs.get(conn, UUID(of_worker["id"]))
    expected = all_of(database, trained)
    for trial in expected:  # its objective has the parameter `mode`, which no trial searches
        trial["user"].pop("ignored", None)
    for batch in (1, 3):
        of_clients = submitted(client, **document)
        asks = ExternalClient(client, of_clients)
        while found := asks.claim():
            asks.train(found[0], batch=batch)
        with database.transaction() as conn:
            told = jobs.get(conn, UUID(of_clients["id"]))
        assert all_of(database, told) == expected
        assert told.state == trained.state == "completed"
        assert events(client, of_clients) == events(client, of_worker)


def test_a_claim_gives_as_many_trials_as_there_are_and_says_when_to_ask_again(client: TestClient) -> None:
    asks = asking(client, budget={"trials": 3})
    answer = asks.ask(2)
    assert (answer["state"], len(answer["trials"]), answer["retry_after_s"]) == ("running", 2, 0.0)
    [first, second] = answer["trials"]
    assert (first["number"], second["number"], first["attempt"], first["resume_step"]) == (0, 1, 1, None)
    assert first["params"].keys() == {"learning_rate", "epochs", "momentum"}
    assert first["lease_s"] == SETTINGS.lease_s
    answer = asks.ask(5)
    assert (len(answer["trials"]), answer["retry_after_s"]) == (1, SETTINGS.poll_s)
    for trial in (first, second, *answer["trials"]):
        asks.train(trial)
    assert asks.ask() == {"state": "completed", "trials": [], "retry_after_s": None}


def test_a_claim_that_does_not_get_its_turn_soon_is_to_ask_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "WAITS_S", 0.05)
    asks = asking(client)
    trial = asks.only()
    turn = client.app.state.clients.turn(UUID(asks_job(asks)["id"]))  # type: ignore[attr-defined]
    assert client.portal is not None
    client.portal.call(turn.acquire)
    assert asks.ask() == {"state": "running", "trials": [], "retry_after_s": SETTINGS.poll_s}
    body = {"worker": asks.name, "tokens": [str(uuid4()), trial["token"]]}
    assert client.post(f"{asks.job}/claims", json=body).json()["trials"] == [trial]
    client.portal.call(turn.release)
    assert asks.only()["number"] == 1


def test_a_claim_with_a_slow_sampler_gives_few_trials_at_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CLAIMING", 1e9)  # the first trial takes longer
    answer = ExternalClient(client, submitted(client), twice=False).ask(3)
    assert ([trial["number"] for trial in answer["trials"]], answer["retry_after_s"]) == ([0], SETTINGS.poll_s)


def test_a_token_is_answered_as_before_while_its_lease_is_open(client: TestClient) -> None:
    asks = asking(client)
    token = str(uuid4())
    answers = [asks.post("/claims", worker="one", tokens=[token]) for _ in range(2)]
    assert answers[0]["trials"] == answers[1]["trials"]
    trial = answers[0]["trials"][0]
    asks.train(trial)
    assert asks.post("/claims", worker="one", tokens=[token])["trials"] == []


def test_a_token_of_another_client_or_job_is_refused(client: TestClient) -> None:
    asks, other = asking(client), asking(client)
    trial = asks.only()
    assert asks.post("/claims", 409, worker="another", tokens=[trial["token"]])["type"] == "urn:stride:token-in-use"
    assert other.post("/claims", 409, worker=asks.name, tokens=[trial["token"]])["type"] == "urn:stride:token-in-use"


def test_a_job_of_the_catalog_has_no_trials_for_clients(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    body = {"worker": "client", "tokens": [str(uuid4())]}
    answer = client.post(f"/v1/jobs/{job.id}/claims", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:stride:not-external")
    with database.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM stride.jobs WHERE id = %(id)s", {"id": job.id})


def test_max_parallel_holds_for_clients(client: TestClient) -> None:
    asks = asking(client, max_parallel=2)
    assert len(asks.claim(5)) == 2
    assert asks.ask()["retry_after_s"] == SETTINGS.poll_s


def test_what_has_no_number_has_diverged(client: TestClient) -> None:
    asks = asking(client)
    trial = asks.only()
    assert asks.measure(trial, 1.0, 0.9)["answer"] == "go_on"
    told = asks.measure(trial, math.nan, 0.1, first=3)
    assert (told["answer"], told["reason"]) == ("prune", "loss was nan at step 3")
    assert asks.measure(trial, 0.05, first=4)["answer"] == "prune"
    assert asks.to(trial, "finish") == {"result": "infeasible", "value": None, "state": "running"}
    assert (shown(asks)["state"], shown(asks)["diverged_at_step"]) == ("infeasible", 3)
    assert [item["step"] for item in ask(client, f"{asks.job}/trials/0/measurements")["items"]] == [1, 2, 3]
    other = asks.only()
    told = asks.to(other, "measurements", measurements=[step(1, 1.0, training_loss=math.inf)])
    assert (told["answer"], told["reason"]) == ("prune", "training_loss was inf at step 1")
    assert asks.to(other, "finish")["result"] == "infeasible"


@pytest.mark.parametrize(
    ("body", "result", "value"),
    [
        ({"value": 0.25}, "completed", 0.25),
        ({"value": "NaN"}, "infeasible", None),
        ({}, "failed", None),
        ({"error": {"type": "ValueError", "message": "no data", "traceback": "line 1"}}, "failed", None),
    ],
)
def test_a_trial_may_be_told_by_its_end_alone(client: TestClient, body: dict[str, Any], result: str, value: float | None) -> None:
    asks = asking(client)
    trial = asks.only()
    assert asks.to(trial, "finish", attributes={"commit": "abc", "error": "mine"}, **body) == {
        "result": result,
        "value": value,
        "state": "running",
    }
    assert shown(asks)["value"] == value
    if "error" in body:
        assert shown(asks)["error"] == body["error"]
    if result == "completed":
        assert shown(asks)["user_attrs"]["commit"] == "abc"
        assert "error" not in shown(asks)["user_attrs"]


def test_a_trial_is_judged_with_no_transaction_open(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = asking(client)
    trial = asks.only()
    asks.measure(trial, 1.0)
    diagnosis, held = outcome.Curve.diagnosis, list[int]()

    def observed(*arguments: Any) -> Any:
        with database.transaction() as conn:
            query = (
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database()"
                " AND relation = 'stride.measurements'::regclass AND pid <> pg_backend_pid()"
            )
            held.append(conn.exec_driver_sql(query).scalar_one())
        return diagnosis(*arguments)

    monkeypatch.setattr(outcome.Curve, "diagnosis", observed)
    assert asks.to(trial, "finish")["result"] == "completed"
    assert held == [0]  # the measurements of a long run take seconds, and the server ends a transaction that idles for as long


def test_too_many_failures_in_a_row_end_the_job(client: TestClient) -> None:
    asks = asking(client, budget={"trials": 9, "failures": 2})
    for state in ("running", "failed"):
        error = {"type": "ValueError", "message": "no data"}
        assert asks.to(asks.only(), "finish", error=error)["state"] == state
    assert asks.ask() == {"state": "failed", "trials": [], "retry_after_s": None}


def test_a_paused_job_has_its_trials_back_with_a_checkpoint_and_goes_on_from_it(client: TestClient, database: Database) -> None:
    asks = asking(client)
    trial = asks.only()
    asks.measure(trial, 1.0, 0.9)
    client.post(f"{asks.job}/pause")
    told = asks.measure(trial, 0.8, first=3)
    assert (told["answer"], told["reason"], told["state"]) == ("stop", "the job is paused", "paused")
    keep(asks, trial, 3, b"weights")
    assert asks.to(trial, "release", reason="the job is paused") == {"state": "paused"}
    assert asks.ask() == {"state": "paused", "trials": [], "retry_after_s": SETTINGS.poll_s}
    client.post(f"{asks.job}/resume")
    again = asks.only()
    assert (again["number"], again["attempt"], again["resume_step"]) == (0, 2, 3)
    assert again["params"] == trial["params"]
    assert read(asks, again) == (3, b"weights")
    assert asks.to(trial, "heartbeat", 409)["detail"].endswith("it was given back, and the trial was taken over.")
    asks.measure(again, 0.7, first=4)
    assert asks.to(again, "finish")["result"] == "completed"
    attempts = shown(asks)["attempts"]
    assert [(each["outcome"], each["from_step"], each["worker"]) for each in attempts] == [
        ("released", None, "client"),
        ("finished", 3, "client"),
    ]
    assert events(client, asks_job(asks)).count("trial.resumed") == 1


def asks_job(asks: ExternalClient) -> dict[str, Any]:
    return {"id": asks.job.rpartition("/")[2]}


def keep(asks: ExternalClient, trial: dict[str, Any], at: int, content: bytes, status: int = 200, **headers: str) -> Any:
    sent = {"content-type": "application/octet-stream"} | headers
    path = f"{asks.job}/trials/{trial['number']}/checkpoint"
    for _ in range(2):
        answer = asks.client.put(path, params={"token": trial["token"], "step": at}, content=content, headers=sent)
        assert answer.status_code == status, answer.text
    return answer.json()


def read(asks: ExternalClient, trial: dict[str, Any], status: int = 200) -> Any:
    path = f"{asks.job}/trials/{trial['number']}/checkpoint"
    for _ in range(2):
        answer = asks.client.get(path, params={"token": trial["token"]})
        assert answer.status_code == status, answer.text
    return answer.json() if status != 200 else (int(answer.headers["stride-step"]), answer.content)


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
    keep(asks, trial, 1, b"x", 409)
    with database.transaction() as conn:
        assert leases.fruitless_attempts(conn, trial_id(conn, asks)) == 0  # its client is there, so the trial has not killed it
    asks.train(again)
    assert ask(client, asks.job)["state"] == "completed"


def trial_id(conn: Any, asks: ExternalClient) -> int:
    return trial_reader.trial_id(conn, jobs.get(conn, UUID(asks_job(asks)["id"])), 0)


def test_what_was_given_back_or_has_expired_comes_before_a_new_trial(client: TestClient, database: Database) -> None:
    asks = asking(client, max_attempts=2)
    one, other = asks.claim(2)
    asks.to(one, "release")
    expire(database, other)
    again = asks.claim(3)
    assert [(trial["number"], trial["attempt"]) for trial in again] == [(1, 2), (0, 2), (2, 1)]
    for trial in again[:2]:  # the first of them has no attempt left
        expire(database, trial)
    assert (asks.only()["number"], shown(asks, 1)["state"]) == (0, "failed")


def test_a_trial_fails_after_so_many_attempts_that_vanish(client: TestClient, database: Database) -> None:
    asks = asking(client, max_attempts=2, budget={"trials": 1})
    for _ in range(2):
        expire(database, asks.only())
    wait_until(lambda: asks.ask()["state"] == "failed", "the end of the job")
    assert shown(asks)["error"]["type"] == "AttemptsExhausted"


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
    assert shown(asks)["user_attrs"]["stopped_by"] == "limits.trial_seconds, 100 s"


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


def test_a_log_and_its_checkpoints_are_kept(client: TestClient, database: Database) -> None:
    asks = asking(client)
    trial = asks.only()
    assert read(asks, trial, 404)["type"] == "urn:stride:no-checkpoint"
    assert asks.to(trial, "heartbeat", log="epoch 1\n")["answer"] == "go_on"
    assert ask(client, f"{asks.job}/trials/0/log")["log"] == "epoch 1\n"
    asks.measure(trial, 1.0, 0.9)
    assert keep(asks, trial, 1, b"one")["answer"] == "go_on"
    assert keep(asks, trial, 2, b"two")["answer"] == "go_on"
    assert read(asks, trial) == (2, b"two")
    with database.transaction() as conn:  # as a damaged disk would
        conn.exec_driver_sql(
            "UPDATE stride.checkpoints SET content = 'twx' WHERE step = 2 AND trial_id = %(id)s", {"id": trial_id(conn, asks)}
        )
    assert read(asks, trial) == (1, b"one")
    assert events(client, asks_job(asks)).count("checkpoint.damaged") == 1


STEPS = [step(1, 0.5)]


@pytest.mark.parametrize(
    ("what", "body", "pointer", "said"),
    [
        ("claims", {"worker": "c", "tokens": []}, "/tokens", "should have at least 1 entries"),
        ("claims", {"worker": "c", "tokens": [str(UUID(int=n)) for n in range(65)]}, "/tokens", "at most 64 entries"),
        ("claims", {"worker": "c", "tokens": [str(UUID(int=1))] * 2}, "", "draw a new one for every trial"),
        ("claims", {"worker": "c", "tokens": ["one"]}, "/tokens/0", "valid UUID"),
        ("measurements", {"measurements": []}, "/measurements", "at least 1 entries"),
        ("measurements", {"measurements": STEPS * 1_001}, "/measurements", "at most 1000 entries"),
        ("measurements", {"measurements": [*STEPS, step(1, 0.4)]}, "/measurements/1/step", "go upwards"),
        ("measurements", {"measurements": [step(0, 0.4)]}, "/measurements/0/step", "greater than or equal to 1"),
        (
            "measurements",
            {"measurements": [step(1, 0.4, other=1)]},
            "/measurements/0/metrics/other",
            "no metric 'other'",
        ),
        (
            "measurements",
            {"measurements": [{"step": 1, "metrics": {"score": 1}}]},
            "/measurements/0/metrics",
            "loss is missing, the job's metric",
        ),
        ("measurements", {"measurements": [{"step": 1, "metrics": {"loss": "nan"}}]}, "/measurements/0/metrics/loss", "a number"),
        ("measurements", {"measurements": [STEPS[0] | {"fraction": 1.5}]}, "/measurements/0/fraction", "less than or equal to 1"),
        ("claims", {"worker": "c", "tokens": [str(UUID(int=1))], "n": 2}, "/n", "the fields are: worker, tokens"),
        (
            "measurements",
            {"measurements": [STEPS[0] | {"loss": 1}]},
            "/measurements/0/loss",
            "is not a field here; the fields are: step, fraction, learning_rate, in_warmup, seconds, metrics",
        ),
        ("finish", {"error": {"kind": "E", "message": ""}}, "/error/kind", "the fields are: type, message, traceback"),
        ("finish", {"value": "low"}, "/value", "a number"),
        ("finish", {"error": "broken"}, "/error", "should be an object"),
    ],
)
def test_what_is_wrong_is_pointed_at_and_nothing_is_stored(
    client: TestClient, what: str, body: dict[str, Any], pointer: str, said: str
) -> None:
    asks = asking(client)
    trial = asks.only() if what != "claims" else {}
    path = "/claims" if what == "claims" else f"/trials/0/{what}"
    answer = client.post(f"{asks.job}{path}", json=body | ({"token": trial["token"]} if trial else {}))
    assert answer.status_code == 422, answer.text
    faults = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert said in faults[pointer], faults
    progress = ask(client, asks.job)["progress"]["trials"]
    assert (progress["running"], progress["total"]) == ((0, 0) if what == "claims" else (1, 1))
    if trial:
        assert ask(client, f"{asks.job}/trials/0/measurements")["items"] == []


def test_a_token_reports_its_own_trial_only(client: TestClient) -> None:
    asks = asking(client)
    one, other = asks.claim(2)
    problem = asks.to({"number": one["number"], "token": other["token"]}, "measurements", 409, measurements=STEPS)
    assert problem["type"] == "urn:stride:lease-lost"
    assert "the token holds no lease on trial 0" in problem["detail"].lower()
    asks.to({"number": 77, "token": one["token"]}, "heartbeat", 404)
    asks.to({"number": 0, "token": str(uuid4())}, "finish", 409)


def test_checkpoints_are_bytes_of_a_step_that_was_measured_and_not_too_many(client: TestClient) -> None:
    asks = asking(client)
    trial = asks.only()
    assert "was not measured" in keep(asks, trial, 1, b"x", 422)["errors"][0]["detail"]
    asks.measure(trial, 1.0)
    assert "is empty" in keep(asks, trial, 1, b"", 422)["errors"][0]["detail"]
    keep(asks, trial, 1, b"x", 415, **{"content-type": "application/json"})
    keep(asks, trial, 1, bytes(200_000))  # more than other bodies may have
    keep(asks, trial, 1, bytes(SETTINGS.checkpoint_max_bytes + 1), 413)
    asks.to(trial, "measurements", 413, measurements=STEPS, padding="x" * 200_000)


def test_checkpoints_that_do_not_go_on_coming_leave_room_for_others(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_checkpoints, "SILENT_S", 0.2)
    asks = asking(client)
    trials = asks.claim(RECEIVED_AT_ONCE + 1)
    for trial in trials:
        asks.measure(trial, 1.0)

    async def stopped() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def store() -> list[int]:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(client.app), base_url="http://127.0.0.1")
        contents = [*(stopped() for _ in range(RECEIVED_AT_ONCE)), b"x"]
        async with http, asyncio.timeout(20):
            answers = await asyncio.gather(
                *(
                    http.put(
                        f"{asks.job}/trials/{trial['number']}/checkpoint",
                        params={"token": trial["token"], "step": 1},
                        content=content,
                        headers={"content-type": "application/octet-stream"},
                    )
                    for trial, content in zip(trials, contents, strict=True)
                )
            )
        return [answer.status_code for answer in answers]

    assert client.portal is not None
    assert client.portal.call(store) == [408] * RECEIVED_AT_ONCE + [200]
