"""The whole sweep: every kind of commit, replies lost and processes killed, on jobs of four trials of six steps.

python -m tests.lost_replies [FOLDER]: prints the report, and writes it to a folder; exits 1 when a promise was broken.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.tables import Table, publish
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database, psycopg_url
from tests.conftest import execute
from tests.databases import connection_url
from tests.lost_replies.stage import Stage
from tests.lost_replies.sweep import Scenario, Swept, scenarios, sweep

TRIALS, STEPS = 4, 6
LANES = 4


def main() -> None:
    """The command line."""
    sys.exit(bool(prove(Path(sys.argv[1]) if len(sys.argv) > 1 else None)))


def prove(out: Path | None) -> int:
    """Run the whole sweep and report on it, also in the folder `out`; returns how many promises were broken."""
    with tempfile.TemporaryDirectory(prefix="stride-sweep-") as name:
        folder = Path(name)
        with EmbeddedPostgres.start(folder / "data") as server:
            database = Database(server.url)
            migrate.upgrade(database)  # once, before there are threads: Alembic is for one at a time
            database.close()
            todo = [(kills, scenario) for kills in (False, True) for scenario in scenarios(TRIALS, STEPS)]
            with ThreadPoolExecutor(LANES) as pool:  # concurrently: a sweep mostly waits
                lanes = [
                    pool.submit(_sweep, _copy(server.url, f"sweep_{number}"), folder / str(number), kills, scenario)
                    for number, (kills, scenario) in enumerate(todo)
                ]
                swept = [found for lane in lanes for found in lane.result()]
    publish("lost_replies", tables(swept), 1, out)
    return sum(len(found.violations) for found in swept)


def tables(swept: list[Swept]) -> list[Table]:
    """A table of the sweeps and their results, and one of the violations if there are any."""
    runs, lost = sum(found.runs for found in swept), sum(found.lost for found in swept)
    table = Table(
        f"The reply of the k-th commit of a kind lost, for k = 1, 2, ... until a run has no k-th one: {lost} replies, {runs} runs"
        f" of {TRIALS} trials of {STEPS} steps; each equal to a run without faults: each trial finished once, nothing left open,"
        " no event twice",
        ["job", "commit of", "its process", "k", "runs", "seconds", "kept"],
    )
    for found in swept:
        table.add(
            found.scenario,
            found.kind,
            "killed before the reply" if found.kills else "lives on",
            f"1 to {found.lost}" if found.lost else "none",
            str(found.runs),
            f"{found.seconds:.0f}",
            "NO" if found.violations else "yes",
        )
    violations = [violation for found in swept for violation in found.violations]
    if not violations:
        return [table]
    return [table, Table("Broken", ["in", "what"], [violation.split(": ", 1) for violation in violations])]


def _copy(server_url: str, name: str) -> str:
    execute(connection_url(server_url, "postgres"), f"CREATE DATABASE {name} TEMPLATE {psycopg_url(server_url).database}")
    return connection_url(server_url, name)


def _sweep(url: str, folder: Path, kills: bool, scenario: Scenario) -> list[Swept]:
    folder.mkdir()
    with Stage(url, folder, kills=kills) as stage:
        return list(sweep(stage, scenario, scenario.kinds))
