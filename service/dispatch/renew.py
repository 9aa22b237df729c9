"""Reports of a worker while it trains, and the answers to them: continue, release the trial, or prune it."""

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa

from service.dispatch.study_cache import StudyCache
from service.domain.job import Job, JobState
from service.domain.lease import Lease
from service.domain.measurement import Measurement
from service.errors import LeaseLost
from service.search.pruning import ask_pruner
from service.search.strategies import strategy_of
from service.store import leases, trials
from service.store.postgres import Database

PRUNE = "stride:prune"
"""System attribute of a trial that is to end early: true by its pruner's decision, or by which limit, in words."""


class Answer(StrEnum):
    """The answer to a report."""

    GO_ON = "go on"
    GIVE_BACK = "give back"
    """The job is paused, or the lease was released: release the trial, which is resumed later."""


def report(
    conn: sa.Connection,
    job: Job,
    lease: Lease,
    measurements: Sequence[Measurement],
    *,
    lease_s: float,
    log_tail: str | None = None,
) -> Answer:
    """Renew the lease and store what was measured; with no measurements a heartbeat. One statement.

    Raises LeaseLost when the lease has ended: the job is over, or another worker has the trial.
    """
    renewal = leases.report(conn, lease, measurements, job.spec.metric, lease_s=lease_s, log_tail=log_tail)
    return Answer.GO_ON if renewal.job_state is JobState.RUNNING and not renewal.released else Answer.GIVE_BACK


def should_prune(database: Database, cache: StudyCache, job: Job, lease: Lease) -> bool:
    """Ask the job's pruner about a trial that has just stored the measurement at the end of a part of its schedule.

    The pruner runs with no transaction open. What it writes into the trial (its rungs) is stored under the lease, together with a
    decision to prune: a pruner that is asked again, after a lost reply or a takeover, would find its rungs filled and decide
    differently. A trial that repeats a point for its results is not pruned. job: in the phase of the trial. Raises LeaseLost.
    """
    snapshot = database.transact(lambda conn: cache.snapshot(conn, job))
    own = next((trial for trial in snapshot.trials if trial._trial_id == lease.trial_id), None)
    if own is None:  # deleted with its job
        raise LeaseLost
    if PRUNE in own.system_attrs:
        return True
    if strategy_of(job.phase.spec).is_repeat(job.phase.spec, own):
        return False
    prune, rungs = ask_pruner(job.phase.spec, snapshot, own)
    if rungs or prune:
        noted = rungs | ({PRUNE: True} if prune else {})

        def note(conn: sa.Connection) -> None:
            leases.hold(conn, lease)
            trials.set_system_attrs(conn, lease.trial_id, noted)

        database.transact(note)
    return prune
