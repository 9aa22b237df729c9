"""A worker's supervisor in this process, with a real trainer process: for tests of what becomes of one trial at a time."""

import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from objectives.catalog import load_catalog
from objectives.scripts.entry import ScriptObjective
from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.domain.job import Job
from service.domain.measurement import Measurement
from service.domain.trial import Trial
from service.store import leases, measurements, trial_reader
from service.store.postgres import Database
from service.worker.checkpointing import CheckpointSettings
from service.worker.lease import Pace
from service.worker.supervise import TrialSupervisor
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.messages import FromTrainer
from service.worker.trainer.process import TrainerProcess
from tests.factories import LEARNING_RATE, submit_job
from tests.forked_trainers import ForkedTrainer
from tests.integration.dispatch.training import claimed
from tests.polling import wait_until
from tests.quadratic import allow

CLOCKED = frozenset({"samples_per_second"})
"""Metrics that a clock has a part in."""

MODULES = ("tests.quadratic", "tests.integration.worker.odd")


class Supervised:
    """Claims trials and sees them through, as a worker does. A checkpoint is taken after each step unless told otherwise."""

    def __init__(
        self,
        database: Database,
        *,
        modules: Sequence[str] = MODULES,
        folder: Path | None = None,
        interval_s: float = 0.0,
        max_bytes: int = 1_000_000,
        data_folders: Sequence[Path] = (),
        heartbeat_s: float = 0.2,
        lease_s: float = 60.0,
        scripts: Mapping[str, ScriptObjective] = MappingProxyType({}),
    ) -> None:
        self.database = database
        catalog = load_catalog(modules) | {name: script.objective for name, script in scripts.items()}
        functions = {name: script.function for name, script in scripts.items()}
        self.claimer = Claimer(database, uuid4(), tuple(catalog), lease_s)
        self.trainer = KeptTrainer(lambda: ForkedTrainer(modules, data_folders, scripts=functions))
        self.supervisor = TrialSupervisor(
            database,
            self.claimer,
            catalog,
            self.trainer,
            pace=Pace(heartbeat_s=heartbeat_s, lease_s=lease_s, device="cpu"),
            keep=CheckpointSettings(interval_s=interval_s, folder=folder, max_bytes=max_bytes),
            on_heartbeat=lambda: None,
            seconds_left=lambda: math.inf,
        )

    @property
    def trainer_pid(self) -> int:
        """The process id of the trainer at present."""
        return self.trainer._process.pid

    def claim(self) -> Claim:
        """The next trial, which there must be."""
        return claimed(self.claimer)

    def run_trial(self) -> Claim:
        """Claim a trial and train it to its end."""
        claim = self.claim()
        self.supervisor.run_trial(claim)
        return claim

    @contextmanager
    def under_way(self) -> Iterator[Claim]:
        """A claimed trial, trained beside what the block does; ends when it is."""
        claim = self.claim()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                self.supervisor.run_trial(claim)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield claim
        finally:
            thread.join(60)
        assert not thread.is_alive()
        if failed:
            raise failed[0]

    def pause_after(self, job: Job, steps: int, number: int = 0) -> int:
        """Train until so many steps are stored, pause the job until the trial has been given back; returns its last step.

        The trainer is a step ahead of the database and no more, so that it cannot end before it hears of the pause.
        """
        gate = Path(job.spec.objective.settings["gate"])

        def given_back() -> bool:
            allow(gate, len(curve_of(self.database, job, number)) + 1)
            return trial_of(self.database, job, number).attempts[-1].reason is not None

        allow(gate, steps)
        try:
            with self.under_way():
                wait_until(lambda: len(curve_of(self.database, job, number)) >= steps, "the steps")
                self.database.transact(partial(lifecycle.pause, job_id=job.id))
                wait_until(given_back, "the trial to be given back")
        finally:
            gate.unlink()
        self.database.transact(partial(lifecycle.resume, job_id=job.id))
        return curve_of(self.database, job, number)[-1].step


@contextmanager
def supervised(database: Database, **options: Any) -> Iterator[Supervised]:
    """One whose trainer ends with the block."""
    found = Supervised(database, **options)
    try:
        yield found
    finally:
        found.trainer.end()


def stepping_job(database: Database, epochs: int = 12, epoch_s: float = 0.05, **overrides: Any) -> Job:
    """One trial of so many steps of the quadratic objective."""
    gate = Path(tempfile.gettempdir(), f"stride-gate-{uuid4()}")
    settings = {"epoch_s": epoch_s, "gate": str(gate)} | overrides.pop("settings", {})
    return submit_job(
        database,
        objective={"name": "quadratic", "settings": settings},
        search_space={"learning_rate": LEARNING_RATE | {"high": 0.4}, "epochs": epochs, "momentum": 0.9},
        **{"budget": {"trials": 1}} | overrides,
    )


def odd_job(database: Database, how: str, **overrides: Any) -> Job:
    """One trial of the odd objective."""
    return submit_job(
        database,
        objective={"name": "odd", "settings": {"how": how}},
        search_space={"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}},
        **{"budget": {"trials": 1}} | overrides,
    )


def trial_of(database: Database, job: Job, number: int = 0) -> Trial:
    """A trial as the API shows it."""
    with database.transaction() as conn:
        return trial_reader.get(conn, job, number)


def curve_of(database: Database, job: Job, number: int = 0) -> list[Measurement]:
    """What was measured in a trial."""
    with database.transaction() as conn:
        return measurements.of_trial(conn, trial_reader.trial_id(conn, job, number))


def log_of(database: Database, job: Job, number: int = 0) -> str:
    """The last lines that a trial printed."""
    with database.transaction() as conn:
        return leases.log_tail(conn, trial_reader.trial_id(conn, job, number))


def heard(trainer: TrainerProcess, within_s: float) -> FromTrainer | None:
    """What a trainer process says within so many seconds, None for nothing."""
    deadline = time.monotonic() + within_s
    while (received := trainer.receive()) is None and time.monotonic() < deadline:
        trainer.wait(deadline)
    return None if received is None else received[1]


def seeded(item: Measurement) -> Any:
    """All of a measurement that its seed determines: not what a clock showed."""
    metrics = {name: value for name, value in item.metrics.items() if name not in CLOCKED}
    rest = (item.step, item.fraction, item.in_warmup, item.learning_rate, item.group_rates, item.update_losses, item.best_step)
    return repr((sorted(metrics.items()), *rest))


def told(database: Database, job: Job, event: str) -> list[dict[str, Any]]:
    """What was told in the job's events of a type."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql(
            "SELECT payload FROM stride.events WHERE job_id = %(id)s AND type = %(type)s ORDER BY seq",
            {"id": job.id, "type": event},
        )
        return list(rows.scalars())
