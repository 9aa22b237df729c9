"""Requests of clients that are wrong: each is pointed at, and nothing is stored."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient

from tests.integration.api.asking import ask
from tests.integration.api.clients.external_client import asking, step

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
