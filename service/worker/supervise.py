"""The worker's side of a trial, from claim to result. It talks to the database while the trainer process trains.

A trial whose lease is lost is dropped: another worker has it.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from objectives.contract import Objective
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.domain.events import Event
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases
from service.store.postgres import Database
from service.worker.attempt import Attempt
from service.worker.best_models import BestModels
from service.worker.checkpointing import CheckpointSettings
from service.worker.lease import HeldLease, Pace, ids
from service.worker.retrying import Dropped, RetryingDatabase
from service.worker.trainer.kept import KeptTrainer
from service.worker.waiting import T, Waits

log = structlog.get_logger()


class TrialSupervisor:
    """Runs claimed trials to their end, one at a time.

    on_heartbeat: called about as often as the lease is renewed.
    seconds_left: how many more seconds the step under way may take; infinite until the worker is asked to stop.
    """

    def __init__(
        self,
        database: Database,
        claimer: Claimer,
        catalog: Mapping[str, Objective],
        trainer: KeptTrainer,
        pace: Pace,
        keep: CheckpointSettings,
        on_heartbeat: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self._database = database
        self._claimer = claimer
        self._catalog = catalog
        self._trainer = trainer
        self._pace = pace
        self._keep = keep
        self._on_heartbeat = on_heartbeat
        self._seconds_left = seconds_left
        self._best_models = BestModels()

    def run_trial(self, claim: Claim) -> None:
        """Train the claimed trial until its result is stored, or it is dropped or given back. A trainer that dies is replaced.

        Raises Unfit when the trial was given back because this worker cannot train its objective.
        """
        self._wait_for(self._train(claim))

    def find_problem(self, objective: str, meanwhile: Callable[[], None]) -> str | None:
        """Why this worker cannot train an objective at all; None when it can. meanwhile: called often, may raise."""

        def at_once() -> Waits[None]:
            meanwhile()
            yield from ()

        return self._wait_for(self._trainer.find_problem(objective, self._pace.device, self._keep.folder_name, at_once))

    def _wait_for(self, work: Waits[T]) -> T:
        """Do the work, and wait where it asks to. While a worker has a trial, it waits nowhere else."""
        while True:
            try:
                wait = next(work)
            except StopIteration as done:
                result: T = done.value
                return result
            if wait.listening:
                self._trainer.wait(wait.until)
            else:
                time.sleep(max(0.0, wait.until - time.monotonic()))

    def _train(self, claim: Claim) -> Waits[None]:
        following: Claim | None = claim
        try:
            while following is not None:
                claim = following
                following = yield from self._attempt(claim).run()
        except LeaseLost:
            log.info(Event.LEASE_LOST, **ids(claim))
            yield from self._trainer.stop()
            with suppress(DatabaseUnavailable):  # then the attempt counts
                self._database.transact(lambda conn: leases.excuse(conn, claim.lease.token))
        except Dropped:
            yield from self._trainer.stop()

    def _attempt(self, claim: Claim) -> Attempt:
        database = RetryingDatabase(self._database, self._seconds_left)
        return Attempt(
            database,
            HeldLease(database, self._claimer, claim, self._pace),
            self._catalog[claim.job.spec.objective.name],
            self._trainer,
            self._pace,
            self._keep,
            self._best_models,
            self._on_heartbeat,
            self._seconds_left,
        )
