"""The whole service with an objective that does nothing, beside stock Optuna and Ray Tune; and the share of time spent training.

    python -m benchmarks.whole_service [--repeats 3] [--out benchmarks/results] [--ray .venv-peers/bin/python]

Two tables. Trials a second, two processes each, taking turns: Stride from the first claim to the last finish of a job, the stock
script (RDBStorage on the same server) from when its processes are ready, Ray Tune (actors reused) from when Ray is up. Then the
share of two workers' time that goes into training, for trials of 1, 5 and 30 s.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from benchmarks.dispatch import ratio, spread
from benchmarks.studies import Bench
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import TemporaryStride, temporary_stride
from service.store.postgres import Database, stock_url

PROCESSES = 2
TRIALS = 500
"""Of each contender in each repeat: the same, since the stock script slows down as its study grows."""
ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    parser.add_argument("--ray", type=Path, help="a Python with Ray; left out: without Ray (see `make bench-peers`)")
    arguments = parser.parse_args()
    with prepared_stride() as stride:
        rates = rates_table(stride.api, stride.database_url, arguments.repeats, arguments.ray)
        shares = shares_table(stride.api, stride.database_url)
    publish("whole_service", [rates, shares], arguments.repeats, arguments.out)


@contextlib.contextmanager
def prepared_stride() -> Iterator[TemporaryStride]:
    """Stride with two workers that know the no-op objective."""
    with temporary_stride(PROCESSES, STRIDE_OBJECTIVE_MODULES="benchmarks.noop") as stride:
        run_job(stride.api, trials=20)  # all is imported and connected
        yield stride


def rates_table(api: httpx2.Client, database_url: str, repeats: int, ray: Path | None) -> Table:
    ours, stock, rays = [], [], []
    for _ in range(repeats):
        ours.append(TRIALS / seconds_of(run_job(api, trials=TRIALS)))
        stock.append(TRIALS / stock_seconds(database_url))
        if ray is not None:
            rays.append(TRIALS / ray_seconds(ray))
    table = Table(
        "Whole service, two processes, no training: trials a second",
        ["contender", "trials a second", "Stride / contender"],
    )
    table.add("Stride", spread(ours), "1")
    table.add("stock Optuna script, RDBStorage", spread(stock, 1), ratio(ours, stock))
    if rays:
        table.add("Ray Tune, reuse_actors=True", spread(rays, 1), ratio(ours, rays))
    return table


def shares_table(api: httpx2.Client, database_url: str) -> Table:
    table = Table(
        "Share of two workers' time spent training",
        ["sampler", "trials before", "seconds a trial", "trials", "share"],
    )
    for strategy, before in (("random", 0), ("bayesian", 300)):
        for seconds, trials in ((1, 40), (5, 12), (30, 4)):
            job = run_job(api, trials=trials, seconds=seconds, strategy=strategy, before=before, database_url=database_url)
            share = trained_share(database_url, job["id"])
            table.add({"bayesian": "tpe"}.get(strategy, strategy), str(before), str(seconds), str(trials), f"{share:.3f}")
    return table


def run_job(
    api: httpx2.Client,
    *,
    trials: int,
    seconds: float = 0,
    strategy: str = "random",
    before: int = 0,
    database_url: str = "",
) -> dict[str, Any]:
    """Run a job to its end; `before` finished trials are in its study before the first is claimed."""
    document = {
        "objective": {"name": "noop", "settings": {"seconds": seconds}},
        "strategy": strategy,
        "budget": {"trials": before + trials, "confirm": 0},  # as its peers
        "max_parallel": PROCESSES,
    }
    # Nobody claims a job of the lowest priority that is paused at once; a claim in between is waited for.
    job = answer(api.post("/v1/jobs", json=document | ({"priority": -1_000_000} if before else {})))
    if before:
        answer(api.post(f"/v1/jobs/{job['id']}/pause"))
        fill(database_url, job["study_name"], before)
        answer(api.post(f"/v1/jobs/{job['id']}/resume"))
    return finished(api, job)


def finished(api: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job, once it has completed."""
    while job["state"] not in ("completed", "failed", "cancelled"):
        time.sleep(0.1)
        job = answer(api.get(f"/v1/jobs/{job['id']}"))
    assert job["state"] == "completed", job["reason"]
    return job


def fill(database_url: str, study_name: str, count: int) -> None:
    """Put finished trials into a study."""
    database = Database(database_url)
    bench = Bench(database)
    with database.transaction() as conn:
        query = "SELECT study_id FROM optuna.studies WHERE study_name = %(name)s"
        study_id = conn.exec_driver_sql(query, {"name": study_name}).scalar_one()
    bench.fill(study_id, bench.history(count))
    database.close()


def seconds_of(job: dict[str, Any]) -> float:
    """From the first claim to the end."""
    started, finished = (datetime.fromisoformat(job[key]) for key in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


def trained_share(database_url: str, job_id: str) -> float:
    """Of the time of each worker from its first claim to its last finish, the part that steps took; the mean over the workers.

    Each worker's own span: that one ends a trial earlier than the other says nothing of what the service costs.
    """
    with psycopg.connect(database_url.replace("+psycopg", "")) as conn:
        shares = conn.execute(
            "SELECT sum(seconds) / extract(epoch FROM max(ended_at) - min(lease.started_at)) FROM stride.leases AS lease"
            " JOIN stride.measurements USING (trial_id) WHERE job_id = %s GROUP BY worker_id",
            (job_id,),
        ).fetchall()
    return statistics.fmean(float(share) for (share,) in shares)


def stock_seconds(database_url: str) -> float:
    """Of the stock script."""
    return _printed([sys.executable, "-m", "benchmarks.peers.stock_optuna", stock_url(database_url), str(PROCESSES), str(TRIALS)])


def ray_seconds(python: Path) -> float:
    """Of Ray Tune."""
    return _printed([str(python), "benchmarks/peers/ray_tune.py", str(PROCESSES), str(TRIALS)])


def wait_until_announced(api: httpx2.Client, names: Collection[str]) -> None:
    """Wait until workers have announced the objectives of these names."""
    while not set(names) <= {each["name"] for each in answer(api.get("/v1/objectives"))["items"]}:
        time.sleep(0.2)


def answer(response: httpx2.Response) -> dict[str, Any]:
    """What the API says, which must be a success."""
    assert response.is_success, response.text
    document: dict[str, Any] = response.json()
    return document


def _printed(command: list[str]) -> float:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
