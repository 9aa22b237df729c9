"""Diagnoses a training run from its curves: rules that give verdicts, each with the numbers behind it.

Losses are taken relative to the start, the training loss before the first update, so that the rules hold for any task. A curve
that is long enough gets exactly one of diverged, oscillating, too_slow, plateaued and converged. Other verdicts may be added:
underfitting to too_slow alone, which looks at the training loss; underfitting says that the run has hardly begun to learn.
A rule whose metrics were not measured gives no verdict. benchmarks/curve_generator.py defines the verdicts, and
benchmarks/diagnosis.py measures how often the rules are right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from objectives.diagnosis.curves import SPIKE_STEPS, Step, finite, first_loss, metric, smooth, without_spikes
from objectives.diagnosis.swings import swings_of_steps, swings_of_updates
from objectives.diagnosis.trend import Trend, fit_trend

# Each threshold is the geometric mean of a value that clearly is a case and one that clearly is not. As a fraction of the start,
# unless stated otherwise.
DIVERGED = 2.8
"""Diverged: the mean training loss of the last step is at least this. Up to 2, the loss rose and settled there."""
OSCILLATION = 0.21
"""Oscillating: the height of the oscillation is at least this fraction of the fall."""
MIN_FALL = 0.5
"""If the loss fell by less than this, an oscillation is compared with this instead of the fall."""
GAIN = 0.07
"""Too slow: the same number of steps again would lower the loss by at least this."""
STILL_FALLING = 0.014
"""Too slow: the last quarter of the run lowered the loss by at least this; underfitting: the validation loss, too."""
FALL = 0.28
"""Plateaued: the loss fell by less than this; converged: by at least this."""
RISE = 0.07
"""Overfitting: the validation loss ends at least this far above its lowest value, as a fraction of that value."""
TRAINING_FALL = 0.05
"""Overfitting: the training loss meanwhile fell by at least this fraction of itself. Halfway between 0 and 0.1."""
HIGH = 0.49
"""Underfitting: training and validation loss both end at this or more."""
GROWTH = 21.0
"""Exploding gradients: the median gradient norm of the last fifth of the run, divided by that of the first fifth."""
PEAK = 70.0
"""Exploding gradients: the largest gradient norm of an update, divided by the usual norm (see `_peak`)."""
CLIPPED = 0.73
"""Exploding gradients: the fraction of clipped updates in the last half of the run."""
SMALL_FLOW = 1.4e-4
"""Vanishing gradients: the gradient flow of a step is at most this."""
SMALL_FLOW_STEPS = 0.42
"""Vanishing gradients: the fraction of steps with such a small flow."""
DEAD = 0.42
"""Dead units: their fraction in the last fifth of the run."""


class Diagnosis(StrEnum):
    """A verdict on a run."""

    DIVERGED = "diverged"
    """The loss ended as nan, inf, or a multiple of its start."""
    OSCILLATING = "oscillating"
    """The loss goes up and down repeatedly, until the end."""
    TOO_SLOW = "too_slow"
    """The same number of steps again, at the final learning rate, would have lowered the loss much further."""
    PLATEAUED = "plateaued"
    """The loss has settled, not far below its start."""
    CONVERGED = "converged"
    """The loss has settled far below its start."""
    OVERFITTING = "overfitting"
    """The validation loss rose from its minimum while the training loss kept falling."""
    UNDERFITTING = "underfitting"
    """Too slow, with training and validation loss both still high and falling: too few steps, or too low a learning rate."""
    EXPLODING_GRADIENTS = "exploding_gradients"
    """The gradient norm grew many times over, peaked far above its usual value, or was clipped in most updates."""
    VANISHING_GRADIENTS = "vanishing_gradients"
    """The first layer's gradient is a tiny fraction of the last layer's."""
    DEAD_UNITS = "dead_units"
    """Nearly half of the hidden units, or more, have the same output for every example."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A verdict that holds for a run."""

    verdict: Diagnosis
    because: str
    """One sentence with the numbers, for people."""
    numbers: Mapping[str, float]
    """The numbers behind it, by name."""


def diagnose(steps: Sequence[Step], *, divergence: str | None = None) -> list[Finding]:
    """All verdicts on a run, the one on how it ended first. divergence: the run's own evidence, if it reported one."""
    end, under = diverged(steps, divergence), None
    seen = [step for step in steps if math.isfinite(metric(step, "training_loss"))]
    if end is None and (trend := fit_trend(seen)) is not None:
        end = oscillating(seen, trend) or too_slow(trend) or plateaued(trend) or converged(trend)
        if end is not None and end.verdict == Diagnosis.TOO_SLOW:
            under = underfitting(seen, trend)
    settles = end is not None and end.verdict not in (Diagnosis.DIVERGED, Diagnosis.OSCILLATING)
    others = (
        overfitting(seen) if settles else None,
        under,
        exploding_gradients(steps),
        vanishing_gradients(steps),
        dead_units(steps),
    )
    return [finding for finding in (end, *others) if finding is not None]


def diverged(steps: Sequence[Step], evidence: str | None) -> Finding | None:
    """Diverged by the run's own evidence, or because the loss ends as nan, inf, or at least DIVERGED times the first loss."""
    last = steps[-1].metrics if steps else {}
    numbers = {name: last[name] for name in ("training_loss", "validation_loss") if name in last}
    if evidence is not None:
        return Finding(verdict=Diagnosis.DIVERGED, because=evidence, numbers=numbers)
    for name, loss in numbers.items():
        if not math.isfinite(loss):
            because = f"{name.replace('_', ' ')} was {loss} at the end, in step {steps[-1].step}"
            return Finding(verdict=Diagnosis.DIVERGED, because=because, numbers=numbers)
    loss, first = numbers.get("training_loss", 0.0), first_loss(steps)
    if first <= 0 or loss < DIVERGED * first:
        return None
    because = f"training loss was {loss:.3g} in the last step, {loss / first:.3g} times the first, {first:.3g}"
    return Finding(verdict=Diagnosis.DIVERGED, because=because, numbers=numbers | {"first_loss": first, "times": loss / first})


def oscillating(steps: Sequence[Step], trend: Trend) -> Finding | None:
    """Oscillating from step to step, or from update to update."""
    swings = max(swings_of_steps(steps), swings_of_updates(steps), key=lambda swings: swings.height)
    fall = max(trend.start - trend.lowest, MIN_FALL * trend.start)
    if swings.height < OSCILLATION * fall:
        return None
    return Finding(
        verdict=Diagnosis.OSCILLATING,
        because=(
            f"training loss swung up and down by {swings.height:.3g} to the end, {swings.height / fall:.0%} of its fall, "
            f"and turned {swings.turns} times"
        ),
        numbers={"height": swings.height, "share_of_fall": swings.height / fall, "turns": float(swings.turns)},
    )


def too_slow(trend: Trend) -> Finding | None:
    """Too slow; never if the schedule ends at a learning rate of zero, since more steps would then gain nothing."""
    gain, late = trend.gain / trend.start, trend.last_quarter / trend.start
    if gain < GAIN or late < STILL_FALLING:
        return None
    return Finding(
        verdict=Diagnosis.TOO_SLOW,
        because=(
            f"the smoothed training loss was still falling at {trend.end:.3g}: as many steps again at the final learning rate "
            f"would take about {trend.gain:.2g} off, {gain:.0%} of the {trend.start:.3g} it began at"
        ),
        numbers=_numbers(trend) | {"gain": gain, "last_quarter": late},
    )


def plateaued(trend: Trend) -> Finding | None:
    """Plateaued, for a run that is not too slow; a loss that rose and settled there counts."""
    if trend.fall >= FALL:
        return None
    percent = round(100 * trend.fall)
    course = "did not fall" if percent == 0 else f"fell only {percent}%" if percent > 0 else f"rose {-percent}%"
    return Finding(
        verdict=Diagnosis.PLATEAUED,
        because=(
            f"the smoothed training loss {course}, from {trend.start:.3g} to {trend.end:.3g}, "
            "and as many steps again would win little"
        ),
        numbers=_numbers(trend),
    )


def converged(trend: Trend) -> Finding | None:
    """Converged, for a run that is not too slow. This does not mean that the loss is good."""
    if trend.fall < FALL:
        return None
    return Finding(
        verdict=Diagnosis.CONVERGED,
        because=(
            f"the smoothed training loss fell {trend.fall:.0%}, from {trend.start:.3g} to {trend.end:.3g}, "
            "and as many steps again would win little"
        ),
        numbers=_numbers(trend),
    )


def overfitting(steps: Sequence[Step]) -> Finding | None:
    """Overfitting by the generalization loss of smoothed curves (Prechelt, "Early Stopping - But When?", 1998)."""
    both = [step for step in steps if step.metrics["training_loss"] > 0 and 0 < metric(step, "validation_loss") < math.inf]
    if not both:
        return None
    training = smooth([math.log(step.metrics["training_loss"]) for step in both])
    validation = smooth([math.log(step.metrics["validation_loss"]) for step in both])
    best = validation.index(min(validation))
    rise, fell = math.expm1(validation[-1] - validation[best]), -math.expm1(training[-1] - training[best])
    if rise < RISE or fell < TRAINING_FALL:
        return None
    lowest, at = math.exp(validation[best]), both[best].step
    return Finding(
        verdict=Diagnosis.OVERFITTING,
        because=(
            f"the smoothed validation loss rose {rise:.0%} from its lowest, {lowest:.3g} at step {at}, "
            f"while training loss fell {fell:.0%}"
        ),
        numbers={"rise": rise, "lowest": lowest, "step": float(at), "training_fell": fell},
    )


def underfitting(steps: Sequence[Step], trend: Trend) -> Finding | None:
    """Underfitting, for a run that is too slow: the validation loss, smoothed, is still high and falling, too."""
    losses = finite(steps, "validation_loss")
    if not losses:
        return None
    smoothed = [loss / trend.start for loss in smooth(losses)]
    training, validation = trend.end / trend.start, smoothed[-1]
    late = smoothed[max(0, 3 * len(losses) // 4 - 1)] - validation
    if min(training, validation) < HIGH or late < STILL_FALLING:
        return None
    return Finding(
        verdict=Diagnosis.UNDERFITTING,
        because=(
            f"training loss ended at {training:.0%} and validation loss at {validation:.0%} of the {trend.start:.3g} that"
            f" training loss began at; the last quarter of the run took another {late:.0%} off the validation loss"
        ),
        numbers={"training": training, "validation": validation, "last_quarter": late},
    )


def exploding_gradients(steps: Sequence[Step]) -> Finding | None:
    """Exploding gradients by any of three signs. A norm that is high from the beginning does not count."""
    norms, clipped = finite(steps, "gradient_norm"), finite(steps, "clipped_share")
    numbers, reasons = {}, []
    if clipped:
        numbers["clipped"] = fmean(clipped[-max(1, len(clipped) // 2) :])
        if numbers["clipped"] >= CLIPPED:
            reasons.append(f"{numbers['clipped']:.0%} of the updates of the last half were clipped")
    if norms and (usual := median(norms)) > 0:
        fifth = max(1, len(norms) // 5)
        first, last = median(norms[:fifth]), median(norms[-fifth:])
        if first > 0:
            numbers["growth"] = last / first
            if numbers["growth"] >= GROWTH:
                reasons.append(f"the gradient norm grew {last / first:.3g} times, from {first:.3g} to {last:.3g}")
        numbers["peak"] = _peak(steps, usual)
        if numbers["peak"] >= PEAK:
            reasons.append(f"a gradient norm was {numbers['peak']:.3g} times the usual")
    if not reasons:
        return None
    return Finding(verdict=Diagnosis.EXPLODING_GRADIENTS, because=", and ".join(reasons), numbers=numbers)


def _peak(steps: Sequence[Step], usual: float) -> float:
    """The largest gradient norm after the first step, relative to the usual norm or, if larger, the norms just before and after.

    Both are needed: the norms of a converging run fall slowly by orders of magnitude, while those of a run that explodes and dies
    fall at once.
    """
    known = [step for step in steps if all(math.isfinite(metric(step, f"gradient_norm{what}")) for what in ("", "_max"))]
    norms = [step.metrics["gradient_norm"] for step in known]
    before = without_spikes(norms)
    peaks = [0.0]
    for i in range(1, len(known)):
        after = median(norms[i + 1 : i + 1 + SPIKE_STEPS] or [math.inf])
        peaks.append(known[i].metrics["gradient_norm_max"] / max(usual, min(before[i], after)))
    return max(peaks)


def vanishing_gradients(steps: Sequence[Step]) -> Finding | None:
    """Vanishing gradients in many of the steps, whether the run learns or not."""
    flows = finite(steps, "gradient_flow")
    if flows and flows[0] == 0:
        del flows[0]  # before the first update, an output layer of zeros passes no gradient back
    if not flows or (share := fmean(flow <= SMALL_FLOW for flow in flows)) < SMALL_FLOW_STEPS:
        return None
    because = f"in {share:.0%} of the steps the first layer's gradient was at most {SMALL_FLOW:g} of the last layer's"
    return Finding(
        verdict=Diagnosis.VANISHING_GRADIENTS,
        because=f"{because}, with a median of {median(flows):.2g}",
        numbers={"share_of_steps": share, "median_flow": median(flows)},
    )


def dead_units(steps: Sequence[Step]) -> Finding | None:
    """Dead units at the end of the run; units that were dead earlier and became active again do not count."""
    shares = finite(steps, "dead_units")
    if not shares or (share := fmean(shares[-max(1, len(shares) // 5) :])) < DEAD:
        return None
    because = f"{share:.0%} of the hidden units were dead in the last fifth of the run"
    return Finding(verdict=Diagnosis.DEAD_UNITS, because=because, numbers={"share": share})


def _numbers(trend: Trend) -> dict[str, float]:
    return {"start": trend.start, "end": trend.end, "fall": trend.fall}
