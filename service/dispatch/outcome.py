"""What judges a trial, whoever trained it: flaws of what was measured, divergence, its value, constraint and diagnosis.

Steps and the end of a run come in as values of the domain, and a result goes out. Nothing here asks the database or the trainer.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, assert_never

import structlog

from objectives.catalog import all_values
from objectives.contract import Objective
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.divergence import find_blow_up
from service.domain.events import Event
from service.domain.lease import Lease
from service.domain.measurement import MAX_STEP, MAX_UPDATE_LOSSES, Measurement
from service.domain.space import Point, searched
from service.domain.spec import JobSpec
from service.domain.trial import FEASIBLE, GUESSING, OWN_ATTRIBUTES, TrialError, storable, violation, worst_value

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Completed:
    """The run went through."""

    value: float
    best_step: int | None = None
    """The step that the value and the weights are of, where the run chose it; None: the last."""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    """The test metrics: never seen by search or answer."""


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """The run diverged: a result, with the worst value there is."""

    step: int
    fraction: float
    """Of its schedule, when it diverged."""
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """The run was ended early; its last value stands."""

    value: float
    step: int
    stopped_by: str | None = None
    """What ended it, when that was not the pruner: a limit of the job's."""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The objective raised, or measured what cannot be stored."""

    error: TrialError
    for_every_trial: bool = False
    """Whether the job's other trials would fail for the same reason."""


Result = Completed | Infeasible | Pruned | Failed


class Curve:
    """The measurements of one trial, as far as the attempt under way has come, and the result that they make.

    metric: the one that the job is judged by. last: the step that the attempt goes on after. is_minimized: whether the metric is.
    """

    def __init__(self, metric: str, last: Measurement | None = None, *, is_minimized: bool = True) -> None:
        self.last = last
        self.divergence: Infeasible | None = None
        """The trial's result, once the run has diverged: it has said so itself, or its metric has blown up."""
        self._metric = metric
        self._is_minimized = is_minimized
        self._steps: list[Measurement] = []
        self._update_losses = 0
        """How many the attempt has measured."""

    def go_on_after(self, steps: Sequence[Measurement]) -> None:
        """Begin with what earlier attempts have measured."""
        self._steps = list(steps)

    def take(self, step: Measurement) -> Failed | None:
        """Add the next step; a failure when it cannot be stored, or lacks the metric: objectives are anybody's."""
        if problem := self._find_flaw(step):
            return _failed("BadMeasurement", problem)
        if self._metric not in step.metrics:
            known = ", ".join(sorted(step.metrics))
            # At the first step the objective does not measure what it declares, whatever the parameters.
            text = f"step {step.step} measured no {self._metric}, only {known}"
            return _failed("MissingMetric", text, for_every_trial=self.last is None)
        self.last = step
        self._steps.append(step)
        self._update_losses += len(step.update_losses)
        if step.divergence is not None:
            self.divergence = Infeasible(step=step.step, fraction=step.divergence.fraction, evidence=step.divergence.reason)
        elif step.best_step in (None, step.step):  # else the value is an earlier step's
            self.divergence = self._blown_up(step)
        return None

    def completed(
        self,
        test_metrics: Mapping[str, float],
        guessing: Mapping[str, float],
        *,
        value: float | None = None,
        user_attrs: Mapping[str, Any] | None = None,
        pruned: str | None = None,
    ) -> Result:
        """The result of a run that has come to its end. guessing and what follows it: as the objective's contract has them."""
        if self.divergence is not None:
            return self.divergence
        if self.last is None and pruned is not None:
            return Pruned(value=math.nan, step=0, stopped_by=storable(pruned), user_attrs=_noted(user_attrs or {}))
        if self.last is None:
            return _failed("NothingMeasured", "the objective ended without a single measurement")
        last, best_step = self.last, self.last.best_step
        valued = last if best_step is None else next((item for item in self._steps if item.step == best_step), None)
        if valued is None:
            return _failed("BadMeasurement", f"step {last.step} named step {best_step} as its best_step, which was not measured")
        if pruned is not None:
            return self.ended_at(valued, stopped_by=storable(pruned), user_attrs=user_attrs or {})
        if value is not None:
            valued = replace(valued, metrics={**valued.metrics, self._metric: value})
        value = valued.metrics[self._metric]
        if not math.isfinite(value):
            return self._not_finite(valued)
        if (blown_up := self._blown_up(valued, _finite(guessing).get(self._metric))) is not None:
            return blown_up
        attributes = _noted({**(user_attrs or {}), **_finite(test_metrics)})
        if guesses := _finite(guessing):
            attributes[GUESSING] = guesses
        return Completed(value=value, best_step=best_step, user_attrs=attributes)

    def ended_at(
        self, item: Measurement, *, stopped_by: str | None = None, user_attrs: Mapping[str, Any] = MappingProxyType({})
    ) -> Pruned | Infeasible:
        """The result of a run that is ended early. stopped_by: by what, if not by the pruner. user_attrs: as of `completed`."""
        value = item.metrics[self._metric]
        if not math.isfinite(value):
            return self._not_finite(item)
        return Pruned(value=value, step=item.step, stopped_by=stopped_by, user_attrs=_noted(user_attrs))

    def diagnosis(self, result: Result) -> dict[str, str]:
        """What the curve shows, each verdict with the numbers behind it."""
        found = diagnose(self._steps, divergence=result.evidence if isinstance(result, Infeasible) else None)
        return {str(finding.verdict): storable(finding.because) for finding in found}

    def _find_flaw(self, item: Measurement) -> str | None:
        after = 0 if self.last is None else self.last.step
        if not after < item.step <= MAX_STEP:
            return f"step {item.step} was measured after step {after}: steps are counted upwards from 1, to at most {MAX_STEP:,}"
        names = [*item.metrics, *(rate.group for rate in item.group_rates)]
        if flawed := [name for name in names if storable(name) != name]:
            return f"step {item.step} measured {flawed[0]!r}, a name with letters that cannot be stored"
        if (losses := self._update_losses + len(item.update_losses)) > MAX_UPDATE_LOSSES:
            return f"the run has measured {losses:,} update_losses by step {item.step}: at most {MAX_UPDATE_LOSSES:,} are stored"
        return None

    def _blown_up(self, item: Measurement, guessing: float | None = None) -> Infeasible | None:
        """The result of a run whose metric is still finite, but so far off that it has diverged."""
        value = item.metrics[self._metric]
        if not self._is_minimized or not math.isfinite(value):
            return None
        found = find_blow_up(self._steps[0].metrics.get(self._metric, math.nan), value, guessing=guessing)
        if found is None:
            return None
        return Infeasible(step=item.step, fraction=item.fraction, evidence=f"{self._metric} was {found}, at step {item.step}")

    def _not_finite(self, item: Measurement) -> Infeasible:
        """The result of a run that measured no number, and did not say itself that it had diverged."""
        evidence = f"{self._metric} was {item.metrics[self._metric]} at step {item.step}"
        return Infeasible(step=item.step, fraction=item.fraction, evidence=evidence)


def notes(result: Result, curve: Curve, objective: Objective, spec: JobSpec, lease: Lease, params: Point) -> dict[str, Any]:
    """What is said of a trial beside its result: parameters that meant nothing in it, and what its curve shows."""
    names = ignored(objective, spec, params)
    try:
        found = curve.diagnosis(result)
    except Exception:  # numbers may be anybody's: what they show is worth less than the trial's result
        log.exception("trial.not_diagnosed", job=str(lease.job_id), trial=lease.number, attempt=lease.attempt)
        found = {}
    return ({"ignored": names} if names else {}) | ({"diagnosis": found} if found else {})


def ignored(objective: Objective, spec: JobSpec, params: Point) -> list[str]:
    """The names, sorted, of the searched parameters that meant nothing in a trial: what the others, and the settings, were in it
    gave them no meaning."""
    values = all_values(objective, params, spec.objective.settings)
    taken: defaultdict[str, Collection[Any]] = defaultdict(tuple, {name: (value,) for name, value in values.items()})
    ranges = searched(spec.search_space)
    return sorted(each.name for each in objective.parameters if each.name in ranges and not each.may_apply(taken))


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """A result as Optuna's tables hold it (DESIGN decision 8)."""

    event: Event
    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    value: float | None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    system_attrs: Mapping[str, Any] = field(default_factory=dict)


def as_stored(result: Result, spec: JobSpec) -> StoredResult:
    """The state, value and constraint that a result gives its trial, and what is noted with it."""
    match result:
        case Completed():
            return StoredResult(
                event=Event.TRIAL_COMPLETED,
                state="COMPLETE",
                value=result.value,
                user_attrs={**result.user_attrs, **({} if result.best_step is None else {"best_step": result.best_step})},
                system_attrs={"constraints": [FEASIBLE]},
            )
        case Infeasible():
            return StoredResult(
                event=Event.TRIAL_INFEASIBLE,
                state="COMPLETE",
                value=worst_value(spec),
                user_attrs={"diverged_at_step": result.step, "divergence": result.evidence},
                system_attrs={"constraints": [violation(result.fraction)]},
            )
        case Pruned():
            return StoredResult(
                event=Event.TRIAL_PRUNED,
                state="PRUNED",
                value=None if math.isnan(result.value) else result.value,
                user_attrs={**result.user_attrs, "pruned_at_step": result.step}
                | ({"stopped_by": result.stopped_by} if result.stopped_by else {}),
            )
        case Failed():
            return StoredResult(event=Event.TRIAL_FAILED, state="FAIL", value=None, user_attrs={"error": asdict(result.error)})
    assert_never(result)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """JSON knows no nan: a metric without a number is left out."""
    return {storable(name): metric for name, metric in metrics.items() if math.isfinite(metric)}


def _noted(user_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of what an objective notes: nothing under the names that Stride writes."""
    return {name: attr for name, attr in _storable(dict(user_attrs)).items() if name not in OWN_ATTRIBUTES}


def _storable(attr: Any) -> Any:
    """What PostgreSQL can store of a value that JSON has."""
    if isinstance(attr, str):
        return storable(attr)
    if isinstance(attr, list):
        return list(map(_storable, attr))
    return {storable(name): _storable(each) for name, each in attr.items()} if isinstance(attr, dict) else attr


def _failed(type_: str, message: str, *, for_every_trial: bool = False) -> Failed:
    return Failed(error=TrialError(type=type_, message=message), for_every_trial=for_every_trial)
