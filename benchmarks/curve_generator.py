"""Synthetic training curves with known verdicts, to judge rules of diagnosis by.

    python -m benchmarks.curve_generator [--seed 0]

A label says something about the run without noise, as it was constructed (benchmarks/curve_construction.py); no rule looks at the
noisy curve. `start` is the training loss before the first update, less what the first few updates take off where the last layer
is badly scaled; `trend` is the training loss without swings, spikes and blow-up; losses are in parts of the start. Each
threshold has a forbidden band around it (BANDS): yes at its upper end and above, no at its lower end and below, and no curve is
drawn in between.

diverged: the loss ends as nan or inf, or the mean training loss of the last step is at least 4 times the start (no: at most 2).
    So neither a spike of any height that recovers counts, nor a loss that rises to 1-2 times the start and stays there. Nearly
    half of the diverged runs carry no `divergence`.
oscillating: the loss swings up from the trend and back, repeatedly and alternately, also in the last half of the run (median
    height), by at least 0.3 of the fall (no: 0.15), where the fall is from the start to the lowest loss, and at least half of the
    start. From step to step, or within steps, for 1-4 recorded updates a time. Not counted: single spikes, swings that are damped
    or that shrink with the rate, independent noise, and the waves of warm restarts (at most 0.15 of the fall).
too_slow: another run of the same length at the final learning rate would take at least 0.1 of the start off the loss (no: 0.05),
    and the last quarter took at least 0.02. A rate that the schedule took to zero gains nothing: never too slow.
plateaued: not too slow, and the loss has fallen by at most 0.2 of the start (no: 0.4), of that at most 0.05 in the last half.
    A loss that rose, in the first half, and stays counts.
converged: not too slow, and the loss has fallen by at least 0.4 of the start (no: 0.2). An irreducible loss of 0.6 of the
    start is converged: the curve alone cannot show more.
overfitting: validation loss ends at least 10% above its minimum (no: 5%; Prechelt's generalization loss), and since that minimum
    the training loss has fallen by at least 10%. Where validation loss rises like this without it, the training loss rose too.
underfitting: too slow, training and validation loss both end at 0.6 of the start or more (no: one of them at 0.4 or less), and
    the last quarter took at least 0.02 off the validation loss, too (no: 0.01).
exploding_gradients: the gradient norm of the last fifth is at least 30 times that of the first fifth (medians; no: 15), or after
    the first step the largest norm of an update is at least 100 times the median norm of the run (no: 50), or in the last half at
    least 0.9 of the updates are clipped (no: 0.6). No: none of the three. A norm that is high from the beginning does not count.
vanishing_gradients: `gradient_flow` is at most 1e-4 in at least 0.6 of the steps (no: at most 2e-4 in at most 0.3 of them).
dead_units: at least 0.5 of the hidden units are dead in the last fifth of the run (no: 0.35).

Exactly one of diverged, oscillating, too_slow, plateaued and converged holds: a run that diverged or oscillates has not settled.
overfitting excludes diverged and oscillating, underfitting all but too_slow; the other three combine with all. The last fifth
(half) of a run is at least one step.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.curve_construction import Truth, construct, measure
from benchmarks.curve_families import FAINTEST, FAMILIES
from benchmarks.curve_shapes import Array
from objectives.contract import Measurement

VERDICTS = (
    "diverged",
    "oscillating",
    "too_slow",
    "plateaued",
    "converged",
    "overfitting",
    "underfitting",
    "exploding_gradients",
    "vanishing_gradients",
    "dead_units",
)
BANDS: Mapping[str, tuple[float, float]] = {
    "level": (2.0, 4.0),
    "swing": (0.15, 0.3),
    "gain": (0.05, 0.1),
    "fall": (0.2, 0.4),
    "rise": (0.05, 0.1),
    "left": (0.4, 0.6),
    "late_validation": (0.01, 0.02),
    "growth": (15.0, 30.0),
    "peak": (50.0, 100.0),
    "clipped": (0.6, 0.9),
    "dead": (0.35, 0.5),
}
"""By figure: at most this is no, at least that is yes."""
STILL_FALLING = 0.02
LATE_FALL = 0.05
FELL_ON = 0.1
MOST_STEPS, FEW_STEPS = 0.6, 0.3
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class LabelledCurve:
    """A curve, and what is true of it."""

    family: str
    labels: frozenset[str]
    curve: tuple[Measurement, ...]
    why: str
    """The construction in numbers."""
    figures: Mapping[str, float]
    """What the labels were read from, by name: those of BANDS, and what the module's docstring speaks of besides."""


def draw(seed: int) -> LabelledCurve:
    """A curve of a family that the seed chooses."""
    rng = np.random.default_rng(seed)
    return _draw(list(FAMILIES)[rng.integers(len(FAMILIES))], rng)


def draw_many(n: int, seed: int) -> list[LabelledCurve]:
    """n curves, by turns of each family."""
    names = list(FAMILIES)
    return [_draw(names[i % len(names)], np.random.default_rng([seed, i])) for i in range(n)]


def _draw(family: str, rng: np.random.Generator) -> LabelledCurve:
    """Constructs until one lies in no forbidden band."""
    while True:
        truth = construct(FAMILIES[family](rng), rng)
        figures = figures_of(truth)
        labels = labels_of(figures)
        if labels is not None:
            schedule = truth.made_of.schedule.kind
            why = f"{family}, {schedule} rate, {truth.made_of.steps} steps: " + ", ".join(
                f"{name} {value:.3g}" for name, value in figures.items()
            )
            return LabelledCurve(family, labels, tuple(measure(truth, rng)), why, figures)


def figures_of(truth: Truth) -> dict[str, float]:
    """The numbers that the labels are defined by, without noise."""
    trend, per_step = truth.trend, truth.made_of.per_step
    n, steps = len(trend) - 1, len(truth.norms)
    lowest = int(np.argmin(truth.validation))
    at_lowest = trend[(lowest + 1) * per_step]
    settles = truth.made_of.blown_at is None
    path = trend if settles else truth.losses
    end = float(path[-1])
    swing = float(np.median(truth.swing_heights[n // 2 :])) if truth.made_of.swing else _wave(truth)
    return {
        "level": float(truth.losses[-per_step:].mean()),
        "swing": swing / max(1.0 - float(truth.trend.min()), 0.5),
        "gain": truth.next_run if settles else 0.0,
        "last_quarter": float(path[min(3 * n // 4, len(path) - 1)]) - end,
        "last_half": float(path[min(n // 2, len(path) - 1)]) - end,
        "fall": 1.0 - end,
        "rise": float(truth.validation[-1] / truth.validation[lowest] - 1),
        "left": min(end, float(truth.validation[-1])),
        "late_validation": float(truth.validation[3 * steps // 4 - 1] - truth.validation[-1]),
        "fell_on": float(1 - end / at_lowest),
        "growth": float(np.median(_last(truth.norms, 5)) / np.median(truth.norms[: max(1, steps // 5)])),
        "peak": float(np.max(truth.largest_norms[1:], initial=0.0) / np.median(truth.norms)),
        "clipped": float(np.mean(_last(truth.clipped, 2))),
        "faint": float(np.mean(truth.flow <= FAINTEST)),
        "thin": float(np.mean(truth.flow <= 2 * FAINTEST)),
        "dead": float(np.mean(_last(truth.dead, 5))),
    }


def labels_of(figures: Mapping[str, float]) -> frozenset[str] | None:
    """What is true of a run with these figures; None: one that matters lies in a forbidden band."""
    sides = {name: _side(figures[name], band) for name, band in BANDS.items()}
    answers: dict[str, bool | None] = dict.fromkeys(VERDICTS, False)
    answers["diverged"] = sides["level"]
    if not answers["diverged"]:
        answers["oscillating"] = sides["swing"]
        answers["overfitting"] = _overfits(figures, sides["rise"])
        if not answers["oscillating"]:
            answers |= _end(figures, sides["gain"], sides["fall"])
            if answers["too_slow"]:
                answers["underfitting"] = _underfits(sides["left"], sides["late_validation"])
    gradients = [sides["growth"], sides["peak"], sides["clipped"]]
    answers["exploding_gradients"] = True if True in gradients else None if None in gradients else False
    faint, thin = figures["faint"], figures["thin"]
    answers["vanishing_gradients"] = True if faint >= MOST_STEPS else False if thin <= FEW_STEPS else None
    answers["dead_units"] = sides["dead"]
    if None in answers.values():
        return None
    return frozenset(verdict for verdict, answer in answers.items() if answer)


def _wave(truth: Truth) -> float:
    """How far the trend itself swings in warm restarts, from the end of a cycle to the top of the next."""
    return truth.made_of.heat if truth.made_of.schedule.kind == "restarts" else 0.0


def _last(values: Array, parts: int) -> Array:
    return values[-max(1, len(values) // parts) :]


def _side(value: float, band: tuple[float, float]) -> bool | None:
    no, yes = band
    return False if value <= no else None if value < yes else True  # nan is yes: only a level can be


def _overfits(figures: Mapping[str, float], rises: bool | None) -> bool | None:
    if not rises:
        return rises
    if figures["fell_on"] >= FELL_ON:
        return True
    return False if figures["fell_on"] < 0 else None


def _underfits(high: bool | None, falls: bool | None) -> bool | None:
    return None if high is None or falls is None else high and falls


def _end(figures: Mapping[str, float], gains: bool | None, fell: bool | None) -> dict[str, bool | None]:
    """How a run that settles ends: too_slow, plateaued or converged."""
    if gains is not False:
        return {"too_slow": gains if figures["last_quarter"] >= STILL_FALLING else None}
    if fell:
        return {"converged": True}
    return {"plateaued": None if fell is None or abs(figures["last_half"]) > LATE_FALL else True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for curve in draw_many(len(FAMILIES), parser.parse_args().seed):
        print(f"{curve.family:<26}{', '.join(sorted(curve.labels))}")
        for name in ("training_loss", "validation_loss", "gradient_norm_max"):
            print(f"  {name:<18}{sparkline([item.metrics[name] for item in curve.curve])}")
        print(f"  {curve.why}")


def sparkline(values: Sequence[float], width: int = 100) -> str:
    """Bars from the lowest to the highest finite value; x is nan or inf."""
    chosen = [values[i * len(values) // min(width, len(values))] for i in range(min(width, len(values)))]
    finite = [value for value in chosen if np.isfinite(value)] or [0.0]
    low, span = min(finite), max(finite) - min(finite) or 1.0
    return "".join(BARS[int((value - low) / span * 7.99)] if np.isfinite(value) else "x" for value in chosen) + (
        f"  {finite[0]:.3g} to {finite[-1]:.3g}"
    )


if __name__ == "__main__":
    main()
