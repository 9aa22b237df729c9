"""The reply to each commit that is made for a client is lost once: it sends its request again, and nothing is done twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database
from tests.chaos.clients import STEPS, Loop, broken, documents
from tests.chaos.history import JobHistory, read_history
from tests.chaos.stage import WITNESS
from tests.lost_replies.commits import CommitProxy

TRIALS = 2
COMMITS = {
    "claim": TRIALS,
    "report": TRIALS * STEPS,
    "checkpoint": TRIALS,
    "release": 1,
    "takeover": 1,
    "going on": 1,
    "finish": TRIALS,
}
"""By kind, how many the calm run makes."""
ATTEMPTS = [["released", "finished"], ["finished"]]
"""How those at each trial end."""


@contextmanager
def api(url: str) -> Iterator[tuple[CommitProxy, TestClient]]:
    with CommitProxy(url) as proxy:
        database = Database(proxy.url)
        settings = Settings.model_validate({"poll_s": 0.05})
        with TestClient(create_app(settings, database), "http://127.0.0.1", raise_server_exceptions=False) as http:
            yield proxy, http
        database.close()


def trained(http: TestClient, seed: int, name: str) -> None:
    """A job whose first trial is given back in the middle, with a checkpoint, and gone on with."""
    loop = Loop(http, f"client:{seed}", seed, twice=0.0)
    [document, *_] = documents(trials=TRIALS, points=2)
    job_id = loop.submit(document | {"name": name})
    trial = loop.claim(job_id)
    path = f"/v1/jobs/{job_id}/trials/{trial['number']}"
    loop.measure(path, trial, 0)
    loop.keep(path, trial, 1)
    loop.give_back(path, trial)
    for _ in range(TRIALS):
        trial = loop.claim(job_id)
        path = f"/v1/jobs/{job_id}/trials/{trial['number']}"
        if trial["resume_step"] is not None:
            assert loop.restored(path, trial) == b"after 1"
        for step in range(trial["resume_step"] or 0, STEPS):
            loop.measure(path, trial, step)
        if trial["resume_step"] is None:
            loop.keep(path, trial, STEPS)
        loop.finish(path, trial)


def histories(url: str) -> dict[str, JobHistory]:
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        return {job.name: job for job in read_history(conn).jobs}


def test_no_reply_of_the_database_that_is_lost_changes_what_becomes_of_a_clients_trials(database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(WITNESS)
    lost, seed = dict.fromkeys(COMMITS, 0), count()
    with api(database_url) as (proxy, http):
        trained(http, next(seed), "calm")
        for kind in COMMITS:
            for k in count(1):
                proxy.lose(kind, k)
                name = f"lost the reply to {kind} {k}"
                trained(http, next(seed), name)
                assert proxy.commits["unknown"] == 0, "what is written by itself should be part of another commit"
                if not proxy.has_lost:
                    break
                lost[kind] = k
    jobs = histories(database_url)
    assert [what for job in jobs.values() for what in broken(jobs["calm"], job, ATTEMPTS)] == []
    assert lost == COMMITS
