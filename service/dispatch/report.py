"""What a worker says while it trains, and what it is told: go on, give the trial back, or end it early."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import FrozenTrial

from service.dispatch.pruners import pruner
from service.dispatch.replicates import is_repeat
from service.dispatch.samplers import sampler, silenced, view_name
from service.dispatch.sampling_view import SamplingView
from service.dispatch.study_cache import StudyCache, StudySnapshot
from service.domain.job import Job, JobSpec, JobState
from service.domain.lease import Lease
from service.domain.trial import StepMeasurement
from service.errors import LeaseLost
from service.store import leases, trials
from service.store.postgres import Database

PRUNE = "stride:prune"
"""System attribute of a trial that the pruner has decided to end."""


class Order(StrEnum):
    """What a report is answered with."""

    GO_ON = "go on"
    GIVE_BACK = "give back"
    """The job is paused, or the lease was released: release the trial, which goes on later."""


def report(
    conn: sa.Connection,
    job: Job,
    lease: Lease,
    measurements: Sequence[StepMeasurement],
    *,
    lease_s: float,
    log_tail: str | None = None,
) -> Order:
    """Renew the lease and store what was measured; with no measurements a heartbeat. One statement.

    Raises LeaseLost when the lease has ended: the job is over, or another worker has the trial.
    """
    renewal = leases.report(conn, lease, measurements, job.spec.metric, lease_s=lease_s, log_tail=log_tail)
    return Order.GO_ON if renewal.job_state is JobState.RUNNING and not renewal.released else Order.GIVE_BACK


def should_prune(database: Database, cache: StudyCache, job: Job, lease: Lease) -> bool:
    """Ask the job's pruner about a trial that has just stored the measurement at the end of a part of its schedule.

    The pruner thinks with no transaction open; what it notes in the trial (its rungs) is stored under the lease. With it goes
    the decision to end the trial: a pruner that is asked again, after a lost reply or a takeover, finds its rungs filled.
    A trial that repeats one of a bayesian job's best points is not pruned. Raises LeaseLost.
    """
    snapshot = database.transact(lambda conn: cache.snapshot(conn, job))
    own = next((trial for trial in snapshot.trials if trial._trial_id == lease.trial_id), None)
    if own is None:  # deleted with its job
        raise LeaseLost
    if PRUNE in own.system_attrs:
        return True
    if is_repeat(job.spec, own):
        return False
    prune, rungs = ask_pruner(job.spec, snapshot, own)
    if rungs:
        noted = rungs | ({PRUNE: True} if prune else {})

        def note(conn: sa.Connection) -> None:
            leases.hold(conn, lease)
            trials.set_system_attrs(conn, lease.trial_id, noted)

        database.transact(note)
    return prune


def ask_pruner(spec: JobSpec, snapshot: StudySnapshot, own: FrozenTrial) -> tuple[bool, dict[str, Any]]:
    """Whether the pruner ends `own`, a running trial of the snapshot, and what it notes in it: its rungs. Stores nothing."""
    view = SamplingView(
        name=view_name(spec.seed),
        direction=spec.direction,
        trials=[trial for trial in snapshot.trials if trial is not own and not is_repeat(spec, trial)],
        next_number=snapshot.next_number,
        study_attrs=snapshot.attrs,
        own=own,
    )
    with silenced():
        study = optuna.study.Study(
            study_name=view_name(spec.seed),
            storage=view,
            sampler=sampler(spec.strategy, spec.seed, own.number),
            pruner=pruner(spec.pruner),
        )
        prune = study.pruner.prune(study, own)
    return prune, view.written_trial_attrs
