"""A cache of computed answers, so that a page that polls every second does not occupy a core."""

import asyncio
import threading
from array import array
from collections.abc import Callable, Hashable, Sequence
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar, cast

from cachetools import LRUCache, cachedmethod

from service.analysis.answer.across_jobs import Brief, brief_or_why_not
from service.analysis.answer.best_lr import Answered, answered
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import Kind
from service.domain.job import Job
from service.domain.trial import Trial

T = TypeVar("T")

KEPT = 1_000
TURNS = 8
"""How many requests for answers may hold a thread at once: one computes, the others read trials or wait. All endpoints share one
pool of threads, so these requests must not use it up."""


class KeptAnswers:
    """The most recently used answers. One answer is computed at a time."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(TURNS)
        """Each request acquires it before it takes a thread."""
        self._answers: LRUCache[Hashable, object] = LRUCache(KEPT)
        self._briefs: LRUCache[Hashable, Brief | str] = LRUCache(KEPT)
        self._briefly = threading.Lock()
        self._answered = threading.Condition()
        self._computing = threading.Lock()

    def answer(
        self, job: Job, trials: Sequence[Trial], curves: Curves, *, tolerance: float | None = None, kind: Kind = "params"
    ) -> Answered:
        """What `best_lr.answered` returns or raises, computed once per job, trials and options."""
        key = (seen_of(job, trials, curves), tolerance, kind)
        return self.once(key, lambda: answered(job, trials, curves, tolerance=tolerance, kind=kind))

    def brief(self, job: Job, n_finished: int, read: Callable[[], Sequence[Trial]]) -> Brief | str:
        """What `across_jobs.brief_or_why_not` returns, computed once per job and number of finished trials. read: the trials."""
        return self._brief((job.id, job.state, job.phase.position, n_finished), lambda: brief_or_why_not(job, read()))

    @cachedmethod(attrgetter("_briefs"), key=lambda self, key, compute: key, lock=attrgetter("_briefly"))
    def _brief(self, key: Hashable, compute: Callable[[], Brief | str]) -> Brief | str:
        return compute()

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The cached result for `key`, else that of `compute`. What `compute` raises is raised, and nothing is cached.

        One computation runs at a time: two at once would take as long in all, and each would reset the other's limit of threads.
        """
        return cast(T, self._once(key, compute))

    # A request for a key that is being computed waits for that result.
    @cachedmethod(attrgetter("_answers"), key=lambda self, key, compute: key, condition=attrgetter("_answered"))
    def _once(self, key: Hashable, compute: Callable[[], object]) -> object:
        with self._computing:
            return compute()


def seen_of(job: Job, trials: Sequence[Trial], curves: Curves) -> Hashable:
    """What an answer depends on, as part of its key.

    Finished trials never change, except that retention deletes their measurements: then it is no longer known at which fraction
    of the schedule an intermediate value was measured.
    """
    measured = sum(point.fraction is not None for curve in curves.values() for point in curve)
    return job.id, job.state, job.phase.position, digest_of(trials), measured


def digest_of(trials: Sequence[Trial]) -> bytes:
    """Which trials these are, in few bytes: a thousand keys with thousands of numbers each would take a hundred megabytes."""
    return sha256(array("q", [trial.number for trial in trials]).tobytes()).digest()
