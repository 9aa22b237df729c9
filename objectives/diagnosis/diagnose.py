"""What the curve of a training run says about it: rules that end in verdicts, each with the numbers behind it.

Losses are judged in parts of the start, the training loss before the first update, so that no rule knows what is being trained.
Exactly one of diverged, oscillating, too_slow, plateaued and converged is found where the curve is long enough to tell; the other
verdicts go with them. A rule whose metrics were not measured is silent. Definitions: benchmarks/curve_generator.py; how often the
rules are right: benchmarks/diagnosis.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from objectives.diagnosis.curves import SPIKE_STEPS, Step, finite, first_loss, metric, smooth, without_spikes
from objectives.diagnosis.swings import swings_of_steps, swings_of_updates
from objectives.diagnosis.trend import Trend, fit_trend

# Each threshold is the geometric middle between what surely is and what surely is not. Parts of the start unless said otherwise.
BLOWN_UP = 2.8
"""A mean training loss in the last step from which the run has diverged; up to 2 is a loss that rose and stayed."""
SWING = 0.21
"""The height of swings, in parts of the fall, from which they are no mere restlessness."""
LEAST_FALL = 0.5
"""The fall that swings are compared with where the loss fell by less."""
GAIN = 0.07
"""What another run of the same length must win for this one to have been too slow."""
STILL_FALLING = 0.014
"""What the last quarter of a run that is too slow takes off at least."""
FALL = 0.28
"""A smaller fall is a plateau."""
RISE = 0.07
"""How far validation loss ends above its lowest, in parts of that, when it overfits."""
FELL_ON = 0.05
"""How far the training loss has fallen meanwhile, in parts of itself: halfway from none to a fall of 0.1."""
GROWTH = 21.0
"""The gradient norm's last fifth over its first fifth."""
PEAK = 70.0
"""The largest gradient norm of an update over the run's median."""
CLIPPED = 0.73
"""The share of clipped updates in the last half of the run."""
FAINT, FAINT_STEPS = 1.4e-4, 0.42
"""Gradient flow, and the share of steps that have no more."""
DEAD = 0.42
"""The share of dead units in the last fifth of the run."""


class Diagnosis(StrEnum):
    """What may be true of a run."""

    DIVERGED = "diverged"
    """The loss left its course for nan, inf, or a multiple of where it began."""
    OSCILLATING = "oscillating"
    """The loss swings up and down, again and again, to the end."""
    TOO_SLOW = "too_slow"
    """As much training again, at the final rate, would have won much."""
    PLATEAUED = "plateaued"
    """The loss has settled, and not far below where it began."""
    CONVERGED = "converged"
    """The loss has settled far below where it began."""
    OVERFITTING = "overfitting"
    """Validation loss rose from its lowest while training loss fell on."""
    EXPLODING_GRADIENTS = "exploding_gradients"
    """Gradients grew manyfold, peaked far above their usual size, or had to be clipped nearly always."""
    VANISHING_GRADIENTS = "vanishing_gradients"
    """Next to nothing of the last layer's gradient arrives at the first layer."""
    DEAD_UNITS = "dead_units"
    """Nearly half of the hidden units, or more, put out the same for every example."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A verdict that holds."""

    verdict: Diagnosis
    because: str
    """One sentence with the numbers, for people."""
    numbers: Mapping[str, float]
    """The numbers behind it, by name."""


def diagnose(steps: Sequence[Step], *, divergence: str | None = None) -> list[Finding]:
    """All that holds of a run, how it ended first. `divergence` is the run's own evidence, where it says that it diverged."""
    end = diverged(steps, divergence)
    seen = [step for step in steps if math.isfinite(metric(step, "training_loss"))]
    if end is None and (trend := fit_trend(seen)) is not None:
        end = oscillating(seen, trend) or too_slow(trend) or plateaued(trend) or converged(trend)
    settles = end is not None and end.verdict not in (Diagnosis.DIVERGED, Diagnosis.OSCILLATING)
    others = (
        overfitting(seen) if settles else None,
        exploding_gradients(steps),
        vanishing_gradients(steps),
        dead_units(steps),
    )
    return [finding for finding in (end, *others) if finding is not None]


def diverged(steps: Sequence[Step], evidence: str | None) -> Finding | None:
    """By its own evidence, or because its loss ends as nan, inf, or a multiple of the first."""
    last = steps[-1].metrics if steps else {}
    numbers = {name: last[name] for name in ("training_loss", "validation_loss") if name in last}
    if evidence is not None:
        return Finding(verdict=Diagnosis.DIVERGED, because=evidence, numbers=numbers)
    for name, loss in numbers.items():
        if not math.isfinite(loss):
            because = f"{name.replace('_', ' ')} was {loss} at the end, in step {steps[-1].step}"
            return Finding(verdict=Diagnosis.DIVERGED, because=because, numbers=numbers)
    loss, first = numbers.get("training_loss", 0.0), first_loss(steps)
    if first <= 0 or loss < BLOWN_UP * first:
        return None
    because = f"training loss was {loss:.3g} in the last step, {loss / first:.3g} times the first, {first:.3g}"
    return Finding(verdict=Diagnosis.DIVERGED, because=because, numbers=numbers | {"first_loss": first, "times": loss / first})


def oscillating(steps: Sequence[Step], trend: Trend) -> Finding | None:
    """From step to step, or from update to update."""
    swings = max(swings_of_steps(steps), swings_of_updates(steps), key=lambda swings: swings.height)
    fall = max(trend.start - trend.lowest, LEAST_FALL * trend.start)
    if swings.height < SWING * fall:
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
    """Never where the schedule took the rate to zero: as much again would win nothing then."""
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
    """Of a run that is not too slow; a loss that rose, and stayed, counts."""
    if trend.fall >= FALL:
        return None
    course = f"fell only {trend.fall:.0%}" if trend.fall >= 0 else f"rose {-trend.fall:.0%}"
    return Finding(
        verdict=Diagnosis.PLATEAUED,
        because=(
            f"the smoothed training loss {course}, from {trend.start:.3g} to {trend.end:.3g}, "
            "and as many steps again would win little"
        ),
        numbers=_numbers(trend),
    )


def converged(trend: Trend) -> Finding | None:
    """Of a run that is not too slow; to how good a loss, nobody can know."""
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
    """Prechelt's generalization loss (Early Stopping - But When?, 1998), of smoothed curves."""
    both = [step for step in steps if step.metrics["training_loss"] > 0 and 0 < metric(step, "validation_loss") < math.inf]
    if not both:
        return None
    training = smooth([math.log(step.metrics["training_loss"]) for step in both])
    validation = smooth([math.log(step.metrics["validation_loss"]) for step in both])
    best = validation.index(min(validation))
    rise, fell = math.expm1(validation[-1] - validation[best]), -math.expm1(training[-1] - training[best])
    if rise < RISE or fell < FELL_ON:
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


def exploding_gradients(steps: Sequence[Step]) -> Finding | None:
    """By any of three signs; a norm that is high from the beginning is none of them."""
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
    """The largest gradient norm after the first step, in parts of what is usual in the run, and of what is just before or after.

    The norms of a run that converges fall by orders of magnitude, but slowly; those of one that explodes and dies, at once.
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
    """In many of the steps, whether the run learns or not."""
    flows = finite(steps, "gradient_flow")
    if flows and flows[0] == 0:
        del flows[0]  # before its first update, an output layer that starts at zero hands nothing on
    if not flows or (share := fmean(flow <= FAINT for flow in flows)) < FAINT_STEPS:
        return None
    because = f"in {share:.0%} of the steps the first layer's gradient was at most {FAINT:g} of the last layer's"
    return Finding(
        verdict=Diagnosis.VANISHING_GRADIENTS,
        because=f"{because}, with a median of {median(flows):.2g}",
        numbers={"share_of_steps": share, "median_flow": median(flows)},
    )


def dead_units(steps: Sequence[Step]) -> Finding | None:
    """At the end: units that were dead at first and woke are none."""
    shares = finite(steps, "dead_units")
    if not shares or (share := fmean(shares[-max(1, len(shares) // 5) :])) < DEAD:
        return None
    because = f"{share:.0%} of the hidden units were dead in the last fifth of the run"
    return Finding(verdict=Diagnosis.DEAD_UNITS, because=because, numbers={"share": share})


def _numbers(trend: Trend) -> dict[str, float]:
    return {"start": trend.start, "end": trend.end, "fall": trend.fall}
