"""A loop over the steps of training, which saves and restores what training changes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from stride.objects import Objects
from stride.rates import AppliedRates
from stride.reporting import Reports, number


class Measured(NamedTuple):
    """What one step measured."""

    step: int | None
    """Counted from 0 or from 1; None: the next one."""
    metrics: dict[str, float]
    learning_rate: float | None


class Loop:
    """Counts the steps from 0 to n - 1, from where the run resumes. What a step reports is told when it ends.

    objects: what training changes, each with state_dict and load_state_dict. metric: the one that counts: a step that reports
    only others is told with the next one that reports it. tell: returns whether the loop is to end. A report that names no
    learning rate has the one that the optimizers among the objects have applied last. takes: whether there is a metric of a name.
    Raises TypeError.
    """

    def __init__(
        self,
        reports: Reports,
        metric: str,
        tell: Callable[[Measured], bool],
        n: int,
        objects: Sequence[Any],
        takes: Callable[[str], bool],
    ) -> None:
        self.is_over = False
        self._reports = reports
        self._metric = metric
        self._tell = tell
        self._takes = takes
        self._n = n
        self._objects = Objects(objects, "steps")
        self._rates = AppliedRates(objects)
        self._step = 0
        self._pending: Measured | None = None

    def __iter__(self) -> Iterator[int]:
        for step in range(self._restored(), self._n):
            self._step = step
            self._save(was_left=False)
            try:
                yield step
            except GeneratorExit:  # by break, return or an exception
                self.end()
                raise
            if self._tell_pending():
                break
        self._rates.close()
        self.is_over = True

    def report(self, metrics: dict[str, float], learning_rate: float | None) -> None:
        """Keep what the step measured until it ends; several reports of one step are one."""
        before = self._pending or Measured(None, {}, None)
        rate = before.learning_rate if learning_rate is None else learning_rate
        self._pending = Measured(self._step + 1, {**before.metrics, **metrics}, rate)

    def end(self) -> None:
        """Tell the report of a step that did not end, since the function has left the loop; a resumed run leaves it, too."""
        if not self.is_over:
            self.is_over = True
            self._rates.close()
            self._save(was_left=True)
            self._reports.is_leaving = True
            self._tell_pending()
            self._reports.is_leaving = False

    def check_metric(self) -> None:
        """Raises TypeError where steps have reported, and none of them the metric that counts."""
        if self._pending is not None and self._reports.step == 0:
            self._tell(self._pending)  # which says what it lacks

    def _tell_pending(self) -> bool:
        if self._pending is None or self._metric not in self._pending.metrics:
            return False
        pending, self._pending = self._pending, None
        if pending.learning_rate is None:
            pending = self._with_applied_rates(pending)
        return self._tell(pending)

    def _with_applied_rates(self, pending: Measured) -> Measured:
        applied = self._rates.learning_rate
        by_group = {name: number(name, rate) for name, rate in self._rates.by_group().items() if self._takes(name)}
        return Measured(
            pending.step,
            {**by_group, **pending.metrics},
            None if applied is None else number("the learning rate that the optimizer has applied", applied),
        )

    def _save(self, *, was_left: bool) -> None:
        if self._objects:
            self._reports.save(partial(self._state, self._step, was_left), "the state of what steps was given")

    def _state(self, step: int, was_left: bool) -> dict[str, Any]:
        return {"step": step, "was_left": was_left, **self._objects.state()}

    def _restored(self) -> int:
        """Restore the objects; returns the step to go on with."""
        saved = self._reports.restored()
        if saved is None:
            return 0
        self._objects.restore(saved)
        return self._n if saved["was_left"] else int(saved["step"]) + 1
