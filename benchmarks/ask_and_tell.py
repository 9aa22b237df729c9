"""What ask and tell over HTTP costs beside a worker's own calls, on the same PostgreSQL, in the same run.

    python -m benchmarks.ask_and_tell [--repeats 7] [--trials 100] [--out benchmarks/results]

A worker calls dispatch itself; a client sends JSON to an API process on the same machine, which does. Worker and client take
turns in every repeat, each with a job of its own of the same space, steps and seed; a figure is the mean time of a call in a
repeat, as the median of the repeats with their range. Nothing is trained.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2

from benchmarks.tables import Table, publish
from service.commands.roles import address, listen
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.domain.measurement import Measurement
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database
from tests.chaos.clients import documents

LEASE_S = 600.0
BATCH = 16
"""Trials of one claim, where clients ask for several."""
CALLS = ("claim", f"claim of {BATCH} trials, for each", "a step measured", "finish")
Costs = dict[str, float]
"""Milliseconds of each call."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stride-bench-") as folder, EmbeddedPostgres.start(Path(folder) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        with _running_api(server.url) as url:
            with httpx2.Client(base_url=url, timeout=120, trust_env=False) as api:
                pairs = [_pair(database, api, arguments.trials, seed) for seed in range(arguments.repeats + 1)][1:]  # connected
        database.close()
    publish("ask_and_tell", [_table(pairs, arguments.trials)], arguments.repeats, arguments.out)


@contextmanager
def _running_api(database_url: str) -> Iterator[str]:
    """An API process on this database; gives its URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")}
    environment |= {"STRIDE_DATABASE_URL": database_url, "STRIDE_LOG_LEVEL": "warning"}
    with listen("127.0.0.1", 0) as door:
        command = [sys.executable, "-m", "service.cli", "api", "--fd", str(door.fileno())]
        process = subprocess.Popen(command, env=environment, pass_fds=[door.fileno()])
        try:
            yield address(door)
        finally:
            process.terminate()
            process.wait()


def _pair(database: Database, api: httpx2.Client, trials: int, seed: int) -> tuple[Costs, Costs]:
    [document, *_] = documents(trials=trials + trials // BATCH * BATCH, points=2)
    document |= {"seed": seed}
    return _of_worker(database, _submitted(api, document), trials), _of_client(api, _submitted(api, document), trials)


def _submitted(api: httpx2.Client, document: dict[str, Any]) -> str:
    job_id: str = _ask(api, "/v1/jobs", document)["id"]
    return job_id


def _of_worker(database: Database, job_id: str, trials: int) -> Costs:
    claimer = Claimer(database, uuid4(), ["external"], LEASE_S)
    claimer.only = UUID(job_id)
    item = Measurement(step=1, fraction=0.25, in_warmup=False, metrics={"loss": 1.0}, learning_rate=0.1, seconds=0.01)
    claims = []

    def claim() -> None:
        found = claimer.claim(uuid4())
        assert found is not None
        claims.append(found)

    costs = {"claim": _ms(claim, trials)}
    held = list(claims)

    def measure() -> None:
        one = held.pop()
        database.transact(lambda conn: report(conn, one.job, one.lease, [item], lease_s=LEASE_S))

    def end() -> None:
        one = claims.pop()
        database.transact(lambda conn: finish(conn, one.lease, Completed(value=1.0), lease_s=LEASE_S))

    return costs | {"a step measured": _ms(measure, trials), "finish": _ms(end, trials)}


def _of_client(api: httpx2.Client, job_id: str, trials: int) -> Costs:
    path, held = f"/v1/jobs/{job_id}", list[dict[str, Any]]()

    def claim(tokens: int) -> None:
        body = {"worker": "benchmark", "tokens": [str(uuid4()) for _ in range(tokens)]}
        found = _ask(api, f"{path}/claims", body)["trials"]
        assert len(found) == tokens
        held.extend(found)

    costs = {CALLS[0]: _ms(lambda: claim(1), trials), CALLS[1]: _ms(lambda: claim(BATCH), trials // BATCH) / BATCH}
    measured, ended = iter(held), iter(held)

    def measure() -> None:
        trial = next(measured)
        steps = [{"step": 1, "metrics": {"loss": 1.0}, "seconds": 0.01}]
        _ask(api, f"{path}/trials/{trial['number']}/measurements", {"token": trial["token"], "measurements": steps})

    def end() -> None:
        trial = next(ended)
        _ask(api, f"{path}/trials/{trial['number']}/finish", {"token": trial["token"]})

    return costs | {"a step measured": _ms(measure, trials), "finish": _ms(end, trials)}


def _ask(api: httpx2.Client, path: str, body: dict[str, Any]) -> Any:
    answer = api.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def _ms(call: Callable[[], None], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        call()
    return 1_000 * (time.perf_counter() - started) / count


def _table(pairs: Sequence[tuple[Costs, Costs]], trials: int) -> Table:
    table = Table(
        f"Milliseconds of a call, random search, one caller, {trials} trials of each in a repeat",
        ["call", "worker", "client by HTTP", "client / worker"],
    )
    for call in CALLS:
        of_worker = [worker[call if call in worker else CALLS[0]] for worker, _ in pairs]
        of_client = [client[call] for _, client in pairs]
        ratios = [client / worker for worker, client in zip(of_worker, of_client, strict=True)]
        table.add(call, _spread(of_worker), _spread(of_client), _spread(ratios))
    return table


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
