"""Makes the dump and the answers that before.py speaks of.     python -m tests.migration.make_dump

It was run at commit c25052e, whose code filled the database and answered. At a later commit it makes a database of that
commit, not of before: it is kept to tell what the dump holds and how it came about.

The database holds every kind of thing that is stored: strategies, pruners, budgets, states and outcomes, by real training where
that is quick. `worker-1` trained and stopped, `worker-2` and `worker-3` were killed in trials, the other two are made up. Then
every moment in it was put back by AGE. So leases, deadlines and signs of life had long passed when the answers were recorded, and
the day on which they are asked again makes no difference.
PostgreSQL 16 wrote the dump, the oldest that is promised: newer ones read it, too.
"""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import optuna
import psycopg
import sqlalchemy as sa
from optuna.distributions import FloatDistribution
from starlette.testclient import TestClient

from service.dispatch.claim import Claim, Claimer
from service.dispatch.finish import Failed, finish
from service.dispatch.renew import report
from service.domain.job import FINAL
from service.domain.trial import TrialError
from service.store import checkpoints, migrate, workers
from service.store.embedded import EmbeddedPostgres
from service.store.embedded.binaries import wheel_binaries
from service.store.postgres import Database
from tests.databases import connection_url
from tests.factories import measurement
from tests.integration.worker import process
from tests.migration import before
from tests.polling import wait_until
from tests.processes import CONTEXT
from tests.stock_optuna import stock

ROOT = Path(__file__).parents[2]
NEUTRAL = {str(ROOT): "/stride", sys.prefix: "/venv"}
"""What paths in tracebacks begin with, and what stands there instead."""

AGE = "1000 days"
"""That the database seems older than it was, so that no clock of those who read it is before its time."""

Document = dict[str, Any]
DIGITS: Document = {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp", "width": 12}}
WINE: Document = {"name": "tabular-classification", "settings": {"dataset": "wine", "hidden_layers": 1, "width": 8}}
CANCER: Document = {"name": "tabular-classification", "settings": {"dataset": "breast-cancer", "hidden_layers": 1, "width": 8}}
DIABETES: Document = {"name": "tabular-regression", "settings": {"dataset": "diabetes", "hidden_layers": 1, "width": 8}}


def rate(low: float, high: float, **more: Any) -> Document:
    """A range of learning rates."""
    return {"type": "float", "low": low, "high": high, "log": True} | more


def quadratic(**settings: Any) -> Document:
    """The objective of the tests, which needs no training."""
    return {"name": "quadratic", "settings": settings}


def recipe(optimizer: str) -> Document:
    """A grid with three training seeds for each point, to be compared with another optimizer's."""
    return {
        "name": f"wine, {optimizer}",
        "objective": WINE,
        "search_space": {"learning_rate": rate(1e-3, 1.0, points=5), "batch_size": 16, "epochs": 3, "optimizer": optimizer},
        "strategy": "grid",
        "replicates": 3,
        "seed": 5,
        "labels": {"question": "which optimizer", "optimizer": optimizer},
    }


TPE: Document = {
    "name": "digits, tpe, successive halving",
    "objective": DIGITS,
    "search_space": {
        "learning_rate": rate(1e-4, 10.0),
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "epochs": {"type": "int", "low": 2, "high": 4},
        "momentum": 0.9,
    },
    "strategy": "bayesian",
    "pruner": {"type": "successive_halving", "parts": 2},
    "budget": {"trials": 36},
    "seed": 7,
    "labels": {"team": "vision", "kind": "nightly"},
    "priority": 3,
}
ENDED: list[Document] = [
    TPE,
    recipe("sgd"),
    recipe("adam"),
    {
        "name": "breast cancer, uniform, median, one training seed",
        "objective": CANCER,
        "search_space": {"learning_rate": rate(1e-3, 3.0), "batch_size": 64, "epochs": 4, "momentum": 0.5},
        "strategy": {"type": "random", "sampler": "uniform"},
        "pruner": {"type": "median", "startup_trials": 3},
        "budget": {"trials": 9},
        "metric": "validation_accuracy",
        "training_seed": "shared",
        "max_parallel": 1,
        "labels": {"team": "tables"},
        "seed": 11,
    },
    {
        "name": "diabetes, qmc, hyperband",
        "objective": DIABETES,
        "search_space": {
            "learning_rate": rate(1e-4, 100.0),
            "batch_size": 64,
            "epochs": {"type": "int", "low": 2, "high": 8, "log": True},
            "optimizer": {"type": "categorical", "choices": ["sgd", "adamw"]},
            "momentum": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3},
        },
        "strategy": {"type": "random", "sampler": "qmc"},
        "pruner": "hyperband",
        "budget": {"trials": 14},
        "seed": 3,
    },
    {
        "name": "diabetes, percentile, early stopping",
        "objective": DIABETES,
        "search_space": {
            "learning_rate": rate(1e-3, 0.1),
            "batch_size": 32,
            "epochs": 6,
            "early_stopping_patience": 1,
            "schedule": "cosine",
            "warmup_fraction": 0.2,
        },
        "strategy": "random",
        "pruner": {"type": "percentile", "percentile": 40.0, "startup_trials": 2},
        "budget": {"trials": 6},
        "limits": {"trial_seconds": 60.0, "step_seconds": 120.0, "memory_mb": 16000},
        "seed": 2,
    },
    {
        "name": "quadratic, gp, try first",
        "objective": quadratic(seed_noise=0.02),
        "search_space": {
            "learning_rate": rate(1e-4, 1.0),
            "momentum": {"type": "float", "low": 0.0, "high": 0.9},
            "epochs": 2,
        },
        "strategy": {"type": "bayesian", "sampler": "gp"},
        "try_first": [{"learning_rate": 0.3, "momentum": 0.25}, {"learning_rate": 0.9}],
        "budget": {"trials": 14},
        "seed": 13,
    },
    {
        "name": "quadratic, uniform with replicates",
        "objective": quadratic(seed_noise=0.05),
        "search_space": {"learning_rate": rate(1e-4, 0.4), "epochs": 2},
        "strategy": "random",
        "replicates": 2,
        "budget": {"trials": 7},
        "metric": "score",
    },
    {
        "name": "quadratic, the default space",
        "objective": quadratic(),
        "strategy": "random",
        "budget": {"trials": 5},
        "seed": 2**63 - 1,
    },
    {
        "name": "quadratic, reaches its target",
        "objective": quadratic(),
        "search_space": {"learning_rate": rate(1e-3, 0.1)},
        "strategy": "random",
        "budget": {"trials": 50, "target": 0.2},
        "seed": 4,
    },
    {
        "name": "quadratic, out of time",
        "objective": quadratic(epoch_s=0.3),
        "search_space": {"learning_rate": rate(1e-3, 0.1)},
        "strategy": "random",
        "budget": {"seconds": 2.0},
    },
    {
        "name": "quadratic, trials out of time",
        "objective": quadratic(epoch_s=0.2),
        "search_space": {"learning_rate": rate(1e-3, 0.1), "epochs": 4},
        "strategy": "random",
        "budget": {"trials": 2},
        "limits": {"trial_seconds": 0.3},
    },
    {
        "name": "quadratic, all trials fail",
        "objective": quadratic(raise_at=2),
        "search_space": {"learning_rate": rate(1e-3, 0.1)},
        "strategy": "random",
        "budget": {"trials": 3},
    },
    {
        "name": "quadratic, too many failures",
        "objective": quadratic(raise_at=1),
        "search_space": {"learning_rate": rate(1e-3, 0.1)},
        "strategy": "bayesian",
        "budget": {"trials": 10, "failures": 2},
    },
    {
        "name": "quadratic, its trainer dies",
        "objective": quadratic(kill_at=1),
        "search_space": {"learning_rate": rate(1e-3, 0.1)},
        "strategy": "random",
        "max_attempts": 2,
        "budget": {"trials": 1},
    },
]
HALF_BROKEN: Document = {
    "name": "quadratic, a failed trial",
    "objective": quadratic(),
    "search_space": {"learning_rate": rate(1e-3, 0.1), "epochs": 2},
    "strategy": "random",
    "budget": {"trials": 3},
    "seed": 6,
}
CANCELLED: Document = {
    "name": "quadratic, cancelled",
    "objective": quadratic(epoch_s=0.3),
    "search_space": {"learning_rate": rate(1e-3, 0.1), "epochs": 20},
    "strategy": {"type": "random", "sampler": "qmc"},
    "try_first": [{"learning_rate": 0.01}, {"learning_rate": 0.02}, {"learning_rate": 0.05}],
    "budget": {"trials": 8},
}
PAUSED: Document = {
    "name": "digits, paused in a trial",
    "objective": DIGITS,
    "search_space": {"learning_rate": rate(1e-2, 0.1, points=2), "batch_size": 8, "epochs": 16, "momentum": 0.5},
    "strategy": "grid",
    "budget": {"seconds": 86_400.0},
    "max_parallel": 1,
    "seed": 1,
    "priority": -1,
    "labels": {"team": "vision"},
}
PAUSED_UNTOUCHED: Document = {
    "name": "quadratic, paused before it began",
    "objective": quadratic(),
    "search_space": {
        "learning_rate": rate(1e-3, 0.1),
        "momentum": {"type": "float", "low": 0.0, "high": 0.9},
        "epochs": {"type": "int", "low": 1, "high": 3},
    },
    "strategy": {"type": "random", "sampler": "qmc"},
    "try_first": [{"learning_rate": 0.02}, {"learning_rate": 0.05, "epochs": 2}],
    "budget": {"trials": 5, "seconds": 3_600.0},
}
RUNNING: Document = {
    "name": "wine, its worker was killed",
    "objective": WINE,
    "search_space": {
        "learning_rate": rate(1e-4, 1.0),
        "batch_size": {"type": "categorical", "choices": [16, 32]},
        "epochs": 20,
        "normalization": {"type": "categorical", "choices": ["none", "batch"]},
    },
    "strategy": {"type": "bayesian", "sampler": "tpe"},
    "pruner": {"type": "median", "startup_trials": 4},
    "budget": {"trials": 12},
    "max_parallel": 2,
    "seed": 9,
}
OVERDUE: Document = {
    "name": "quadratic, its time has passed",
    "objective": quadratic(),
    "search_space": {"learning_rate": rate(1e-3, 0.1)},
    "strategy": "random",
    "budget": {"trials": 4, "seconds": 1.0},
    "priority": 10,
}
QUEUED: Document = {
    "name": "wine, queued",
    "objective": {"name": "tabular-classification", "settings": {"dataset": "wine", "width": 8}},
    "strategy": "random",
    "replicates": 2,
    "budget": {"trials": 4},
    "labels": {"team": "tables"},
    "seed": 8,
}
QUEUED_KEY = "key-of-before"

DRY_RUNS: list[Document] = [
    TPE,
    recipe("adamw"),
    {"objective": {"name": "tabular-regression"}},
    {"objective": quadratic(), "strategy": {"type": "random", "sampler": "qmc"}, "budget": {"seconds": 5.0}},
    {"objective": quadratic(), "search_space": {"learning_rate": {"type": "float", "low": 0.001, "high": 1.0}}},
    {"objective": quadratic(), "strategy": "simulated annealing"},
]


class Filling:
    """A database that is being filled: its API, and its workers."""

    def __init__(self, url: str, client: TestClient, logs: Path) -> None:
        self.database = Database(url)
        self._url = url
        self._client = client
        self._logs = logs

    def submit(self, document: Document, key: str | None = None) -> str:
        """Returns the job's id."""
        answer = self._client.post("/v1/jobs", json=document, headers={} if key is None else {"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def move(self, job_id: str, move: str) -> None:
        """Pause or cancel it."""
        assert self._client.post(f"/v1/jobs/{job_id}/{move}").is_success

    def job(self, job_id: str) -> Document:
        """As the API shows it."""
        job: Document = self._client.get(f"/v1/jobs/{job_id}").json()
        return job

    def wait_until_ended(self, job_id: str) -> None:
        wait_until(lambda: self.job(job_id)["state"] in FINAL, f"the end of {job_id}", 300)

    def attempts(self, job_id: str, number: int) -> list[Document]:
        """At a trial; none where it has not begun."""
        found: list[Document] = self._client.get(f"/v1/jobs/{job_id}/trials/{number}").json().get("attempts", [])
        return found

    def steps(self, job_id: str, number: int) -> int:
        """How many a trial has measured."""
        return len(self._client.get(f"/v1/jobs/{job_id}/trials/{number}/measurements").json().get("items", []))

    def wait_for_steps(self, job_id: str, number: int, steps: int) -> None:
        wait_until(lambda: self.steps(job_id, number) >= steps, f"{steps} steps")

    def pause_in_attempt(self, job_id: str, attempt: int) -> None:
        """Pause a job some steps into this attempt at its first trial, and wait until the trial has been given back."""
        wait_until(lambda: len(self.attempts(job_id, 0)) == attempt, "the attempt")
        self.wait_for_steps(job_id, 0, self.steps(job_id, 0) + 2)
        self.move(job_id, "pause")
        wait_until(lambda: self.attempts(job_id, 0)[-1]["reason"] is not None, "the trial to be given back")

    def start_worker(self, name: str, **settings: str) -> BaseProcess:
        environment = {
            "STRIDE_DATABASE_URL": self._url,
            "STRIDE_OBJECTIVE_MODULES": "tests.quadratic",
            "STRIDE_DEVICE": "cpu",
            "STRIDE_POLL_S": "0.1",
            "STRIDE_CHECKPOINT_S": "0.1",
        }
        started = CONTEXT.Process(target=work, args=(name, environment | settings, self._logs / f"{name}.log"), daemon=True)
        started.start()
        return started

    def register(self, name: str, **columns: Any) -> UUID:
        """Enter a worker that is made up, and never seen again."""
        worker_id = uuid4()
        known = {"objectives": ["quadratic"], "device": "cpu", "version": "0", "lost_after_s": 0.5} | columns
        self.database.transact(lambda conn: workers.register(conn, worker_id, name=name, **known))
        return worker_id

    def claim(self, worker_id: UUID, *, lease_s: float = 60.0) -> Claim:
        claim = Claimer(self.database, worker_id, ["quadratic"], lease_s).claim(uuid4())
        assert claim is not None
        return claim


def work(name: str, environment: Mapping[str, str], log: Path) -> None:
    """A worker on a host of this name."""
    socket.gethostname = lambda: name
    process.main(environment, log)


def fill(filling: Filling) -> None:
    """Make one of everything."""
    made_up = filling.register("worker-4:1")
    unfit = filling.register("worker-5:1", objectives=["quadratic", "tabular-regression"])
    set_aside = {"tabular-regression": "its module cannot be imported"}
    filling.database.transact(lambda conn: workers.offer(conn, unfit, objectives=["quadratic"], set_aside=set_aside))

    half_broken = filling.submit(HALF_BROKEN)
    claim = filling.claim(made_up)
    error = TrialError(type="RuntimeError", message="told to fail", traceback="RuntimeError: told to fail")
    filling.database.transact(lambda conn: finish(conn, claim.lease, Failed(error=error), lease_s=60.0))

    ended = [filling.submit(document) for document in ENDED]
    add_foreign_trials(filling, filling.job(ended[3])["study_name"])
    first = filling.start_worker("worker-1")
    for job_id in (half_broken, *ended):
        filling.wait_until_ended(job_id)

    cancelled = filling.submit(CANCELLED)
    filling.wait_for_steps(cancelled, 0, 2)
    filling.move(cancelled, "cancel")
    paused = filling.submit(PAUSED)
    filling.pause_in_attempt(paused, 1)
    filling.move(paused, "resume")
    filling.pause_in_attempt(paused, 2)
    os.kill(first.pid or 0, signal.SIGTERM)
    first.join()

    running = filling.submit(RUNNING)
    for name, number in (("worker-2", 2), ("worker-3", 6)):  # the second takes over what the first leaves
        killed = filling.start_worker(
            name, STRIDE_HEARTBEAT_S="0.3", STRIDE_LEASE_S="1", STRIDE_DATABASE_TIMEOUT_S="0.9", STRIDE_CHECKPOINT_S="0.01"
        )
        filling.wait_for_steps(running, number, 4)
        os.kill(killed.pid or 0, signal.SIGKILL)
        killed.join()

    filling.submit(OVERDUE)
    claim = filling.claim(made_up, lease_s=1.0)
    items = [measurement(1, 1.5), measurement(2, 1.25)]
    filling.database.transact(lambda conn: report(conn, claim.job, claim.lease, items, lease_s=1.0, log_tail="training\n"))
    filling.submit(QUEUED, QUEUED_KEY)
    filling.move(filling.submit(PAUSED_UNTOUCHED), "pause")
    time.sleep(1.0)  # until the trainer of the worker that was killed has ended, too
    filling.database.transact(checkpoints.prune)
    filling.database.transact(put_back)


def put_back(conn: sa.Connection) -> None:
    """Have everything happened earlier by AGE."""
    columns = conn.exec_driver_sql(
        "SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns"
        " WHERE table_schema IN ('stride', 'optuna') AND data_type LIKE 'timestamp%%'"
    )
    for table, column in columns.all():
        conn.exec_driver_sql(f"UPDATE {table} SET {column} = {column} - interval '{AGE}'")


def add_foreign_trials(filling: Filling, study_name: str) -> None:
    """Trials of a script with stock Optuna: one told, one failed, one without the rate."""
    distribution = FloatDistribution(1e-3, 3.0, log=True)
    with stock(filling.database.url.render_as_string(hide_password=False)) as storage:
        study = optuna.load_study(study_name=study_name, storage=storage)
        trial = study.ask({"learning_rate": distribution})
        trial.report(0.5, 1)
        trial.set_user_attr("written_by", "a script")
        trial.set_user_attr("odd", [float("nan"), float("inf")])
        study.tell(trial, 0.75)
        study.tell(study.ask({"learning_rate": distribution}), state=optuna.trial.TrialState.FAIL)
        study.add_trial(optuna.trial.create_trial(value=0.5))


def dump(url: str) -> str:
    """The database as SQL that names nothing of this machine."""
    pg_dump = [str(wheel_binaries(16) / "pg_dump"), "--no-owner", "--no-privileges", url.replace("+psycopg", "")]
    return neutral(subprocess.run(pg_dump, capture_output=True, check=True, text=True).stdout)


def questions(client: TestClient) -> dict[str, list[str]]:
    """What to ask: of each job by its name, and across jobs."""
    jobs = client.get("/v1/jobs?limit=100").json()["items"]
    found = {job["name"]: questions_of(client, job) for job in jobs}
    ids = {job["name"]: job["id"] for job in jobs}
    recipes = [ids["wine, sgd"], ids["wine, adam"]]
    across = [
        "/v1/jobs?limit=7",
        "/v1/jobs?state=completed&limit=100",
        "/v1/jobs?state=running",
        "/v1/jobs?label=team:vision",
        "/v1/jobs?label=team:tables&label=kind:nightly",
        "/v1/workers?limit=2",
        "/v1/best-lr?objective=image-classification&dataset=digits&model=mlp",
        "/v1/best-lr?objective=tabular-classification&dataset=wine",
        "/v1/best-lr?objective=tabular-classification&metric=validation_accuracy",
        "/v1/best-lr?objective=tabular-regression",
        "/v1/best-lr?objective=quadratic",
        "/v1/compare?" + urlencode({"jobs": ",".join(recipes)}),
        "/v1/compare?" + urlencode({"jobs": ",".join(recipes), "learning_rate": 5.0}),
        "/v1/compare?" + urlencode({"jobs": ",".join([*recipes, ids["wine, its worker was killed"]])}),
        "/v1/compare?" + urlencode({"jobs": ",".join([recipes[0], ids[str(TPE["name"])]])}),
    ]
    dry_runs = [f"POST /v1/jobs?dry_run=true {json.dumps(document)}" for document in DRY_RUNS]
    return found | {before.ACROSS_JOBS: [f"GET {path}" for path in across] + dry_runs}


def questions_of(client: TestClient, job: Document) -> list[str]:
    """All that can be asked of a job; of most trials only a digest of what was measured."""
    below = [
        "",
        "/trials?limit=5",
        "/best-lr",
        "/trade-off",
        "/trade-off?by=seconds",
        "/best-model",
        "/batch-scaling",
    ]
    if job["name"] == TPE["name"]:
        below += ["/best-lr?curve=profile&tolerance=0.05", "/best-lr?curve=marginal"]
        below += ["/batch-scaling?batch_size=256", "/batch-scaling?devices=2"]
    n_trials = job["progress"]["trials"]["total"]
    sample = {0, 1, n_trials // 2, n_trials - 1} & set(range(n_trials))
    for number in sorted(sample):
        below += [f"/trials/{number}", f"/trials/{number}/measurements?limit=10", f"/trials/{number}/log"]
    own = f"/v1/jobs/{job['id']}"
    digests = [f"DIGEST {own}/trials/{number}/measurements?limit=100" for number in range(n_trials) if number not in sample]
    return [f"GET {own}{path}" for path in below] + digests


def neutral(text: str) -> str:
    """Without this machine's paths. Raises AssertionError when something else of it is left."""
    for own, instead in NEUTRAL.items():
        text = text.replace(own, instead)
    for own in (socket.gethostname() + ":", tempfile.gettempdir(), str(Path.home()) + "/", str(ROOT.parent) + "/"):
        assert own not in text, f"the dump names {own}"
    return text


def check_variety(url: str) -> None:
    """Print how many there are of each kind, and see that none is missing."""
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        for column, table, expected in (
            ("state", "stride.jobs", "queued running paused completed failed cancelled"),
            ("reason", "stride.jobs", ""),
            ("state::text", "optuna.trials", "COMPLETE PRUNED FAIL WAITING RUNNING"),
            ("outcome", "stride.leases", "None finished stopped trainer_died vanished released"),
            ("type", "stride.events", ""),
            ("kind", "stride.checkpoints", "state model"),
        ):
            counts = Counter(str(row[0]) for row in conn.execute(f"SELECT {column} FROM {table}").fetchall())
            print(table, dict(counts))
            assert set(expected.split()) <= counts.keys()


def main() -> None:
    """Fill a database, dump it, restore the dump, and record what the API answers over what was restored."""
    with (
        tempfile.TemporaryDirectory(prefix="stride-dump-") as folder,
        EmbeddedPostgres.start(Path(folder, "data"), major=16) as server,
    ):
        database = Database(server.url)
        migrate.upgrade(database)
        with before.api(server.url) as client:
            filling = Filling(server.url, client, Path(folder))
            fill(filling)
            filling.database.close()
        database.close()
        check_variety(server.url)
        before.DUMP.write_bytes(gzip.compress(dump(server.url).encode(), mtime=0))

        record(server.url)
        for file in (before.DUMP, before.ANSWERS):
            print(file.name, f"{file.stat().st_size:,} bytes, {len(gzip.decompress(file.read_bytes())):,} unpacked")


def record(server_url: str) -> None:
    """Restore the dump on a server, and write down what the API answers over it."""
    answers: dict[str, Any] = {}
    with before.api(restored(server_url, "asked")) as client:
        for about, asked in questions(client).items():
            answers[about] = {question: before.answer(client, question) for question in asked}
        answers[before.EVENTS] = before.events(client.app.state.database)
    answers[before.NEXT_CLAIMS] = before.next_claims(restored(server_url, "claimed"))
    before.ANSWERS.write_bytes(gzip.compress(neutral(json.dumps(answers, indent=1)).encode(), mtime=0))


def restored(server_url: str, name: str) -> str:
    """The URL of another database on the server, with what was dumped."""
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = connection_url(server_url, name)
    before.restore(url)
    return url


if __name__ == "__main__":
    main()
