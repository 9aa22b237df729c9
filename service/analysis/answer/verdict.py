"""The verdict on an answer, and its reason."""

import math
from dataclasses import dataclass

from service.analysis.answer.tried import Tried
from service.analysis.model.curve_line import MAY_DIVERGE
from service.analysis.model.observations import Observations
from service.analysis.model.optimum import Optimum
from service.analysis.model.points import LARGEST, diagnosis_of, learned, no_better_than_guessing
from service.analysis.model.response_curve import FEWEST
from service.analysis.model.retrained import Retrained
from service.analysis.words import verdict as words
from service.domain.answer import AnswerVerdict, IntervalView
from service.domain.space import Range, discrete_values
from service.domain.trial import Trial

ENOUGH = 16
"""Trials with which an answer is usually useful. Fewer than half as many are never confident."""
ENOUGH_PER_COEFFICIENT = 3.0
"""Trained trials for each coefficient of the curve that a confident answer needs."""
MARGIN = 2.5
"""Factor on the estimated number of further trials: with it, two of three answers become confident."""
MOST_MORE = 4
"""No number is given if it is more than this factor times the trials there are."""
MOST_PARAMETERS = 3
"""No number is given where more parameters are searched: on recorded runs with four, it sufficed in 38% of cases."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict, and its reason."""

    verdict: AnswerVerdict
    because: str
    """Without a mention of the training seed."""
    at_edge: str | None = None
    further: int | None = None
    """About how many further trials would be enough, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What the verdict needs of a fitted response curve."""

    optimum: Optimum
    interval: IntervalView
    """Of the best rate, over all parameters searched."""
    tolerance: float
    at_edge: str | None
    is_flat: bool
    is_cut: bool
    """Whether the interval ends at an end of the range."""
    lost: float
    """The probability that a trial at the answered point is lost."""
    chosen: Retrained | None
    """The answered point where it was retrained."""
    retrained_in_vain: int
    """How many points were retrained where every fresh run diverged, else 0."""
    per_coefficient: float
    """Trained trials for each coefficient of the curve."""


def because_of(of: Tried, judged: Judged) -> str:
    """The reason as the answer states it: with the training seed that it holds for, and how to get the trials that are needed."""
    because, further = words.of_seed(of.seed, judged.because), further_of(of, judged)
    return because if further is None else words.extended(because, of.job.id, further)


def further_of(of: Tried, judged: Judged) -> int | None:
    """By how many trials the job should be extended; None where it should or can not be."""
    if judged.verdict is not AnswerVerdict.MORE_TRIALS or not of.job.can_run_on:
        return None
    return judged.further or max(ENOUGH, _round(len(of.trials) // 2))


def judge_best(of: Tried) -> Judged:
    """The verdict on the best trial's rate, without a curve."""
    if of.best is None:
        because = words.all_diverged(of.lowest_rate, is_searched=isinstance(of.dimension, Range))
        return Judged(verdict=AnswerVerdict.ALL_DIVERGED, because=because)
    if of.all_diverged_again:
        return _retrained_in_vain(len(of.again))
    if of.at_edge is not None:
        return _at_edge(of.at_edge)
    if of.chosen is not None:
        because = words.best_retrained(of.job.spec.metric, len(of.again), len(of.chosen.costs))
        return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=because)
    because = words.best_of_trials(of.best.number, of.job.spec.metric, len(of.complete))
    return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=because)


def judge_few(of: Tried, seen: Observations | None) -> Judged:
    """The verdict where there are too few trials for a curve, or too few different rates."""
    if of.best is None or of.at_edge is not None or of.all_diverged_again:
        return judge_best(of)
    if not isinstance(of.dimension, Range) or discrete_values(of.dimension) == 1:
        assert of.rate is not None
        return Judged(verdict=AnswerVerdict.RANGE_TOO_NARROW, because=words.fixed_rate(of.rate))
    if seen is None:
        because = words.no_usable_trial(of.job.spec.metric, largest=LARGEST)
    else:
        left_out = seen.left_out(len(of.complete))
        because = words.few_trials(int(seen.complete.sum()), seen.n_rates, left_out, fewest=FEWEST, enough=ENOUGH)
    further = ENOUGH if seen is None else max(1, ENOUGH - seen.n_rates)
    return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=because, further=further)


def judge_guessing(of: Tried) -> Judged:
    """The verdict where no trial is better than guessing."""
    assert of.best is not None
    assert of.best.value is not None
    because = words.no_better_than_guessing(len(of.complete), of.job.spec.metric, of.best.value)
    return Judged(verdict=AnswerVerdict.NOTHING_LEARNED, because=because)


def judge(of: Tried, fitted: Fitted, seen: Observations) -> Judged:
    """The verdict on a fitted curve. What further trials in the same range could not change comes first."""
    optimum, n, metric, interval = fitted.optimum, int(seen.complete.sum()), of.job.spec.metric, fitted.interval
    rate = 10**optimum.rate
    if not any(learned(trial) for trial in of.complete):
        return Judged(verdict=AnswerVerdict.NOTHING_LEARNED, because=words.nothing_learned(n))
    if no_better_than_guessing(of.job, of.complete):
        return judge_guessing(of)
    if fitted.retrained_in_vain:
        return _retrained_in_vain(fitted.retrained_in_vain)
    if fitted.is_flat:
        return Judged(verdict=AnswerVerdict.ANY_RATE, because=words.any_rate(fitted.tolerance, metric))
    if fitted.per_coefficient < ENOUGH_PER_COEFFICIENT:
        return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=words.few_runs(interval, n, len(seen.axes) + 1))
    if fitted.at_edge is not None:
        return _at_edge(fitted.at_edge)
    if fitted.lost > MAY_DIVERGE:
        return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=words.may_diverge(interval, fitted.lost, rate))
    if fitted.chosen is not None and fitted.chosen.diverged:
        because = words.diverged_again(interval, fitted.chosen.diverged, len(fitted.chosen.costs) + fitted.chosen.diverged)
        return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=because)
    if n >= ENOUGH / 2 and optimum.regret <= fitted.tolerance and not fitted.is_cut:
        because = words.confident(interval, rate, optimum.regret, metric, still_improving=_is_still_improving(of.best))
        return Judged(verdict=AnswerVerdict.CONFIDENT, because=because)
    if optimum.regret <= fitted.tolerance:
        return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=words.cut(interval))
    further = _how_many_more(n, optimum, fitted.tolerance, 1 + len(seen.axes))
    because = words.more_trials(interval, fitted.tolerance, further)
    return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=because, further=further)


def _at_edge(edge: str) -> Judged:
    return Judged(verdict=AnswerVerdict.RANGE_TOO_NARROW, because=words.at_edge(edge), at_edge=edge)


def _retrained_in_vain(n_points: int) -> Judged:
    return Judged(verdict=AnswerVerdict.MORE_TRIALS, because=words.retrained_in_vain(n_points))


def _how_many_more(n: int, optimum: Optimum, tolerance: float, n_parameters: int) -> int | None:
    """About how many further trials it takes; None: unknown. Regret falls as 1 / trials, the square of the rate's error."""
    lacking = n * (optimum.regret / tolerance - 1) if tolerance > 0 else math.inf
    if (needed := MARGIN * max(ENOUGH - n, lacking)) > MOST_MORE * n or n_parameters > MOST_PARAMETERS:
        return None
    return _round(max(math.ceil(needed), n // 2))


def _round(count: int) -> int:
    """Rounded to fives from 20 on, to tens from 100 on."""
    return count if count < 20 else 5 * round(count / 5) if count < 100 else 10 * round(count / 10)


def _is_still_improving(best: Trial | None) -> bool:
    return best is not None and "too_slow" in diagnosis_of(best)
