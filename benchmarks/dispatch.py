"""What dispatch costs, beside stock Optuna on the same PostgreSQL and beside Optuna in memory, the upper limit.

    python -m benchmarks.dispatch [--repeats 5] [--out benchmarks/results]

Three tables: claim to finish without training; one epoch reported by itself; the latency of a claim as the history grows. The
contenders take turns in every repeat, so that changes of the machine's speed affect all of them; a figure is the median of the
repeats, with its range. Every study starts with the same history, read before the clock starts.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
import psycopg

from benchmarks.loss import loss_of
from benchmarks.studies import PARTS, Bench
from benchmarks.tables import Table, publish
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed
from service.dispatch.renew import report, should_prune
from service.domain.job import Job
from service.domain.measurement import Measurement
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database


@contextlib.contextmanager
def waits_counted() -> Iterator[list[int]]:
    """Counts statements sent and waited for, BEGIN and COMMIT aside, and commits."""
    counts = [0, 0]
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def counted_execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        counts[0] += not str(query).startswith("BEGIN")
        return execute(self, query, *args, **kwargs)

    def counted_commit(self: Any) -> None:
        counts[1] += 1
        commit(self)

    psycopg.Cursor.execute, psycopg.Connection.commit = counted_execute, counted_commit  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        psycopg.Cursor.execute, psycopg.Connection.commit = execute, commit  # type: ignore[method-assign]


def per_second(action: Callable[[], None], count: int) -> float:
    """How often a second `action` is done."""
    started = time.perf_counter()
    for _ in range(count):
        action()
    return count / (time.perf_counter() - started)


# One trial from claim to finish


def our_trial(bench: Bench, claimer: Claimer) -> Callable[[], None]:
    def trial() -> None:
        claim = claimer.claim(uuid4())
        assert claim is not None
        result = Completed(value=loss_of(claim.params))
        bench.database.transact(lambda conn: finish(conn, claim.lease, result, lease_s=600))

    return trial


def stock_trial(bench: Bench, study: optuna.Study) -> Callable[[], None]:
    def trial() -> None:
        asked = study.ask(bench.distributions)
        study.tell(asked, loss_of(asked.params))

    return trial


@dataclass
class Contest:
    """Rates of three contenders, one list of repeats each."""

    ours: list[float]
    stock: list[float]
    limit: list[float]


def claim_to_finish(bench: Bench, sampler: str, history_length: int, count: int, repeats: int) -> Contest:
    contest = Contest([], [], [])
    history = bench.history(history_length)
    for _ in range(repeats):
        _, claimer = bench.job(sampler, history)
        ours = our_trial(bench, claimer)
        stock = stock_trial(bench, bench.stock_study(sampler, history))
        limit = stock_trial(bench, bench.memory_study(sampler, history))
        for action, rates, n in (
            (ours, contest.ours, count),
            (stock, contest.stock, max(10, count // 4)),
            (limit, contest.limit, count),
        ):
            action()  # connected, imported, cached
            rates.append(per_second(action, n))
    return contest


# One epoch reported by itself


def our_epoch(bench: Bench, job: Job, claimer: Claimer, ask: bool) -> Callable[[], None]:
    claim = claimer.claim(uuid4())
    assert claim is not None
    steps = iter(range(1, 1_000_000))

    def epoch() -> None:
        step = next(steps)
        fraction = min(step / PARTS, 0.99)
        item = Measurement(
            step=step,
            fraction=fraction,
            in_warmup=False,
            metrics={"loss": loss_of(claim.params, fraction), "gradient_norm": 1.0},
            learning_rate=0.1,
            seconds=0.1,
        )
        bench.database.transact(lambda conn: report(conn, job, claim.lease, [item], lease_s=600))
        if ask:
            should_prune(bench.database, claimer.cache, job, claim.lease)

    return epoch


def stock_epoch(bench: Bench, study: optuna.Study) -> Callable[[], None]:
    trial = study.ask(bench.distributions)
    steps = iter(range(1, 1_000_000))

    def epoch() -> None:
        step = next(steps)
        trial.report(loss_of(trial.params, min(step / PARTS, 0.99)), step)
        trial.should_prune()

    return epoch


def epochs(bench: Bench, pruned: bool, count: int, repeats: int) -> Contest:
    contest = Contest([], [], [])
    history = bench.history(300)
    for _ in range(repeats):
        job, claimer = bench.job("random", history, {"type": "median", "parts": PARTS} if pruned else "none")
        ours = our_epoch(bench, job, claimer, ask=pruned)
        stock = stock_epoch(bench, bench.stock_study("random", history, optuna.pruners.MedianPruner() if pruned else None))
        for action, rates in ((ours, contest.ours), (stock, contest.stock)):
            action()
            rates.append(per_second(action, count))
    return contest


# The latency of a claim


def claim_ms(bench: Bench, sampler: str, history_length: int, count: int, repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        _, claimer = bench.job(sampler, bench.history(history_length))
        claimer.claim(uuid4())
        found.append(1000 / per_second(lambda claimer=claimer: claimer.claim(uuid4()), count))  # type: ignore[misc]
    return found


def spread(values: list[float], digits: int = 0) -> str:
    """Median and range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(over: list[float], under: list[float]) -> str:
    """Median and range of the ratios, pair by pair."""
    return spread([a / b for a, b in zip(over, under, strict=True)], 2)


def claims_table(bench: Bench, repeats: int) -> Table:
    table = Table(
        "Claim to finish without training, one process: trials a second",
        [
            "sampler",
            "trials before",
            "Stride",
            "stock RDBStorage",
            "in memory (limit)",
            "Stride / stock",
            "Stride / limit",
            "waits, commits",
        ],
    )
    for sampler in ("random", "tpe"):
        for length in (300, 1000):
            contest = claim_to_finish(bench, sampler, length, 80, repeats)
            _, claimer = bench.job(sampler, bench.history(20))
            table.add(
                sampler,
                f"{length:,}",
                spread(contest.ours),
                spread(contest.stock, 1),
                spread(contest.limit),
                ratio(contest.ours, contest.stock),
                ratio(contest.ours, contest.limit),
                waits(our_trial(bench, claimer)),
            )
    return table


def reports_table(bench: Bench, repeats: int) -> Table:
    table = Table(
        "One epoch reported by itself: epochs a second, after 300 trials of 20 epochs",
        ["pruner", "Stride", "stock report + should_prune", "Stride / stock", "waits, commits"],
    )
    for pruned in (False, True):
        contest = epochs(bench, pruned, 60, repeats)
        job, claimer = bench.job("random", bench.history(20), {"type": "median", "parts": PARTS} if pruned else "none")
        table.add(
            "median" if pruned else "none",
            spread(contest.ours),
            spread(contest.stock, 1),
            ratio(contest.ours, contest.stock),
            waits(our_epoch(bench, job, claimer, ask=pruned)),
        )
    return table


def latency_table(bench: Bench, repeats: int) -> Table:
    table = Table(
        "Latency of a claim, ms, by the length of the history",
        ["sampler", "100 trials", "1,000 trials", "10,000 trials", "10,000 / 100"],
    )
    for sampler, count in (("random", 60), ("grid", 60), ("tpe", 10)):
        short, middle, long = [], [], []
        for _ in range(repeats):
            short += claim_ms(bench, sampler, 100, count, 1)
            middle += claim_ms(bench, sampler, 1_000, count, 1)
            long += claim_ms(bench, sampler, 10_000, count, 1)
        table.add(sampler, spread(short, 2), spread(middle, 2), spread(long, 2), ratio(long, short))
    return table


def waits(action: Callable[[], None]) -> str:
    """Statements waited for and commits of one `action`, warmed up."""
    action()
    with waits_counted() as counts:
        action()
    return f"{counts[0]}, {counts[1]}"


TABLES = {"claims": claims_table, "reports": reports_table, "latency": latency_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["claims", "reports", "latency"], help="one table")
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        names = [arguments.only] if arguments.only else list(TABLES)
        tables = [TABLES[name](Bench(database), arguments.repeats) for name in names]
        database.close()
    publish("dispatch", tables, arguments.repeats, arguments.out)


if __name__ == "__main__":
    main()
