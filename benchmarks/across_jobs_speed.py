"""How long `GET /v1/best-lr` takes across 200 jobs of one measure, by the number of recipes among them.

    python -m benchmarks.across_jobs_speed [--out benchmarks/results]

Each job has 32 trials of benchmarks/studies.py. The first request fits a response curve for each recipe, the second finds all of
them in the cache.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from benchmarks.jobs import spec_of
from benchmarks.studies import SPACE, Bench
from benchmarks.tables import Table, publish
from service.api.kept_answers import KeptAnswers
from service.app import create_app
from service.dispatch.submit import submit
from service.settings import Settings
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database

JOBS = 200
TRIALS = 32
RECIPES = (1, 20, 200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    table = Table(f"Seconds for a page of best-lr across {JOBS} jobs", ["recipes", "first request", "asked again", "kB"])
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        app = create_app(Settings(), database)
        bench = Bench(database)
        with TestClient(app, "http://127.0.0.1") as client:
            for recipes in RECIPES:
                _submit(bench, recipes)
            _ask(client, RECIPES[0])  # it imports what it needs
            for recipes in RECIPES:
                app.state.answers = KeptAnswers()
                (first, size), (again, _) = _ask(client, recipes), _ask(client, recipes)
                table.add(str(recipes), f"{first:.2f}", f"{again:.2f}", f"{size / 1000:.0f}")
        database.close()
    publish("across_jobs_speed", [table], 1, arguments.out)


def _objective(recipes: int) -> str:
    return f"{recipes} recipes"


def _submit(bench: Bench, recipes: int) -> None:
    for number in range(JOBS):
        document: dict[str, Any] = {
            "objective": {"name": _objective(recipes), "settings": {"width": number % recipes}},
            "search_space": SPACE,
            "strategy": "random",
            "metric": "loss",
        }
        job, _ = bench.database.transact(lambda conn, document=document: submit(conn, spec_of(document)))  # type: ignore[misc]
        bench.fill(job.study_id, bench.history(TRIALS, seed=number))


def _ask(client: TestClient, recipes: int) -> tuple[float, int]:
    started = time.perf_counter()
    answer = client.get("/v1/best-lr", params={"objective": _objective(recipes)}).raise_for_status()
    return time.perf_counter() - started, len(answer.content)


if __name__ == "__main__":
    main()
