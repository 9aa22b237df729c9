"""A client of the REST API that trains `quadratic` by the declaration in its job, as another language would."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from starlette.testclient import TestClient

from service.store import jobs, trial_reader
from service.store.postgres import Database
from tests.integration.api.asking import ask
from tests.quadratic import QUADRATIC, start

RATE = {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 11}


def declared(**overrides: Any) -> dict[str, Any]:
    """What the catalog says of `quadratic`, as a job's own objective."""
    parameters = [
        {"name": "learning_rate", "type": "float", "default": 0.1, "space": RATE, "low": 0.0, "low_open": True},
        {"name": "epochs", "type": "int", "default": 4, "low": 1},
        {"name": "momentum", "type": "float", "default": 0.9, "low": 0.0, "high": 1.0, "high_open": True},
    ]
    metrics = [{"name": metric.name, "direction": metric.direction} for metric in QUADRATIC.metrics]
    named = {"name": "external", "parameters": parameters, "metrics": metrics, "steps": "epochs", "step_word": "epoch"}
    return named | {"settings": {"model": "parabola"}} | overrides


class ExternalClient:
    """Claims trials of one job, and trains them; each request is sent twice, and must be answered the same."""

    def __init__(self, client: TestClient, job: dict[str, Any], name: str = "client", *, twice: bool = True) -> None:
        self.client = client
        self.job_id = UUID(job["id"])
        self.job = f"/v1/jobs/{job['id']}"
        self.name = name
        self._times = 2 if twice else 1

    def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        """What is answered to both."""
        answers = [self.client.post(f"{self.job}{path}", json=body) for _ in range(self._times)]
        assert [answer.status_code for answer in answers] == [status] * self._times, answers[-1].text
        assert answers[0].json() == answers[-1].json()
        return answers[0].json()

    def claim(self, tokens: int = 1) -> list[dict[str, Any]]:
        """Up to so many trials."""
        trials: list[dict[str, Any]] = self.ask(tokens)["trials"]
        return trials

    def ask(self, tokens: int = 1) -> Any:
        """The whole answer to a claim; one with trials is asked for again with the same tokens."""
        body = {"worker": self.name, "tokens": [str(uuid4()) for _ in range(tokens)]}
        answer = self.client.post(f"{self.job}/claims", json=body)
        assert answer.status_code == 200, answer.text
        if answer.json()["trials"] and self._times > 1:
            assert self.client.post(f"{self.job}/claims", json=body).json()["trials"] == answer.json()["trials"]
        return answer.json()

    def only(self) -> dict[str, Any]:
        """The next trial, which there must be."""
        [trial] = self.claim()
        return trial

    def to(self, trial: dict[str, Any], what: str, status: int = 200, /, **body: Any) -> Any:
        """Send something about a trial."""
        return self.post(f"/trials/{trial['number']}/{what}", status, token=trial["token"], **body)

    def measure(self, trial: dict[str, Any], *losses: float, first: int = 1) -> Any:
        """Report these losses, from step `first` on."""
        return self.to(trial, "measurements", measurements=[step(first + index, loss) for index, loss in enumerate(losses)])

    def keep(self, trial: dict[str, Any], at: int, content: bytes, status: int = 200, **headers: str) -> Any:
        """Store a checkpoint of that step."""
        sent = {"content-type": "application/octet-stream"} | headers
        path = f"{self.job}/trials/{trial['number']}/checkpoint"
        for _ in range(self._times):
            answer = self.client.put(path, params={"token": trial["token"], "step": at}, content=content, headers=sent)
            assert answer.status_code == status, answer.text
        return answer.json()

    def read(self, trial: dict[str, Any], status: int = 200) -> Any:
        """The step of the last checkpoint, and its content."""
        path = f"{self.job}/trials/{trial['number']}/checkpoint"
        for _ in range(self._times):
            answer = self.client.get(path, params={"token": trial["token"]})
            assert answer.status_code == status, answer.text
        return answer.json() if status != 200 else (int(answer.headers["stride-step"]), answer.content)

    def shown(self, number: int = 0) -> Any:
        """A trial, as everybody sees it."""
        return ask(self.client, f"{self.job}/trials/{number}")

    def events(self) -> Sequence[str]:
        """The types of the job's events, in their order."""
        return [event["type"] for event in self.client.get(f"{self.job}/events?limit=100").json()["items"]]

    def train(self, trial: dict[str, Any], *, batch: int = 1) -> Any:
        """Train a trial as a worker would, from its first step; returns the answer to its end."""
        run = start(trial["params"], {}, trial["seed"], "cpu", 1)
        pending = list[dict[str, Any]]()
        for item in run:
            pending.append(step(item.step, item.metrics["loss"], score=item.metrics["score"]))
            if len(pending) == batch:
                if self.to(trial, "measurements", measurements=pending)["answer"] != "go_on":
                    return self.to(trial, "finish")
                pending = []
        return self.to(trial, "finish", measurements=pending, test_metrics=run.evaluate())


def step(number: int, loss: float, **metrics: float) -> dict[str, Any]:
    """One step, as JSON has it."""
    return {"step": number, "metrics": {name: _sent(value) for name, value in {"loss": loss, **metrics}.items()}}


def _sent(value: float) -> float | str:
    return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]


def submitted(client: TestClient, **overrides: Any) -> dict[str, Any]:
    """A job for clients."""
    document = {"objective": declared(), "strategy": "random", "budget": {"trials": 6}} | overrides
    answer = client.post("/v1/jobs", json=document)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def asking(client: TestClient, **overrides: Any) -> ExternalClient:
    """A client of a job of its own."""
    return ExternalClient(client, submitted(client, **overrides))


def expire(database: Database, trial: dict[str, Any]) -> None:
    """End the lease of a trial now."""
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.leases SET expires_at = clock_timestamp() - interval '1 s' WHERE token = %(token)s",
            {"token": UUID(trial["token"])},
        )


def trial_id(conn: Any, asks: ExternalClient) -> int:
    """Of the job's first trial."""
    return trial_reader.trial_id(conn, jobs.get(conn, asks.job_id), 0)
