"""A worker that needs no process: it claims, reports and finishes as a test says."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Infeasible, Result
from service.dispatch.renew import report
from service.domain.job import JobState
from service.store import workers
from service.store.postgres import Database
from tests.factories import measurement
from tests.quadratic import DIVERGES_ABOVE, expected_loss

LEASE_S = 30


class Worker:
    """Trains `quadratic` in no time."""

    def __init__(self, database: Database) -> None:
        self.id = uuid4()
        self._database = database
        self._claimer = Claimer(database, self.id, ["quadratic"], LEASE_S)
        database.transact(
            lambda conn: workers.register(
                conn, self.id, name="test:1", objectives=["quadratic"], device="cpu", version="1", lost_after_s=30
            )
        )

    def claim(self) -> Claim:
        claim = self._claimer.claim(uuid4())
        assert claim is not None
        return claim

    def report(self, claim: Claim, loss: float, step: int = 1, log: str | None = None, **details: Any) -> None:
        items = [measurement(step, loss, **details)]
        self._database.transact(lambda conn: report(conn, claim.job, claim.lease, items, lease_s=LEASE_S, log_tail=log))

    def finish(self, claim: Claim, result: Result) -> JobState:
        return self._database.transact(lambda conn: finish(conn, claim.lease, result, lease_s=LEASE_S))

    def train(self, trials: int, result: Callable[[Claim], Result] | None = None) -> list[Claim]:
        """Claim and finish so many trials, each with the parabola's value unless `result` says otherwise."""
        claims = []
        for _ in range(trials):
            claim = self.claim()
            self.finish(claim, (result or trained)(claim))
            claims.append(claim)
        return claims


def trained(claim: Claim) -> Result:
    """What the quadratic objective gives at the claim's learning rate."""
    rate = float(claim.params["learning_rate"])
    if rate > DIVERGES_ABOVE:
        return diverged(claim)
    return Completed(value=expected_loss(rate))


def diverged(claim: Claim) -> Result:
    return Infeasible(step=1, fraction=0.25, evidence="loss became inf at update 1")
