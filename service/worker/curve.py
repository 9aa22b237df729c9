"""What a trial has measured, and what it makes of the trial: flaws that fail it, its value at the end, notes on its curve."""

import math
from collections.abc import Mapping, Sequence

from objectives.diagnosis.diagnose import diagnose
from service.dispatch.finish import Completed, Failed, Infeasible, Pruned, Result
from service.domain.measurement import StepMeasurement
from service.domain.trial import GUESSING, OWN_ATTRIBUTES, TrialError, storable
from service.worker.trainer.messages import Measured, Trained

MAX_STEP = 2**31 - 1
"""The largest step that is stored."""


class Curve:
    """The measurements of one trial, as far as the attempt under way has come.

    metric: the one that the job is judged by. last: the step that it goes on after.
    """

    def __init__(self, metric: str, last: StepMeasurement | None = None) -> None:
        self.last = last
        self.divergence: Infeasible | None = None
        """The trial's result, once the run has said that it diverged."""
        self._metric = metric
        self._steps: list[StepMeasurement] = []

    def go_on_after(self, steps: Sequence[StepMeasurement]) -> None:
        """Begin with what earlier attempts have measured."""
        self._steps = list(steps)

    def take(self, item: Measured) -> StepMeasurement | Failed:
        """What is to be stored of the next step; a failure when it cannot be, or lacks the metric: objectives are anybody's."""
        if problem := self._find_flaw(item):
            return _failed("BadMeasurement", problem)
        if self._metric not in item.metrics:
            known = ", ".join(sorted(item.metrics))
            return _failed("MissingMetric", f"step {item.step} measured no {self._metric}, only {known}")
        self.last = measured = StepMeasurement(
            step=item.step,
            fraction=item.fraction,
            in_warmup=item.in_warmup,
            metrics=item.metrics,
            learning_rate=item.learning_rate,
            seconds=item.seconds,
            group_rates=item.group_rates,
            update_losses=item.update_losses,
            best_step=item.best_step,
        )
        self._steps.append(measured)
        if item.divergence is not None:
            self.divergence = Infeasible(step=item.step, fraction=item.divergence.fraction, evidence=item.divergence.reason)
        return measured

    def completed(self, message: Trained) -> Result:
        """The result of a run that has come to its end."""
        if self.divergence is not None:
            return self.divergence
        if self.last is None:
            return _failed("NothingMeasured", "the objective ended without a single measurement")
        last, best_step = self.last, self.last.best_step
        valued = last if best_step is None else next((item for item in self._steps if item.step == best_step), None)
        if valued is None:
            return _failed("BadMeasurement", f"step {last.step} named step {best_step} as its best_step, which was not measured")
        value = valued.metrics[self._metric]
        if not math.isfinite(value):
            return self._not_finite(valued)
        attributes: dict[str, object] = {
            name: metric for name, metric in _finite(message.test_metrics).items() if name not in OWN_ATTRIBUTES
        }
        if guessing := _finite(message.guessing):
            attributes[GUESSING] = guessing
        return Completed(value=value, best_step=best_step, user_attrs=attributes)

    def ended_at(self, item: StepMeasurement, *, stopped_by: str | None = None) -> Pruned | Infeasible:
        """The result of a run that is ended early. stopped_by: by what, if not by the pruner."""
        value = item.metrics[self._metric]
        if not math.isfinite(value):
            return self._not_finite(item)
        return Pruned(value=value, step=item.step, stopped_by=stopped_by)

    def findings(self, result: Result) -> dict[str, str]:
        """What the curve shows, each verdict with the numbers behind it."""
        found = diagnose(self._steps, divergence=result.evidence if isinstance(result, Infeasible) else None)
        return {str(finding.verdict): storable(finding.because) for finding in found}

    def _find_flaw(self, item: Measured) -> str | None:
        after = 0 if self.last is None else self.last.step
        if not after < item.step <= MAX_STEP:
            return f"step {item.step} was measured after step {after}: steps are counted upwards from 1, to at most {MAX_STEP:,}"
        names = [*item.metrics, *(rate.group for rate in item.group_rates)]
        if flawed := [name for name in names if storable(name) != name]:
            return f"step {item.step} measured {flawed[0]!r}, a name with letters that cannot be stored"
        return None

    def _not_finite(self, item: StepMeasurement) -> Infeasible:
        """The result of a run that measured no number, and did not say itself that it had diverged."""
        evidence = f"{self._metric} was {item.metrics[self._metric]} at step {item.step}"
        return Infeasible(step=item.step, fraction=item.fraction, evidence=evidence)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """JSON knows no nan: a metric without a number is left out."""
    return {storable(name): metric for name, metric in metrics.items() if math.isfinite(metric)}


def _failed(type_: str, message: str) -> Failed:
    return Failed(error=TrialError(type=type_, message=message))
