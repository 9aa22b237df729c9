"""Learning curves of a job's trials, coloured by learning rate: too slow at one end, diverged at the other, best in between."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.analysis.figures.figure import TOP, VERMILION, Figure, along_the_top, evenly, layout, rate_of
from service.analysis.figures.metric_axis import height_range, scale_of
from service.analysis.figures.rate_colors import RateColors
from service.analysis.words.numbers import counted, number
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial, TrialState

MOST_CURVES = 120
"""Curves that are drawn: more cannot be told apart."""
MOST_POINTS = 120
"""Of a curve."""

Curves = Mapping[int, Sequence[CurvePoint]]
Cross = tuple[int, float, int]
"""Step, height and trial."""


def drawn_trials(trials: Sequence[Trial], rate: str, best: int | None = None) -> list[Trial]:
    """The trials whose curves are drawn: only theirs need be known. Evenly by their rate, and the best one; none that was pruned
    after its first step, which has no curve.

    rate: the parameter's name. best: the trial's number.
    """
    with_rate = [(at, trial) for trial in trials if (at := rate_of(trial, rate)) is not None and not _ended_at_once(trial)]
    drawn = [trial for _, trial in evenly(sorted(with_rate, key=lambda each: each[0]), MOST_CURVES)]
    return drawn + [trial for _, trial in with_rate if trial.number == best and trial not in drawn]


def _ended_at_once(trial: Trial) -> bool:
    return trial.state is TrialState.PRUNED and trial.user_attrs.get("pruned_at_step") in (0, 1)


def loss_figure(
    trials: Sequence[Trial],
    curves: Curves,
    *,
    metric: str,
    step_word: str,
    rate: str,
    sign: float,
    best: int | None = None,
) -> Figure | None:
    """The metric by step, a line for each of `drawn_trials` with two values, and a cross for each that diverged. None while none
    has two.

    curves: by the trials' numbers. sign: 1 where lower is better, else -1. best: the best trial's number, whose line is thick.
    """
    chosen = drawn_trials(trials, rate, best)
    with_line = [trial for trial in chosen if len(curves.get(trial.number, ())) > 1]
    diverged = [trial for trial in chosen if trial.state is TrialState.INFEASIBLE]
    shown = [trial for trial in chosen if trial in with_line or trial in diverged]
    colors = RateColors([float(trial.params[rate]) for trial in shown] or [1.0])
    lines = [_line(trial, curves[trial.number], rate, colors, is_best=trial.number == best) for trial in with_line]
    values = [value for line in lines for value in line["y"] if value is not None]
    if not values:
        return None
    # A loss that has exploded would squeeze all others into a line.
    usual = [value for trial, line in zip(with_line, lines, strict=True) if trial not in diverged for value in line["y"]]
    usual = [value for value in usual if value is not None] or values
    ends, starts = _last_values(diverged, curves, max(sign * value for value in usual), sign)
    kind = scale_of(usual, sign)
    n_short = sum(rate_of(trial, rate) is not None and _ended_at_once(trial) for trial in trials) + len(chosen) - len(shown)
    n_between = sum(rate_of(trial, rate) is not None for trial in trials) - len(shown) - n_short
    return Figure(
        name="losses",
        title=f"{metric} by {step_word}",
        text=_text(shown, (n_short, n_between), metric, colors, best, n_at_the_top=len(starts)),
        data=[*lines, *_crosses(ends, {}), *_crosses(starts, {"yaxis": "y2"}), colors.bar()],
        layout=layout(
            {"title": {"text": step_word}, "rangemode": "tozero"},
            {"title": {"text": metric}, "type": kind, **height_range(usual, kind, low_is_bad=sign < 0, high_is_bad=sign > 0)},
            yaxis2=along_the_top(),
            showlegend=False,
        ),
    )


def _line(trial: Trial, curve: Sequence[CurvePoint], rate: str, colors: RateColors, *, is_best: bool) -> dict[str, Any]:
    points, at = evenly(curve, MOST_POINTS), float(trial.params[rate])
    has_diverged = trial.state is TrialState.INFEASIBLE
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.step for point in points],
        "y": [point.value if math.isfinite(point.value) else None for point in points],
        "line": {
            "color": VERMILION if has_diverged else colors.of(at),
            "width": 4 if is_best else 1.5,
            "dash": "dot" if has_diverged else "solid",
        },
        "name": f"trial {trial.number}",
        "hovertemplate": f"trial {trial.number}, rate {number(at)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
    }


def _last_values(diverged: Sequence[Trial], curves: Curves, worst: float, sign: float) -> tuple[list[Cross], list[Cross]]:
    """Where the curves end that diverged; and those without a value there, or with one beyond the others' worst, by its step.

    worst: as a cost.
    """
    ends, starts = [], []
    for trial in diverged:
        curve = curves.get(trial.number, ())
        last = next((point for point in reversed(curve) if math.isfinite(point.value)), None)
        if last is not None and sign * last.value <= worst:
            ends.append((last.step, last.value, trial.number))
        else:
            starts.append((trial.diverged_at_step or (curve[-1].step if curve else 1), TOP, trial.number))
    return ends, starts


def _crosses(at: Sequence[Cross], more: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not at:
        return
    x, y, numbers = (list(each) for each in zip(*at, strict=True))
    hover = "trial %{text} diverged<br>%{x}: %{y:.4g}<extra></extra>" if not more else "trial %{text} diverged<extra></extra>"
    marker = {"color": VERMILION, "size": 8, "symbol": "x"}
    yield {
        **{"type": "scatter", "mode": "markers", "name": "diverged", "x": x, "y": y, "text": numbers},
        **{"marker": marker, "hovertemplate": hover},
        **more,
    }


def _text(
    shown: Sequence[Trial], left_out: tuple[int, int], metric: str, colors: RateColors, best: int | None, *, n_at_the_top: int
) -> str:
    """left_out: trials with fewer than two values, and further ones between those that are drawn."""
    n_diverged, (n_short, n_between) = sum(trial.state is TrialState.INFEASIBLE for trial in shown), left_out
    said = f"{counted(len(shown), 'trial', 'trials')} {colors.said}"
    if n_diverged:
        said += f"; {n_diverged} diverged, dotted, with a cross at the last finite value"
        said += f" ({n_at_the_top} without one, or far out: along the top)" if n_at_the_top else ""
    said += f"; the thick line is the best trial, {best}" if any(trial.number == best for trial in shown) else ""
    without = ([f"{n_short} with fewer than two values"] if n_short else []) + ([f"{n_between} others"] if n_between else [])
    said += f"; left out are {' and '.join(without)}" if without else ""
    return f"{metric} while training: {said}."
