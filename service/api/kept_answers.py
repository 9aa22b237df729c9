"""Answers that were worked out once: a page that asks every second shall not cost a core."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, cast

from service.domain.job import Job
from service.domain.trial import Trial
from service.report.answer_values import BestLearningRate
from service.report.best_lr import answer
from service.report.pruned_trials import Curves
from service.report.response_curve import Kind

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
        self._answers: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()
        self._thinking = threading.Lock()

    def answer(
        self, job: Job, trials: Sequence[Trial], curves: Curves, *, tolerance: float | None = None, kind: Kind = "params"
    ) -> BestLearningRate:
        """As `best_lr.answer`, and raises what that raises."""
        key = (seen_of(job, trials, curves), tolerance, kind)
        return self.once(key, lambda: answer(job, trials, curves, tolerance=tolerance, kind=kind))

    def once(self, key: Hashable, think: Callable[[], T]) -> T:
        """What `think` returned for this key before, else what it returns; raises what it raises, and keeps nothing then.

        One thinks at a time: two at once would take as long, and each would lift the other's limit of threads.
        """
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast(T, self._answers[key])
        with self._thinking:
            with self._lock:
                if key in self._answers:  # somebody else asked the same just before
                    return cast(T, self._answers[key])
            found = think()
        with self._lock:
            self._answers[key] = found
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return found


def seen_of(job: Job, trials: Sequence[Trial], curves: Curves) -> Hashable:
    """What an answer rests on, as part of its key.

    Finished trials never change, but for their measurements: retention deletes these, and with them goes where in its schedule an
    intermediate value was measured.
    """
    measured = sum(point.fraction is not None for curve in curves.values() for point in curve)
    return job.id, job.state, tuple(trial.number for trial in trials), measured
