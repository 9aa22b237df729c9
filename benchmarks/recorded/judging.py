"""One answer about one recorded job, judged by the recorded truth."""

import math
import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from sklearn.exceptions import ConvergenceWarning

from benchmarks.recorded.plain_peer import plain_answer
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.recorded.sampling import Draw
from service.analysis.answer.best_lr import answer
from service.domain.answer import Answer, AnswerVerdict, IntervalView, SafeRangeView
from service.domain.trial import Trial, TrialState
from service.errors import NothingFinished

FURTHEST = 256
"""Jobs are not gone on with beyond so many trials."""
FURTHER = re.compile(r"about ([\d,]+) further trial")
nan = math.nan


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Rates are log10; costs and regrets the metric's own, `scale` is what to divide them by. nan, None: does not apply."""

    recorded: str
    space: str
    strategy: str
    seed: int
    n_trials: int
    n_complete: int
    refused: bool = True
    """Whether there was no interval."""
    verdict: str = ""
    because: str = ""
    tolerance: float
    scale: float
    seconds: float = nan
    rate: float = nan
    low: float = nan
    high: float = nan
    covered: bool | None = None
    """Whether the interval holds a rate whose cost, other parameters at their best for it, is within tolerance of the best."""
    covered_strictly: bool | None = None
    """Whether it holds the best rate."""
    covered_at_params: bool | None = None
    """The same of `interval_at_params`, with the other parameters as answered."""
    width_at_params: float = nan
    expected: float = nan
    expected_low: float = nan
    expected_high: float = nan
    true_cost: float = nan
    """At the answered point; the worst finite one where most runs diverge."""
    covered_expected: bool | None = None
    covered_expected_of_runs: bool | None = None
    """The same of the mean over the runs that trials are drawn from, where the truth is that of more runs."""
    regret: float = nan
    regret_best_trial: float = nan
    regret_plain: float = nan
    right: bool | None = None
    """Whether the answered point loses no more than the tolerance."""
    false_edge: bool | None = None
    """Of "search range too narrow": whether the best rate is not at that end,"""
    false_edge_beyond: bool | None = None
    """nor any that is within tolerance of the best."""
    safe: bool | None = None
    """Whether the safe range's ends lose at most the tolerance to the answered point."""
    safe_width: float = nan
    safe_retuned: bool | None = None
    """The same of the one with the other parameters at their best for each rate."""
    further: int | None = None
    """How many further trials were said to be needed."""
    further_confident: bool | None = None
    """Whether the answer was confident after them; None where that was too far to go."""
    plain_covered: Sequence[bool] = ()
    """The plain process's intervals, at each of LEVELS."""
    plain_covered_strictly: Sequence[bool] = ()
    plain_widths: Sequence[float] = ()

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def confident(self) -> bool:
        return self.verdict == AnswerVerdict.CONFIDENT


def judge(
    recorded: RecordedSet, strategy: str, seed: int, sizes: Sequence[int], *, peer: bool = True, further: bool = True
) -> list[Judged]:
    """The answers about one job at each number of trials. The peer, which takes most of the time, is asked at the largest."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    draw = Draw(recorded, strategy, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the plain process, whose bounds are scikit-learn's own
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return [_judged(recorded, draw, strategy, seed, n, peer=peer and n == max(sizes), further=further) for n in sizes]


def _judged(recorded: RecordedSet, draw: Draw, strategy: str, seed: int, n_trials: int, *, peer: bool, further: bool) -> Judged:
    trials = draw.trials(n_trials)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    found: dict[str, Any] = {
        "recorded": recorded.name,
        "space": recorded.space,
        "strategy": strategy,
        "seed": seed,
        "n_trials": n_trials,
        "n_complete": len(complete),
        "tolerance": recorded.tolerance,
        "scale": recorded.scale,
    }
    started = time.perf_counter()
    try:
        said = answer(draw.job, trials, tolerance=recorded.tolerance)
    except NothingFinished:
        return Judged(**found)
    found |= {"seconds": time.perf_counter() - started, "verdict": said.verdict, "because": said.because}
    if said.learning_rate is None:
        return Judged(**found)
    return Judged(
        **found
        | {"refused": said.interval is None}
        | of_point(recorded, draw, complete, said)
        | _of_ranges(recorded, said)
        | (_of_further(recorded, draw, n_trials, said) if further else {})
        | (_of_peer(recorded, trials, seed) if peer else {})
    )


def of_point(recorded: RecordedSet, draw: Draw, complete: Sequence[Trial], said: Answer) -> dict[str, Any]:
    """What the answered point costs, beside what was expected of it and the best trial's."""
    assert said.learning_rate is not None
    rate, others = math.log10(said.learning_rate), recorded.combination(said.params)
    cost = recorded.cost_at(rate, others)
    best = min(complete, key=lambda trial: math.inf if trial.value is None else trial.value)
    at_best = float(recorded.truth[draw.point_of(best)])
    found: dict[str, Any] = {
        "rate": rate,
        "true_cost": cost,
        "regret": cost - recorded.best,
        "regret_best_trial": min(at_best, float(recorded.finite.max())) - recorded.best,
        "right": cost - recorded.best <= recorded.tolerance,
    }
    if said.expected is not None:
        low, high = said.expected.low, said.expected.high
        found |= {"expected": said.expected.mean, "expected_low": low, "expected_high": high}
        trains = recorded.trains_at(rate, others)
        found["covered_expected"] = trains and low <= cost <= high
        found["covered_expected_of_runs"] = trains and low <= recorded.mean_of_runs_at(rate, others) <= high
    return found


def _of_ranges(recorded: RecordedSet, said: Answer) -> dict[str, Any]:
    """Whether the interval, the safe range, and what is said of the range's ends are true."""
    assert said.learning_rate is not None
    others, tolerance = recorded.combination(said.params), recorded.tolerance
    cost = recorded.cost_at(math.log10(said.learning_rate), others)
    found: dict[str, Any] = {}
    if said.interval is not None:
        low, high = math.log10(said.interval.low), math.log10(said.interval.high)
        found |= {"low": low, "high": high}
        found["covered"] = covers(recorded, recorded.profile, low, high, tolerance)
        found["covered_strictly"] = covers(recorded, recorded.profile, low, high, 0.0)
    at_params: IntervalView | None = getattr(said, "interval_at_params", None)
    if at_params is not None:
        low, high = math.log10(at_params.low), math.log10(at_params.high)
        found |= {"width_at_params": high - low}
        found["covered_at_params"] = covers(recorded, recorded.finite[:, others], low, high, tolerance)
    # While an answer has no retuned range, its safe range is with the other parameters at their best for each rate.
    has_retuned = hasattr(said, "safe_range_retuned")
    retuned: SafeRangeView | None = getattr(said, "safe_range_retuned", None)
    if said.safe_range is not None:
        found["safe"] = _is_safe(recorded, said.safe_range, cost, others if has_retuned else None)
        found["safe_width"] = math.log10(said.safe_range.high / said.safe_range.low)
    if retuned is not None:
        found["safe_retuned"] = _is_safe(recorded, retuned, cost, None)
    if said.verdict == AnswerVerdict.RANGE_TOO_NARROW:
        ends = [said.at_edge] if said.at_edge is not None else ["low"]  # else rates diverge, and lower ones may be better
        found["false_edge"] = not any(recorded.best_at(end, 0.0) for end in ends)
        found["false_edge_beyond"] = not any(recorded.best_at(end, tolerance) for end in ends)
    return found


def covers(recorded: RecordedSet, costs: np.ndarray, low: float, high: float, tolerance: float) -> bool:
    """Whether from `low` to `high`, and half a tabulated step further, a rate's cost (rates,) is within tolerance of the best."""
    step = float(np.diff(recorded.rates).max()) / 2
    held = costs[(low - step <= recorded.rates) & (high + step >= recorded.rates)]
    return bool((held <= costs.min() + tolerance).any())


def _is_safe(recorded: RecordedSet, safe: SafeRangeView, cost: float, others: int | None) -> bool:
    return all(recorded.cost_at(math.log10(end), others) - cost <= recorded.tolerance for end in (safe.low, safe.high))


def _of_further(recorded: RecordedSet, draw: Draw, n_trials: int, said: Answer) -> dict[str, Any]:
    """Whether the job is confident after as many further trials as were said to be needed."""
    named = FURTHER.search(said.because)
    if named is None or said.verdict != AnswerVerdict.MORE_TRIALS:
        return {}
    count = int(named[1].replace(",", ""))
    if n_trials + count > min(FURTHEST, max(recorded.different_runs, *recorded.sizes)):
        return {"further": count}
    then = answer(draw.job, draw.trials(n_trials + count), tolerance=recorded.tolerance)
    return {"further": count, "further_confident": then.verdict == AnswerVerdict.CONFIDENT}


def _of_peer(recorded: RecordedSet, trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    plain, tolerance = plain_answer(recorded, trials, seed), recorded.tolerance
    return {
        "regret_plain": recorded.cost_at(plain.rate, plain.combination) - recorded.best,
        "plain_covered": [covers(recorded, recorded.profile, low, high, tolerance) for low, high in plain.intervals],
        "plain_covered_strictly": [covers(recorded, recorded.profile, low, high, 0.0) for low, high in plain.intervals],
        "plain_widths": [high - low for low, high in plain.intervals],
    }
