"""Clients that train by HTTP under fault injection: what gets no answer is sent again, and much that got one is, too."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any
from uuid import UUID

import httpx2

from tests.chaos import verify
from tests.chaos.compare import differences
from tests.chaos.history import JobHistory
from tests.lost_replies.commits import CommitProxy, Conversation
from tests.quadratic import expected_loss
from tests.tcp_proxy import Mode, TcpProxy

ANSWER_WITHIN_S = 60.0
LONGEST_PAUSE_S = 0.2
TWICE = 0.2
"""The part of the requests that are sent again although they were answered."""
STEPS = 4
Http = httpx2.Client
"""Or Starlette's TestClient, which is called the same way."""


def documents(trials: int, points: int) -> list[dict[str, Any]]:
    """Jobs whose trials do not depend on who asks when: two of random search, two of a grid. Some of their trials diverge."""
    rate = {"type": "float", "low": 1e-4, "high": 10.0, "log": True}
    objective = {
        "name": "external",
        "parameters": [
            {"name": "learning_rate", "type": "float", "space": rate},
            {"name": "momentum", "type": "float", "default": 0.9},
        ],
        "metrics": [{"name": "loss", "direction": "minimize"}],
        "steps": STEPS,
        "settings": {"model": "parabola"},
    }
    random_search = {"strategy": "random", "budget": {"trials": trials, "confirm": 0, "failures": trials}}
    grid = {"strategy": "grid", "search_space": {"learning_rate": rate | {"points": points}}}
    jobs = [
        random_search,
        random_search | {"strategy": {"type": "random", "sampler": "qmc"}, "max_parallel": 5},
        grid,
        grid | {"replicates": 2},
    ]
    return [{"name": f"clients {number}", "objective": objective, "seed": number} | job for number, job in enumerate(jobs)]


class Loop:
    """One client: claims trials of the jobs in turn, and trains them, until all jobs are over. seed: of what it does."""

    def __init__(self, http: Http, name: str, seed: int, *, twice: float = TWICE) -> None:
        self._http = http
        self._twice = twice
        self._name = name
        self._random = random.Random(seed)
        self.mistakes: list[str] = []

    def submit(self, document: dict[str, Any]) -> str:
        """Submit a job under its name as key; returns its id."""
        answer = self._ask("POST", "/v1/jobs", json=document, headers={"Idempotency-Key": document["name"]})
        job_id: str = answer["id"]
        return job_id

    def run(self, job_ids: Sequence[str]) -> None:
        """Train until all jobs are over."""
        unfinished = list(job_ids)
        while unfinished:
            job_id = self._random.choice(unfinished)
            tokens = [self._token() for _ in range(self._random.randint(1, 3))]
            answer = self._ask("POST", f"/v1/jobs/{job_id}/claims", json={"worker": self._name, "tokens": tokens})
            for trial in answer["trials"]:
                self._train(f"/v1/jobs/{job_id}/trials/{trial['number']}", trial)
            if answer["retry_after_s"] is None:
                unfinished.remove(job_id)
            elif not answer["trials"]:
                time.sleep(self._random.uniform(0.01, 0.1))

    def claim(self, job_id: str) -> Any:
        """A trial of a job, which there must be, soon."""
        body = {"worker": self._name, "tokens": [self._token()]}
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while not (trials := self._ask("POST", f"/v1/jobs/{job_id}/claims", json=body)["trials"]):
            assert time.monotonic() < deadline, "there is no trial to claim"
            time.sleep(0.02)
        return trials[0]

    def measure(self, path: str, trial: dict[str, Any], before: int) -> Any:
        """Report the step after `before`."""
        return self._report(f"{path}/measurements", trial, measurements=[_measured(trial, before + 1)])

    def keep(self, path: str, trial: dict[str, Any], step: int) -> None:
        """Store a checkpoint."""
        query, sent = {"token": trial["token"], "step": step}, {"Content-Type": "application/octet-stream"}
        self._ask("PUT", f"{path}/checkpoint", params=query, content=f"after {step}".encode(), headers=sent)

    def restored(self, path: str, trial: dict[str, Any]) -> bytes:
        """The content of the trial's checkpoint."""
        return self._answered("GET", f"{path}/checkpoint", params={"token": trial["token"]}).content

    def give_back(self, path: str, trial: dict[str, Any]) -> None:
        """Release a trial."""
        self._report(f"{path}/release", trial)

    def finish(self, path: str, trial: dict[str, Any]) -> None:
        """End a trial."""
        self._report(f"{path}/finish", trial, attributes={"number": trial["number"]})

    def _token(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _train(self, path: str, trial: dict[str, Any]) -> None:
        step = trial["resume_step"] or 0
        while step < STEPS:
            batch = [_measured(trial, step + 1 + index) for index in range(min(self._random.randint(1, 2), STEPS - step))]
            step += len(batch)
            told = self._report(f"{path}/measurements", trial, measurements=batch)
            if told["answer"] == "prune":
                break
            if self._random.random() < 0.3:
                self.keep(path, trial, step)
        self.finish(path, trial)

    def _report(self, path: str, trial: dict[str, Any], **body: Any) -> Any:
        return self._ask("POST", path, json={"token": trial["token"], **body})

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        """The answer, by the second of two equal requests in some cases."""
        answer = self._answered(method, path, **content)
        return (self._answered(method, path, **content) if self._random.random() < self._twice else answer).json()

    def _answered(self, method: str, path: str, **content: Any) -> httpx2.Response:
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while True:
            try:
                answer = self._http.request(method, path, **content)
                if answer.status_code < 300:
                    return answer
                said = f"{answer.status_code}: {answer.text}"
                if answer.status_code != 503:
                    self.mistakes.append(f"{method} {path} was answered {said}")
                    raise AssertionError(self.mistakes[-1])
            except httpx2.TransportError as error:
                said = str(error)
            assert time.monotonic() < deadline, f"{method} {path}: {said}"
            time.sleep(self._random.uniform(0, LONGEST_PAUSE_S))


def run_all(https: Sequence[Http], job_ids: Sequence[str], numbers: range) -> None:
    """Train the jobs by clients with these numbers at once, which share the connections. Raises what one of them raised."""
    loops = [Loop(https[number % len(https)], f"client:{number}", number) for number in numbers]
    with ThreadPoolExecutor(len(loops)) as pool:
        for done in [pool.submit(loop.run, job_ids) for loop in loops]:
            done.result()


class LossyProxy(CommitProxy):
    """Drops the reply to every n-th commit, from when `every` is set."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.every: int | None = None
        self.lost = 0
        self._seen = 0

    def _look(self, said: Conversation, reply: bytes) -> None:
        commits = said.committing is not None and b"COMMIT\0" in reply
        super()._look(said, reply)
        if commits and self.every is not None:
            self._seen += 1
            if self._seen % self.every == 0:
                self.lost += 1
                raise ConnectionResetError


@contextmanager
def faults(proxy: TcpProxy, seed: int, modes: Sequence[Mode], *, shortest_s: float) -> Iterator[Callable[[], int]]:
    """Faults between the API and the database, by turns with nothing, until the block ends; yields how many there were."""
    over, count = threading.Event(), [0]

    def disturb() -> None:
        rng = random.Random(seed)
        while not over.wait(rng.uniform(2, 6) * shortest_s):
            proxy.mode = rng.choice(modes)
            count[0] += 1
            over.wait(rng.uniform(1, 2) * shortest_s)
            proxy.mode = Mode.PASS

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield lambda: count[0]
    finally:
        over.set()
        thread.join()
        proxy.mode = Mode.PASS


def broken(calm: JobHistory, found: JobHistory, attempts: Sequence[Sequence[str]] = ()) -> Iterator[str]:
    """What of a job is not as without faults: each of its trials ended once, with the same results.

    attempts: how the attempts at each trial end; left out: each has one, which finishes it.
    """
    yield from chain(
        verify.unfinished([found], [found.name]),
        verify.wrong_numbers(found),
        verify.double_results(found),
        verify.open_leases(found),
        verify.lost_events(found),
        verify.broken_curves(found),
        differences(replace(calm, name=found.name, spec=found.spec), found),
    )
    for trial in found.trials:
        expected = attempts[trial.number] if attempts else ["finished"]
        if [lease.outcome for lease in trial.leases] != expected:
            yield f"job {found.name}, trial {trial.number} has the attempts {[lease.outcome for lease in trial.leases]}"


def _measured(trial: dict[str, Any], step: int) -> dict[str, Any]:
    rate = trial["params"]["learning_rate"]
    loss = expected_loss(rate, step / STEPS) + trial["seed"] % 1_000 / 1e6
    if rate > 1.0 and step == STEPS - 1:
        return {"step": step, "metrics": {"loss": "NaN" if rate > 3 else "Infinity"}}
    assert math.isfinite(loss)
    return {"step": step, "metrics": {"loss": loss, "gradient_norm": rate}, "seconds": 0.01}
