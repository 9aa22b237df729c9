"""Clients through the fault proxy, at their smallest; `make prove` has 64 of them, and real processes."""

from typing import Any

import psycopg
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database
from tests.chaos.clients import Loop, LossyProxy, broken, documents, run_all
from tests.chaos.history import JobHistory, read_history
from tests.chaos.stage import WITNESS

SETTINGS = Settings.model_validate({"database_timeout_s": 2.0, "poll_s": 0.05})


def histories(url: str) -> dict[str, JobHistory]:
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        return {job.name: job for job in read_history(conn).jobs}


def submitted(http: Any, *names: str) -> list[str]:
    jobs = documents(trials=5, points=4)
    return [Loop(http, "client:0", 0).submit(job | {"name": f"{name} {job['name']}"}) for name in names for job in jobs]


def test_clients_through_the_fault_proxy_train_each_trial_once_as_one_does_without_faults(database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(WITNESS)
    with LossyProxy(database_url) as proxy:
        database = Database(proxy.url, timeout_s=SETTINGS.database_timeout_s)
        with TestClient(create_app(SETTINGS, database), "http://127.0.0.1", raise_server_exceptions=False) as http:
            run_all([http], submitted(http, "calm"), range(1))
            job_ids = submitted(http, "faulty")
            proxy.every = 7
            run_all([http], job_ids, range(1, 9))
        database.close()
    jobs = histories(database_url)
    pairs = [(jobs[name], jobs[name.replace("calm", "faulty")]) for name in jobs if name.startswith("calm")]
    assert len(pairs) == 4
    assert [what for calm, found in pairs for what in broken(calm, found)] == []
    assert {trial.state for job in jobs.values() for trial in job.trials} == {"COMPLETE"}
    assert any(trial.user_attrs.get("divergence") for trial in jobs["calm clients 0"].trials)
    assert proxy.lost > 10
