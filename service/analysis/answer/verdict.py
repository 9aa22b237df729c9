"""What is to be thought of an answer: its verdict, and the sentence that says why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.analysis.answer.values import AnswerVerdict, BestLearningRate
from service.analysis.model.curve_line import MAY_DIVERGE
from service.analysis.model.observations import Observations
from service.analysis.model.optimum import Optimum
from service.analysis.model.points import diagnosis_of, learned
from service.analysis.words import counted
from service.domain.trial import Trial

ENOUGH = 16
"""With so many trials an answer usually says something; fewer than half of it are never enough."""
ENOUGH_PER_COEFFICIENT = 3.0
"""With fewer trained trials for each coefficient of the curve no answer is confident."""
MARGIN = 2.5
"""So many times the further trials are named that an estimate of them says: with these, two of three answers become confident."""
MOST_MORE = 4
"""More than so many times the trials there are is no estimate any more,"""
MOST_PARAMETERS = 3
"""nor is any number where more parameters are searched: on recorded runs of four, 38% of what was named sufficed."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a response curve says, beside the answer that is made of it."""

    answer: BestLearningRate
    optimum: Optimum
    tolerance: float
    at_edge: str | None
    is_flat: bool
    is_cut: bool
    """Whether the interval ends where the range does."""
    lost: float
    """The part of trials at the answered point that are."""
    per_coefficient: float
    """Trained trials."""


def judged(plain: BestLearningRate, fitted: Fitted, seen: Observations, complete: Sequence[Trial]) -> BestLearningRate:
    """The answer with its verdict: first what no further trial in the same range could mend."""
    optimum, n = fitted.optimum, int(seen.complete.sum())
    if not any(learned(trial) for trial in complete):
        because = f"none of the {n} trials that trained to their end learned anything: look at their diagnosis, and at the data"
        return replace(fitted.answer, verdict=AnswerVerdict.NOTHING_LEARNED, because=because)
    assert fitted.answer.interval is not None
    low, high = fitted.answer.interval.low, fitted.answer.interval.high
    if fitted.is_flat:
        because = f"no rate of the range loses more than {fitted.tolerance:.2g} of {plain.metric} to another"
        return replace(fitted.answer, verdict=AnswerVerdict.ANY_RATE, because=because)
    sure = f"the best rate lies between {low:.3g} and {high:.3g} with 90% probability"
    if fitted.per_coefficient < ENOUGH_PER_COEFFICIENT:
        n_parameters = counted(len(seen.axes) + 1, "parameter", "parameters")
        because = f"{sure}: {counted(n, 'run is', 'different runs are')} few for {n_parameters}"
        return replace(fitted.answer, verdict=AnswerVerdict.MORE_TRIALS, because=because)
    if fitted.at_edge is not None:
        because = because_edge(fitted.at_edge)
        return replace(fitted.answer, at_edge=fitted.at_edge, verdict=AnswerVerdict.RANGE_TOO_NARROW, because=because)
    if fitted.lost > MAY_DIVERGE:
        because = f"{sure}, but {fitted.lost:.0%} of trials diverge at {10**optimum.rate:.3g}: more trials near it would tell"
        return replace(fitted.answer, verdict=AnswerVerdict.MORE_TRIALS, because=because)
    if n >= ENOUGH / 2 and optimum.regret <= fitted.tolerance and not fitted.is_cut:
        because = f"{sure}, and {10**optimum.rate:.3g} loses at most {optimum.regret:.2g} of {plain.metric} to it"
        return replace(fitted.answer, verdict=AnswerVerdict.CONFIDENT, because=because + _still_improving(plain.best_trial))
    if optimum.regret <= fitted.tolerance:
        because = f"{sure}, which the range cuts: a wider range, or more trials near its end, would tell"
        return replace(fitted.answer, verdict=AnswerVerdict.MORE_TRIALS, because=because)
    more = _how_many_more(n, optimum, fitted.tolerance, 1 + len(seen.axes))
    return replace(fitted.answer, verdict=AnswerVerdict.MORE_TRIALS, because=f"{sure}: {more}")


def _how_many_more(n: int, optimum: Optimum, tolerance: float, n_parameters: int) -> str:
    """What a rate loses to the best falls with the number of trials: its square is that of an estimate's error."""
    lacking = n * (optimum.regret / tolerance - 1) if tolerance > 0 else math.inf
    if (needed := MARGIN * max(ENOUGH - n, lacking)) > MOST_MORE * n or n_parameters > MOST_PARAMETERS:
        return f"more trials, most of all near it, would bring what it may lose below {tolerance:.2g}"
    more = counted(_round(max(math.ceil(needed), n // 2)), "further trial", "further trials")
    return f"about {more} would bring what the rate may lose below {tolerance:.2g}"


def _round(count: int) -> int:
    """To fives from twenty on, to tens from a hundred on."""
    return count if count < 20 else 5 * round(count / 5) if count < 100 else 10 * round(count / 10)


def _still_improving(best: Trial | None) -> str:
    if best is None or "too_slow" not in diagnosis_of(best):
        return ""
    return "; longer training may want another, since the best trial was still improving"


def because_edge(edge: str) -> str:
    further = "lower" if edge == "low" else "higher"
    return f"the best rate lies at the {edge} end of the range: {further} ones may be better"
