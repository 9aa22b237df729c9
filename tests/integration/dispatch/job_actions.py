"""What workers, users, foreign scripts and time may do to a job, in the database and in a simple model of it."""

from typing import Any
from uuid import uuid4

import optuna
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
)
from optuna.storages import RDBStorage

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.finish import finish
from service.dispatch.renew import Answer, report
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.job import FINAL
from service.errors import IllegalMove, JobNotFound, LeaseLost
from service.store import jobs, leases
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.job_model import FAILURES, MAX_ATTEMPTS, RESULTS, TARGET, TRIALS, ModelJob, ModelLease, ModelTrial
from tests.integration.dispatch.training import LEASE_S, claimer_of, expire

YOUNG = 10
"""Events up to which a job is not ended, so that its history is long enough to be interesting."""


class JobActions(RuleBasedStateMachine):
    """A job, its model, and what may happen to both. Writes under ended attempts are tried too, and must fail."""

    def __init__(self, database: Database, storage: RDBStorage) -> None:
        super().__init__()
        self.database = database
        self.storage = storage

    def begin(self, grid: bool, max_parallel: int | None) -> None:
        """Submit the job."""
        self.job = submit_job(
            self.database,
            strategy="grid" if grid else "random",
            budget={"trials": TRIALS, "failures": FAILURES, "target": TARGET, "seconds": 10_000.0},
            max_parallel=max_parallel,
            max_attempts=MAX_ATTEMPTS,
        )
        self.model = ModelJob(grid, max_parallel)
        self.held: list[tuple[Claim, ModelLease]] = []

    # Workers

    def claim(self) -> None:
        claim, expected = claimer_of(self.database).claim(uuid4()), self.model.claim()
        assert (None if claim is None else (claim.lease.number, claim.lease.attempt)) == expected
        self.hold(claim)

    def report(self, claim: Claim, lease: ModelLease) -> None:
        if not self.may_write(lease, lambda conn: report(conn, self.job, claim.lease, [measurement(1)], lease_s=LEASE_S)):
            return
        trial = self.model.trials[lease.number]
        step = trial.steps + 1
        answer = self.database.transact(
            lambda conn: report(conn, self.job, claim.lease, [measurement(step, fraction=0.1)], lease_s=LEASE_S)
        )
        trial.steps = lease.last_step = step
        goes_on = self.model.state == "running" and not lease.released
        assert answer is (Answer.GO_ON if goes_on else Answer.GIVE_BACK)
        lease.expired_at = None if goes_on else lease.expired_at

    def finish(self, claim: Claim, lease: ModelLease, result: str) -> None:
        if self.may_write(lease, lambda conn: finish(conn, claim.lease, RESULTS[result], lease_s=LEASE_S)):
            after = self.database.transact(lambda conn: finish(conn, claim.lease, RESULTS[result], lease_s=LEASE_S))
            lease.outcome = "finished"
            self.model.end_trial(lease.number, "complete" if result == "target" else result, target=result == "target")
            assert after == self.model.state

    def a_trial_is_quick(self, result: str) -> None:
        before = len(self.held)
        self.claim()
        if len(self.held) > before:
            self.finish(*self.held[-1], result)

    def trainer_dies(self, claim: Claim, lease: ModelLease) -> None:
        claimer = claimer_of(self.database)
        if not lease.is_open:
            with pytest.raises(LeaseLost):
                claimer.retry(claim, uuid4(), "killed", "")
            return
        following = claimer.retry(claim, uuid4(), "killed", "")
        if self.model.state != "running":
            assert following is None
            lease.released, lease.expired_at = True, self.model.tick()
            return
        lease.outcome = "trainer_died"
        self.model.events.append("trainer.died")
        if self.model.trials[lease.number].fruitless >= MAX_ATTEMPTS:
            assert following is None
            self.model.end_trial(lease.number, "failed")
        else:
            assert following is not None
            assert (following.lease.number, following.lease.attempt) == self.model.begin(lease.number)
            self.hold(following)

    def give_back(self, claim: Claim, lease: ModelLease) -> None:
        if self.may_write(lease, lambda conn: leases.release(conn, claim.lease, "its worker stops")):
            self.database.transact(lambda conn: leases.release(conn, claim.lease, "its worker stops"))
            lease.released, lease.expired_at = True, self.model.tick()

    def worker_stops_reporting(self, claim: Claim, lease: ModelLease) -> None:
        if lease.is_open:
            expire(self.database, claim)
            lease.expired_at = self.model.tick()

    # Users

    def pause(self) -> None:
        if self.move("pause", allowed=("queued", "running"), already=("paused",)):
            self.model.state = "paused"
            self.model.events.append("job.paused")

    def resume(self) -> None:
        if self.move("resume", allowed=("paused",), already=("queued", "running")):
            self.model.state = "running" if self.model.started else "queued"
            self.model.events.append("job.resumed")
            self.model.end_if_done(reached=self.model.reached)

    def cancel(self) -> None:
        if self.move("cancel", allowed=("queued", "running", "paused"), already=("cancelled",)):
            self.model.end("cancelled")

    def delete(self, grid: bool, max_parallel: int | None) -> None:
        if not self.move("delete", allowed=tuple(FINAL), already=()):
            return
        with pytest.raises(JobNotFound):
            self.database.transact(lambda conn: jobs.get(conn, self.job.id))
        for claim, _ in self.held:
            with pytest.raises(LeaseLost):
                self.database.transact(lambda conn, claim=claim: finish(conn, claim.lease, RESULTS["complete"], lease_s=LEASE_S))  # type: ignore[misc]
        self.begin(grid, max_parallel)

    # Time

    def time_is_over(self) -> None:
        with self.database.transaction() as conn:
            conn.exec_driver_sql("UPDATE stride.jobs SET deadline_at = clock_timestamp() WHERE id = %(id)s", {"id": self.job.id})
        sweep(self.database)
        self.model.end("completed")

    def sweeps(self) -> None:
        sweep(self.database)
        tidy_up(self.database)
        model = self.model
        # A foreign script may have taken the last numbers.
        if model.state in ("queued", "running") and model.all_issued and not model.open_leases and model.waiting is None:
            if model.state == "queued":
                model.state, model.started = "running", True
                model.events.append("job.started")
            model.end("completed")

    # Foreign scripts

    def foreign_enqueues(self) -> None:
        self.study().enqueue_trial({"learning_rate": 0.01})
        self.model.trials.append(ModelTrial("waiting"))

    def foreign_tells(self) -> None:
        space = {"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)}
        self.study().add_trial(optuna.create_trial(params={"learning_rate": 0.02}, distributions=space, value=3.0))
        self.model.trials.append(ModelTrial("complete"))

    def is_young(self) -> bool:
        return len(self.model.events) <= YOUNG and self.model.state not in FINAL

    def hold(self, claim: Claim | None) -> None:
        if claim is not None:
            self.held.append((claim, self.model.trials[claim.lease.number].leases[-1]))

    def pick(self, which: int) -> tuple[Claim, ModelLease]:
        """One of the attempts there have been, mostly one that is under way."""
        under_way = [held for held in self.held if held[1].is_open]
        among = under_way if under_way and which % 5 else self.held
        return among[which % len(among)]

    def may_write(self, lease: ModelLease, write: Any) -> bool:
        """Whether the lease is still open; if not, sees that nothing can be written under it."""
        if not lease.is_open:
            with pytest.raises(LeaseLost):
                self.database.transact(write)
        return lease.is_open

    def move(self, verb: str, *, allowed: tuple[str, ...], already: tuple[str, ...]) -> bool:
        """Ask for a move; whether it is one, by the model."""

        def ask(conn: Any) -> None:
            getattr(lifecycle, verb)(conn, self.job.id)

        if self.model.state not in allowed + already:
            with pytest.raises(IllegalMove):
                self.database.transact(ask)
            return False
        self.database.transact(ask)
        return self.model.state in allowed

    def study(self) -> optuna.Study:
        return optuna.load_study(study_name=self.job.study_name, storage=self.storage)
