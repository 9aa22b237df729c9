"""Clients that train trials of a job by HTTP: what they get, what they are told, and what is stored of them."""

import math
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient

from service.api import claims
from service.dispatch import clients, outcome
from service.domain.job import Job
from service.store import jobs, measurements, trial_reader
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import ask
from tests.integration.api.clients.external_client import ExternalClient, asking, step, submitted
from tests.integration.api.conftest import SETTINGS
from tests.integration.dispatch.training import stored
from tests.integration.worker.supervised import Supervised


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
        asks = asking(client, **document)
        while found := asks.claim():
            asks.train(found[0], batch=batch)
        with database.transaction() as conn:
            told = jobs.get(conn, asks.job_id)
        assert all_of(database, told) == expected
        assert told.state == trained.state == "completed"
        assert asks.events() == ExternalClient(client, of_worker).events()


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
    turn = client.app.state.clients.turn(asks.job_id)  # type: ignore[attr-defined]
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
    assert (asks.shown()["state"], asks.shown()["diverged_at_step"]) == ("infeasible", 3)
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
    assert asks.shown()["value"] == value
    if "error" in body:
        assert asks.shown()["error"] == body["error"]
    if result == "completed":
        assert asks.shown()["user_attrs"]["commit"] == "abc"
        assert "error" not in asks.shown()["user_attrs"]


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
