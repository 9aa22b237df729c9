"""Answers that were worked out once: a page that asks every second shall not cost a core."""

import asyncio
import threading
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import TypeVar, cast

from cachetools import LRUCache, cachedmethod

from service.analysis.answer.best_lr import Answered, answered
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import Kind
from service.domain.job import Job
from service.domain.trial import Trial

T = TypeVar("T")

KEPT = 256
TURNS = 8
"""So many questions at once have a thread: one thinks, the others read what it shall think of next, or wait. All endpoints share
their threads, and none but these shall wait for answers."""


class KeptAnswers:
    """The answers given last."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(TURNS)
        """To be held by whoever asks, before it takes a thread."""
        self._answers: LRUCache[Hashable, object] = LRUCache(KEPT)
        self._answered = threading.Condition()
        self._thinking = threading.Lock()

    def answer(
        self, job: Job, trials: Sequence[Trial], curves: Curves, *, tolerance: float | None = None, kind: Kind = "params"
    ) -> Answered:
        """As `best_lr.answered`, and raises what that raises."""
        key = (seen_of(job, trials, curves), tolerance, kind)
        return self.once(key, lambda: answered(job, trials, curves, tolerance=tolerance, kind=kind))

    def once(self, key: Hashable, think: Callable[[], T]) -> T:
        """What `think` returned for this key before, else what it returns; raises what it raises, and keeps nothing then.

        One thinks at a time: two at once would take as long, and each would lift the other's limit of threads.
        """
        return cast(T, self._once(key, think))

    # Whoever asks what is being thought of already waits for that answer.
    @cachedmethod(attrgetter("_answers"), key=lambda self, key, think: key, condition=attrgetter("_answered"))
    def _once(self, key: Hashable, think: Callable[[], object]) -> object:
        with self._thinking:
            return think()


def seen_of(job: Job, trials: Sequence[Trial], curves: Curves) -> Hashable:
    """What an answer rests on, as part of its key.

    Finished trials never change, but for their measurements: retention deletes these, and with them goes where in its schedule an
    intermediate value was measured.
    """
    measured = sum(point.fraction is not None for curve in curves.values() for point in curve)
    return job.id, job.state, job.phase.position, tuple(trial.number for trial in trials), measured
