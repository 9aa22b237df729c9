"""How long `GET /v1/jobs/{id}/best-lr` takes: trials read from PostgreSQL, curve fitted, answer given.

    python -m benchmarks.answer_speed [--repeats 5] [--out benchmarks/results]

Trials of benchmarks/studies.py: learning rate, batch size, epochs and momentum searched at random, 20 intermediate values each.
The answer is computed again in each repeat; a second request for the same trials is answered from the cache.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from starlette.testclient import TestClient

from benchmarks.studies import Bench
from benchmarks.tables import Table, publish
from service.api.kept_answers import KeptAnswers
from service.app import create_app
from service.settings import Settings
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database

TRIALS = (16, 64, 500, 5_000, 20_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    table = Table("Seconds for best-lr, four parameters searched", ["trials", "worked out", "asked again"])
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        app = create_app(Settings(), database)
        with TestClient(app, "http://127.0.0.1") as client:
            for count in TRIALS:
                bench = Bench(database)
                job, _ = bench.job("random", bench.history(count))
                first, again = [], []
                for repeat in range(arguments.repeats + 1):
                    app.state.answers = KeptAnswers()
                    seconds = (_ask(client, str(job.id)), _ask(client, str(job.id)))
                    if repeat:  # the first imports what it needs
                        first.append(seconds[0])
                        again.append(seconds[1])
                table.add(str(count), _spread(first), _spread(again))
        database.close()
    publish("answer_speed", [table], arguments.repeats, arguments.out)


def _ask(client: TestClient, job: str) -> float:
    started = time.perf_counter()
    client.get(f"/v1/jobs/{job}/best-lr").raise_for_status()
    return time.perf_counter() - started


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
