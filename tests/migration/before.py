"""The database of before phases became rows and budgets columns: its dump, what its API answered, and how to ask that again.

Both files in `data` were written at commit c25052e by tests/migration/make_dump.py, which commit 2063641 has. They stay as they
are: nothing can make them again.
"""

import gzip
import hashlib
import json
import math
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from starlette.testclient import TestClient

from objectives.catalog import load_catalog
from service.app import create_app
from service.dispatch.claim import Claimer
from service.settings import Settings
from service.store.embedded.binaries import wheel_binaries
from service.store.postgres import Database

DATA = Path(__file__).parent / "data"
DUMP = DATA / "database_of_c25052e.sql.gz"
ANSWERS = DATA / "answers_of_c25052e.json.gz"

SETTINGS = Settings.model_validate({"objective_modules": "tests.quadratic"})
ACROSS_JOBS = "across jobs"
BEST_OF_ALL = "GET /v1/best-lr?"
"""How questions begin whose answer has another form today."""
EVENTS = "events"
NEXT_CLAIMS = "next claims"
"""Besides the jobs' names, what is in ANSWERS."""

QUICK_S = 0.9
"""Timeout of a database whose server need not be up for long before expired leases are taken over."""
LEASE_S = 3.0
MOST_CLAIMS = 12

FITTED = ("/best-lr", "/compare", "/batch-scaling")
"""Parts of the paths of what follows from a response curve. It rests on random draws, to which the last digits of another CPU's
matrix products make a difference: of 0.0013 at most, relative, under eight combinations of instruction sets of PyTorch, NumPy
and OpenBLAS."""
COMPUTED = ("/trade-off", "dry_run=true")
"""Parts of the paths of what else is computed from what is stored."""
EXACT, ROUNDED, DRAWN = 0.0, 1e-6, 5e-3
"""Relative tolerances."""
PRINTED = 0.02
"""The same of numbers in sentences, which are printed with three digits."""
SENTENCES = ("because", "detail", "title")
"""Fields of answers and problems that are made of their other fields for people to read. What is stored is none of them."""
NEAR_ZERO = 1e-3
"""Below it numbers are compared as if they were so large."""


def restore(url: str) -> None:
    """Load the dump into the empty database at `url`."""
    psql = [str(wheel_binaries(18) / "psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    script = gzip.decompress(DUMP.read_bytes())
    done = subprocess.run([*psql, url.replace("+psycopg", "")], input=script, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def recorded() -> dict[str, Any]:
    """What the API answered: by the job's name, or across jobs; and the claims that came next."""
    answers: dict[str, Any] = json.loads(gzip.decompress(ANSWERS.read_bytes()))
    return answers


@contextmanager
def api(url: str) -> Iterator[TestClient]:
    """The API over a database, without its sweeper, which would end what is over, forget old keys and delete checkpoints."""
    database = Database(url)
    yield TestClient(create_app(SETTINGS, database), "http://127.0.0.1")  # entered, it would start the sweeper
    database.close()


def tolerance(question: str) -> float:
    """Of the numbers in its answer."""
    if any(part in question for part in FITTED):
        return DRAWN
    return ROUNDED if any(part in question for part in COMPUTED) else EXACT


def answer(client: TestClient, question: str) -> Any:
    """The status and the body that answer `METHOD path` or `METHOD path document`.

    Of a list, the body is all its pages' items; of a file, and where the method is DIGEST, a digest.
    """
    method, path, *document = question.split(" ", 2)
    content = json.loads(document[0]) if document else None
    found = client.request("GET" if method == "DIGEST" else method, path, json=content)
    if not found.headers["content-type"].endswith("json"):
        return [found.status_code, {"sha256": sha256(found.content), "trial": found.headers["X-Stride-Trial"]}]
    body = found.json()
    if "next_cursor" in body:
        items, cursor = body["items"], body["next_cursor"]
        while cursor is not None:
            page = client.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}").json()
            items, cursor = items + page["items"], page["next_cursor"]
        body = items
    return [found.status_code, sha256(json.dumps(body, sort_keys=True).encode()) if method == "DIGEST" else body]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def events(database: Database) -> list[list[Any]]:
    """All that was told: by job, in the order of its events, and what is of no job."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql(
            "SELECT job_id::text, seq, at::text, type, payload FROM stride.events ORDER BY job_id NULLS FIRST, seq, at, id"
        )
        return [list(row) for row in rows]


def next_claims(url: str) -> list[dict[str, Any]]:
    """What a worker is given next, claim after claim, with the paused jobs resumed and none of the trials finished."""
    with api(url) as client:
        for job in client.get("/v1/jobs?state=paused").json()["items"]:
            assert client.post(f"/v1/jobs/{job['id']}/resume").is_success
    wait_for_takeovers(url)
    database = Database(url, timeout_s=QUICK_S)
    claimer = Claimer(database, uuid4(), sorted(load_catalog(SETTINGS.objective_modules)), LEASE_S)
    claims = []
    while len(claims) < MOST_CLAIMS and (claim := claimer.claim(uuid4())) is not None:
        claims.append(
            {
                "job": claim.job.name,
                "number": claim.lease.number,
                "attempt": claim.lease.attempt,
                "params": dict(claim.params),
                "training_seed": claim.training_seed,
            }
        )
        claimer._memory.looked_for_expired_at = -math.inf  # else a takeover would come between the others when a clock says so
    database.close()
    return claims


def wait_for_takeovers(url: str) -> None:
    """Until the server is up for so long that leases of before its start are taken over."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as conn:
        up = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"
        while conn.execute(up).fetchone()[0] < QUICK_S + 1.1:  # type: ignore[index]
            time.sleep(0.05)


def differences(before: Any, now: Any, tolerance: float, at: str = "") -> list[str]:
    """Where two answers differ, as lines to read; numbers with a fraction by more than this, relative.

    New fields are no difference, and sentences may be worded anew: of these the numbers count.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        gone = [f"{at}/{name}: only before" for name in before.keys() - now.keys()]
        pairs = {name: (before[name], now[name]) for name in before.keys() & now.keys()}
        sentences = {name: pair for name, pair in pairs.items() if name in SENTENCES}
        said = [
            line
            for name, pair in sentences.items()
            for line in differences(*map(_numbers, pair), tolerance and PRINTED, f"{at}/{name}")
        ]
        others = {name: pair for name, pair in pairs.items() if name not in SENTENCES}
        return gone + said + [line for name, pair in others.items() for line in differences(*pair, tolerance, f"{at}/{name}")]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs_of_list = enumerate(zip(before, now, strict=True))
        return [line for index, pair in pairs_of_list for line in differences(*pair, tolerance, f"{at}/{index}")]
    if isinstance(before, float) and isinstance(now, float):
        same = math.isclose(before, now, rel_tol=tolerance, abs_tol=tolerance * NEAR_ZERO)
    else:
        same = before == now and type(before) is type(now)
    return [] if same else [f"{at}: {before!r} before, {now!r} now"]


def _numbers(sentence: str | None) -> list[float] | None:
    """But those of the command that adds trials, which was not named before."""
    if sentence is None:
        return None
    said = re.sub(r" \(stride extend [0-9a-f]{8} --trials \d+\)$", "", sentence)
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e[+-]\d+)?", said)]
