"""What a client reports, as measurements, and the curve that they make with what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.diagnosis.divergence import find_no_number
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Curve
from service.domain.meaning import Role
from service.domain.measurement import Measurement
from service.domain.objective import ExternalObjective


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a client measured at a step. What it leaves out follows from its job."""

    step: int
    metrics: Mapping[str, float]
    """The job's metric among them."""
    fraction: float | None = None
    learning_rate: float | None = None
    in_warmup: bool = False
    seconds: float = 0.0


def measured(claim: Claim, step: Step) -> Measurement:
    """A step as the contract has it.

    What the client leaves out: the fraction, by the number of steps that the job declares, and the rate of the trial's
    parameters. Whether the run has diverged its client is not asked.
    """
    fraction = step.fraction
    if fraction is None:
        n_steps = _n_steps(claim)
        fraction = step.step / (step.step + 1) if n_steps is None else min(1.0, step.step / n_steps)
    rate = step.learning_rate
    if rate is None:
        rate = float(claim.job.spec.meaning.value(Role.LEARNING_RATE, claim.params) or 0.0)
    item = Measurement(
        step=step.step,
        fraction=fraction,
        in_warmup=step.in_warmup,
        metrics=step.metrics,
        learning_rate=rate,
        seconds=step.seconds,
    )
    return _judged(item, claim.job.spec.metric)


def alone(claim: Claim, value: float) -> Measurement:
    """The only step of a run of which nothing is told but its value."""
    return measured(claim, Step(step=1, fraction=1.0, metrics={claim.job.spec.metric: value}))


def curve_of(claim: Claim, stored: Sequence[Measurement]) -> Curve:
    """The curve of stored steps, up to the first one that shows that the run has diverged."""
    spec = claim.job.phase.spec
    curve = Curve(spec.metric, is_minimized=spec.direction == "minimize")
    for item in stored:
        curve.take(_judged(item, spec.metric))
        if curve.divergence is not None:
            break
    return curve


def _judged(item: Measurement, metric: str) -> Measurement:
    return replace(item, divergence=find_no_number(item.metrics, metric, step=item.step, fraction=item.fraction))


def _n_steps(claim: Claim) -> int | None:
    objective = claim.job.spec.objective
    assert isinstance(objective, ExternalObjective)
    steps = objective.steps
    return int(claim.params[steps]) if isinstance(steps, str) else steps
