"""64 clients that train four jobs by HTTP, with faults between two API processes and the database.

python -m tests.chaos.many_clients [FOLDER]: prints the report, and writes it to a folder; exits 1 when a promise was broken.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import psycopg

from benchmarks.tables import Table, publish
from service.commands.roles import address, listen
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database
from tests.chaos.clients import Loop, broken, documents, faults, run_all
from tests.chaos.history import read_history
from tests.chaos.processes import Supervisor
from tests.chaos.stage import WITNESS
from tests.tcp_proxy import Mode, TcpProxy

CLIENTS, CALM = 64, 4
"""With faults, and without."""
TRIALS, POINTS = 60, 30
"""Of a random search, and of a grid; one of the grids trains each point twice."""
SETTINGS = {"STRIDE_DATABASE_TIMEOUT_S": "3", "STRIDE_LEASE_S": "120", "STRIDE_POLL_S": "0.2", "STRIDE_LOG_LEVEL": "warning"}
"""Leases are long: these clients send no heartbeats, and one that waits for an answer may be silent for half a minute."""
MODES = (Mode.RESET, Mode.LOSE_REPLY, Mode.BLACK_HOLE)
SHORTEST_S = 0.3
"""Of a fault; between two of them passes two to six times as long."""


def main() -> None:
    """The command line."""
    sys.exit(bool(prove(Path(sys.argv[1]) if len(sys.argv) > 1 else None)))


def prove(out: Path | None) -> int:
    """Train the jobs without faults by some clients, and with faults by many; returns how many promises were broken."""
    with tempfile.TemporaryDirectory(prefix="stride-clients-") as name, EmbeddedPostgres.start(Path(name) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        database.close()
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as conn:
            conn.execute(WITNESS)
            with TcpProxy(server.url) as proxy, _apis(proxy.url, Path(name), 2) as https:
                calm = [Loop(https[0], "client:0", 0).submit(job) for job in documents(TRIALS, POINTS)]
                run_all(https, calm, range(CALM))
                faulty = [
                    Loop(https[0], "client:0", 0).submit(job | {"name": f"faulty {job['name']}"})
                    for job in documents(TRIALS, POINTS)
                ]
                began = time.monotonic()
                with faults(proxy, 1, MODES, shortest_s=SHORTEST_S) as count:
                    run_all(https, faulty, range(CALM, CALM + CLIENTS))
                    injected, seconds = count(), time.monotonic() - began
            jobs = {job.id: job for job in read_history(conn).jobs}
    table = Table(
        f"{CLIENTS} clients by HTTP, two API processes, {injected} faults between them and the database in {seconds:.0f} s:"
        " each trial finished once, at its first attempt, and all that is stored equal to a run without faults",
        ["job", "trials", "violations"],
    )
    violations = list[str]()
    for one, other in zip(calm, faulty, strict=True):
        found = list(broken(jobs[one], jobs[other]))
        violations += found
        table.add(jobs[one].name, str(len(jobs[other].trials)), "; ".join(found) or "none")
    publish("many_clients", [table], 1, out)
    return len(violations)


@contextmanager
def _apis(url: str, folder: Path, n: int) -> Iterator[list[httpx2.Client]]:
    """Clients of so many API processes on this database."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")}
    environment |= {"STRIDE_DATABASE_URL": url, **SETTINGS}
    with ExitStack() as undo:
        doors = [undo.enter_context(listen("127.0.0.1", 0)) for _ in range(n)]
        supervisor = Supervisor()
        undo.callback(supervisor.end)
        supervisor.start(
            [
                (["api", "--fd", str(door.fileno())], environment, folder / f"api{number}.log", [door.fileno()])
                for number, door in enumerate(doors)
            ]
        )
        limits = httpx2.Limits(max_connections=None)
        yield [
            undo.enter_context(httpx2.Client(base_url=address(door), timeout=10, trust_env=False, limits=limits))
            for door in doors
        ]


if __name__ == "__main__":
    main()
