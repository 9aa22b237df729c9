"""The worker: claims trials and runs each to its end, until it is asked to stop."""

import math
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import FrameType, MappingProxyType
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection

from objectives.catalog import load_catalog
from objectives.scripts.entry import ScriptObjective
from objectives.sources import source_digests
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.events import Event
from service.errors import DatabaseUnavailable
from service.settings import Settings
from service.store import checkpoint_files, checkpoints, retention, revision, workers
from service.store.postgres import Database
from service.version import VERSION
from service.worker.assignment import Assignment
from service.worker.checkpointing import CheckpointSettings
from service.worker.ending import Unfit
from service.worker.lease import Pace
from service.worker.number import worker_number
from service.worker.offers import Offers, own_objectives
from service.worker.stopping import StopRequest
from service.worker.supervise import TrialSupervisor
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.process import TrainerProcess

log = structlog.get_logger()

SHORTEST_POLL_S = 0.05
SWEEP_S = 2.0
TIDY_S = 10.0
CLEAN_S = 3600.0
CLEAN_FOR_S = 5.0
"""Longest time for deleting old rows in one go: the worker sends no heartbeat meanwhile."""
TRY_AGAIN_S = 30.0
"""Pause before an objective that could not be trained here is tried again."""


class _AskedToStop(Exception):
    """The worker was asked to stop, so it waits for nothing more."""


class Worker:
    """One worker: a claimer, a supervisor, and the trainer process that it keeps warm.

    number: of this worker on its host. scripts: the objectives in `settings.objective_files`, by name. assignment: the one job
    that it is for, of one of `scripts`; None: any job, also of other objectives.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        number: int = 0,
        scripts: Mapping[str, ScriptObjective] = MappingProxyType({}),
        assignment: Assignment | None = None,
    ) -> None:
        self.id = uuid4()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._database = database
        self._settings = settings
        self._number = number
        self._hosts_before = 0
        self._catalog = load_catalog(settings.objective_modules) | {name: each.objective for name, each in scripts.items()}
        self._scripts = {name: each.function for name, each in scripts.items()}
        self._claimer = Claimer(database, self.id, [], settings.lease_s)
        self._digests = source_digests(self._catalog, settings.objective_modules)
        own = own_objectives(self._catalog, settings.objective_modules, scripts)
        if assignment is not None:
            own = [each for each in own if each.objective.name in scripts]
        offered = list(self._catalog if assignment is None else scripts)
        self._offers = Offers(database, self._claimer, self.id, self.name, offered, own)
        self._assignment = assignment
        self._asked_to_stop = StopRequest()
        self._stop_at = math.inf
        self._try_again_at = time.monotonic() + TRY_AGAIN_S
        self._peers = 1
        """How many workers there are, itself included."""
        self._seen_at = self._swept_at = self._tidied_at = self._cleaned_at = -math.inf
        self._unanswered: UUID | None = None
        """The token of a claim whose reply was lost."""

    def run(self) -> None:
        """Work until asked to stop. Waits for a database that does not answer; one that is not migrated is an error."""
        self._until_available(self._register)
        log.info(Event.WORKER_STARTED, worker=self.name, objectives=self._claimer.objectives)
        settings = self._settings
        # Containers number their workers from 0 each, and may see the same GPUs.
        number = self._number + self._hosts_before
        modules, folders = settings.objective_modules, settings.data_folders
        trainer = KeptTrainer(partial(TrainerProcess, modules, folders, number, self._digests, self._scripts))
        supervisor = TrialSupervisor(
            self._database,
            self._claimer,
            self._catalog,
            trainer,
            pace=Pace(heartbeat_s=settings.heartbeat_s, lease_s=settings.lease_s, device=settings.device),
            keep=CheckpointSettings(
                interval_s=settings.checkpoint_s, folder=settings.checkpoint_dir, max_bytes=settings.checkpoint_max_bytes
            ),
            on_heartbeat=self._maintain,
            seconds_left=lambda: self._stop_at - time.monotonic(),
        )
        try:
            self._work(supervisor)
        finally:
            trainer.end()
        self._deregister()
        log.info(Event.WORKER_STOPPED, worker=self.name)

    def stop(self, signal_number: int, frame: FrameType | None) -> None:
        """Signal handler. First signal: end the step under way, within the grace period, and give the trial back. Second: now."""
        grace_s = 0.0 if self._asked_to_stop.is_set() else self._settings.grace_s
        self._stop_at = time.monotonic() + grace_s
        self._asked_to_stop.set()

    def _work(self, supervisor: TrialSupervisor) -> None:
        pause_s = SHORTEST_POLL_S
        while not self._asked_to_stop.is_set():
            try:
                self._offers.report()
                self._maintain()
                self._clean_up()
                self._try_again(supervisor)
                claim = self._claim()
            except DatabaseUnavailable as error:
                self._database.outage.failed(error)
                claim = None
            if claim is None:
                self._asked_to_stop.wait(random.uniform(0.5, 1.0) * pause_s)
                pause_s = min(2 * pause_s, self._settings.poll_s)
                continue
            pause_s = SHORTEST_POLL_S
            try:
                supervisor.run_trial(claim)
            except Unfit as unfit:
                self._offers.set_aside(unfit.objective, unfit.problem)
                self._try_again_at = time.monotonic() + TRY_AGAIN_S

    def _try_again(self, supervisor: TrialSupervisor) -> None:
        """See from time to time whether objectives that are withheld can be offered again."""
        if time.monotonic() < self._try_again_at:
            return
        self._try_again_at = time.monotonic() + TRY_AGAIN_S
        with suppress(_AskedToStop):
            self._offers.try_again(partial(supervisor.find_problem, meanwhile=self._keep_alive))

    def _keep_alive(self) -> None:
        """Keep the heartbeat going while a trainer process is slow to answer. Raises _AskedToStop."""
        if self._asked_to_stop.is_set():
            raise _AskedToStop
        with suppress(DatabaseUnavailable):  # tried again at the next call
            self._maintain()

    def _claim(self) -> Claim | None:
        """The next trial, None when there is none.

        After a lost reply the claim may have been committed, so its token is looked up before a new one is used. No token is
        used for two claims, since its lease may have ended meanwhile.
        """
        if self._assignment is not None:
            may_claim, self._claimer.only = self._assignment.read()
            if not may_claim:
                return None
        if self._unanswered is not None:
            claim = self._claimer.reclaim(self._unanswered)
            self._unanswered = None
            if claim is not None:
                return claim
        self._unanswered = uuid4()
        claim = self._claimer.claim(self._unanswered)
        self._unanswered = None
        return claim

    def _maintain(self) -> None:
        """Send the heartbeat, and sweep: during trials too, since all workers may be busy with long ones."""
        self._heartbeat()
        self._sweep()

    def _heartbeat(self) -> None:
        if time.monotonic() - self._seen_at >= self._settings.heartbeat_s:
            alive = self._database.transact(lambda conn: workers.seen(conn, self.id))
            if not alive:  # its row was deleted by retention, after a long outage
                self._register()
            self._peers = max(1, alive)
            self._seen_at = time.monotonic()

    def _sweep(self) -> None:
        """Sweep when it is time. All workers together sweep as often as one alone would."""
        pause = self._peers * random.uniform(0.8, 1.2)
        if time.monotonic() - self._swept_at >= SWEEP_S * pause:
            sweep(self._database)
            self._swept_at = time.monotonic()
        if time.monotonic() - self._tidied_at >= TIDY_S * pause:
            checkpoint_files.delete(self._settings.checkpoint_dir, tidy_up(self._database))
            self._tidied_at = time.monotonic()

    def _clean_up(self) -> None:
        """Delete old rows, and files that no checkpoint refers to. It may take long, so it is done between trials only."""
        if time.monotonic() - self._cleaned_at < CLEAN_S * random.uniform(0.8, 1.2):
            return
        self._cleaned_at = time.monotonic()
        # Also of jobs that ended while no worker was there to tidy up.
        paths = self._database.transact(partial(checkpoints.prune, ended_within_s=checkpoints.EVER_S))
        checkpoint_files.delete(self._settings.checkpoint_dir, paths)
        if self._settings.retention_days is not None:
            retention.delete_some(self._database, self._settings.retention_days, for_s=CLEAN_FOR_S)
        if self._settings.checkpoint_dir is not None:
            checkpoint_files.delete_leftovers(self._database, self._settings.checkpoint_dir)

    def _register(self) -> None:
        self._offers.register(lambda conn: _register_worker(conn, self.id, self.name, self._settings))
        # Not in the same transaction: workers that start together see each other now.
        self._hosts_before = self._database.transact(lambda conn: workers.hosts_before(conn, self.id))

    def _deregister(self) -> None:
        with suppress(DatabaseUnavailable):  # the missing heartbeat will show it
            self._database.transact(lambda conn: workers.stopped(conn, self.id))

    def _until_available(self, ask: Callable[[], None]) -> None:
        while not self._asked_to_stop.is_set():
            try:
                return ask()
            except DatabaseUnavailable as error:
                self._database.outage.failed(error)
                self._asked_to_stop.wait(1.0)


def _register_worker(conn: Connection, worker_id: UUID, name: str, settings: Settings) -> None:
    revision.check(conn)
    workers.register(
        conn,
        worker_id,
        name=name,
        objectives=[],  # before they are announced
        device=settings.device,
        version=VERSION,
        lost_after_s=settings.lease_s,
    )


def run_worker(
    database: Database,
    settings: Settings,
    scripts: Mapping[str, ScriptObjective] = MappingProxyType({}),
    assignment: Assignment | None = None,
) -> None:
    """Run a worker in this process until SIGTERM or SIGINT. scripts, assignment: as of Worker."""
    with worker_number() as number:
        worker = Worker(database, settings, number, scripts, assignment)
        signal.signal(signal.SIGTERM, worker.stop)
        signal.signal(signal.SIGINT, worker.stop)
        worker.run()
