"""The trials of the studies that a process samples from, as Optuna's objects. Only those that may have changed are read again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock

import sqlalchemy as sa
from cachetools import LRUCache
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

from service.domain.job import Job
from service.domain.strategy import Hyperband, NoPruner
from service.domain.trial import FEASIBLE
from service.search.phase_view import PhaseView
from service.search.pruning_view import values_by_part
from service.search.snapshot import StudySnapshot
from service.search.strategies import strategy_of
from service.store import trials as store
from service.store.trials import TrialRecord

STUDIES_KEPT = 8


@dataclass
class _Known:
    view: PhaseView
    lock: Lock = field(default_factory=Lock)
    """Held while it is brought up to date."""
    trials: dict[int, FrozenTrial] = field(default_factory=dict)
    unfinished: set[int] = field(default_factory=set)
    last_id: int = -1
    next_number: int = 0
    space: IntersectionSearchSpace = field(default_factory=lambda: IntersectionSearchSpace(include_pruned=True))


class StudyCache:
    """Reads finished trials once, since they never change. Keeps the most recently used studies, each as one of its phases sees
    it. Safe under threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._studies: LRUCache[tuple[int, int], _Known] = LRUCache(STUDIES_KEPT)

    def snapshot(self, conn: sa.Connection, job: Job) -> StudySnapshot:
        """The job's study as it is now, as its phase sees it: one query for new trials, one for the study's attributes."""
        key = (job.study_id, job.phase.position)
        with self._lock:
            known = self._studies.get(key)
            if known is None:
                known = self._studies[key] = _Known(PhaseView(job.phase))
        with known.lock:
            return _snapshot(conn, job, known)


def _snapshot(conn: sa.Connection, job: Job, known: _Known) -> StudySnapshot:
    for record in store.trials_since(conn, job.study_id, after=known.last_id, again=known.unfinished):
        trial = known.view.see(frozen_trial(record, job), job.phase_of(record.system_attrs))
        known.last_id = max(known.last_id, record.trial_id)
        known.next_number = max(known.next_number, record.number + 1)
        if trial is None:
            known.trials.pop(record.trial_id, None)
        else:
            known.trials[record.trial_id] = trial
        if record.state in store.UNFINISHED:  # also when it is left out: a foreign script's gets its parameters later
            known.unfinished.add(record.trial_id)
        else:
            known.unfinished.discard(record.trial_id)
    # Ids and numbers are assigned under the same lock, so their order is the same; a trial that was left out may come late.
    trials = [known.trials[trial_id] for trial_id in sorted(known.trials)]
    return StudySnapshot(
        trials=trials,
        next_number=known.next_number,
        attrs=store.study_system_attrs(conn, job.study_id) if strategy_of(job.phase.spec).keeps_attrs else {},
        space=known.space if _may_keep_space(job, trials) else None,
    )


def _may_keep_space(job: Job, trials: Sequence[FrozenTrial]) -> bool:
    """Whether the intersection of the finished trials' search spaces may be updated incrementally, from the last ask on.

    Hyperband shows each ask the trials of one bracket only, and an ask does not see enqueued trials: an intersection computed
    without them would be wrong once they have finished, and the result would depend on which worker asks.
    """
    return not isinstance(job.spec.pruner, Hyperband) and all(trial.state is not TrialState.WAITING for trial in trials)


def frozen_trial(record: TrialRecord, job: Job) -> FrozenTrial:
    """A stored trial as samplers and pruners of `job` see it."""
    system_attrs = dict(record.system_attrs)
    if record.state == "COMPLETE" and not record.leased:
        # A foreign trial may carry any constraints, or none, on which GPSampler raises; what is comparable is its value.
        system_attrs = {key: value for key, value in system_attrs.items() if not key.startswith("constraints")}
        system_attrs["constraints"] = [FEASIBLE]
    distributions = {param.name: _distribution(param.distribution) for param in record.params}
    return FrozenTrial(
        trial_id=record.trial_id,
        number=record.number,
        state=TrialState[record.state],
        value=record.value,
        params={param.name: distributions[param.name].to_external_repr(param.value) for param in record.params},
        distributions=distributions,
        user_attrs=dict(record.user_attrs),
        system_attrs=system_attrs,
        intermediate_values=_intermediate_values(record, job),
        datetime_start=_local(record.started_at),
        datetime_complete=_local(record.completed_at),
    )


def _intermediate_values(record: TrialRecord, job: Job) -> dict[int, float]:
    if isinstance(job.spec.pruner, NoPruner):
        return {point.step: point.value for point in record.curve}
    return values_by_part(record.curve, job.spec.pruner.parts)


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(moment: datetime | None) -> datetime | None:
    """Optuna's columns hold naive UTC, its objects naive local time."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
