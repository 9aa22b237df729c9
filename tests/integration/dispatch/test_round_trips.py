"""How often dispatch waits for the database: statements sent and waited for, BEGIN and COMMIT aside, and commits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from service.dispatch import start
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.renew import report
from service.domain.trial import TrialError
from service.search.sampling import Proposal
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import SPACE, claimed, claimer_of, conclude

_NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK")


@dataclass
class Waits:
    """What was sent since `restart`."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0

    def restart(self) -> None:
        self.statements.clear()
        self.commits = 0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Counts at the driver, below SQLAlchemy."""
    counted = Waits()
    execute, executemany, commit = psycopg.Cursor.execute, psycopg.Cursor.executemany, psycopg.Connection.commit

    def count(query: object) -> None:
        text = (query.decode() if isinstance(query, bytes) else str(query)).lstrip()
        if text.upper().startswith("COMMIT"):
            counted.commits += 1
        elif not text.upper().startswith(_NOT_COUNTED):
            counted.statements.append(text)

    def counted_execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        count(query)
        return execute(self, query, *args, **kwargs)

    def counted_executemany(self: Any, query: Any, rows: Any, **kwargs: Any) -> Any:
        rows = list(rows)
        for _ in rows:
            count(query)
        return executemany(self, query, rows, **kwargs)

    def counted_commit(self: Any) -> None:
        counted.commits += 1
        commit(self)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted_execute)
    monkeypatch.setattr(psycopg.Cursor, "executemany", counted_executemany)
    monkeypatch.setattr(psycopg.Connection, "commit", counted_commit)
    return counted


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch, waits: Waits) -> None:
    """Counting restarts whenever a sampler is done."""
    propose: Callable[..., Proposal] = start.propose_next

    def propose_and_restart(*args: Any, **kwargs: Any) -> Proposal:
        proposal = propose(*args, **kwargs)
        waits.restart()
        return proposal

    monkeypatch.setattr(start, "propose_next", propose_and_restart)


STRATEGIES: list[Any] = ["random", {"type": "random", "sampler": "qmc"}, "bayesian", {"type": "bayesian", "sampler": "gp"}]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("replicates", [1, 2])
@pytest.mark.usefixtures("sampled")
def test_a_claim_waits_at_most_six_times_and_commits_once_when_the_sampler_is_done(
    database: Database, waits: Waits, strategy: Any, replicates: int
) -> None:
    submit_job(database, strategy=strategy, search_space=SPACE, replicates=replicates)
    claimer = claimer_of(database)
    for number in range(3):
        claim = claimed(claimer)
        assert claim.lease.number == number
        assert len(waits.statements) <= 6, waits.statements
        assert waits.commits == 1
        conclude(database, claim, Completed(value=1.0))


@pytest.mark.parametrize("strategy", ["random", "grid"])
@pytest.mark.parametrize("replicates", [1, 2])
def test_a_claim_that_needs_no_history_waits_at_most_six_times_in_all(
    database: Database, waits: Waits, strategy: str, replicates: int
) -> None:
    submit_job(database, strategy=strategy, replicates=replicates)
    claimer = claimer_of(database)
    claimed(claimer)
    waits.restart()
    claimed(claimer)
    assert len(waits.statements) <= 6, waits.statements
    assert waits.commits == 1


@pytest.mark.usefixtures("sampled")
def test_a_claim_of_an_enqueued_trial_costs_no_more(database: Database, waits: Waits) -> None:
    submit_job(database, strategy="bayesian", try_first=[{"learning_rate": 0.1}])
    claimed(claimer_of(database))
    assert len(waits.statements) <= 6, waits.statements
    assert waits.commits == 1


def test_an_idle_worker_asks_once(database: Database, waits: Waits) -> None:
    claimer = claimer_of(database)
    claimer.claim(uuid4())
    waits.restart()
    assert claimer.claim(uuid4()) is None
    assert (len(waits.statements), waits.commits) == (1, 1)


def test_a_report_waits_at_most_twice_and_commits_once(database: Database, waits: Waits) -> None:
    job = submit_job(database)
    claim = claimed(claimer_of(database))
    for batch in ([measurement(1)], [measurement(2), measurement(3)], []):
        waits.restart()
        database.transact(lambda conn, batch=batch: report(conn, job, claim.lease, batch, lease_s=30))  # type: ignore[misc]
        assert len(waits.statements) <= 2, waits.statements
        assert waits.commits == 1


RESULTS: list[Result] = [
    Completed(value=1.0, user_attrs={"test_loss": 1.0}),
    Infeasible(step=1, fraction=0.25, evidence="loss became inf"),
    Pruned(value=1.0, step=1),
    Failed(error=TrialError(type="E", message="e")),
]


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("trials", [1, 2])
def test_a_finish_waits_at_most_five_times_and_commits_once(
    database: Database, waits: Waits, result: Result, trials: int
) -> None:
    submit_job(database, budget={"trials": trials})
    claim = claimed(claimer_of(database))
    waits.restart()
    database.transact(lambda conn: finish(conn, claim.lease, result, lease_s=30, measurements=[measurement(1)], log_tail="log"))
    assert len(waits.statements) <= 5, waits.statements
    assert waits.commits == 1
