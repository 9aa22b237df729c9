"""The answer to one question: which learning rate, how sure, and how far may one move? Pure functions over finished trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from service.domain.job import Job, cost_sign
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, Range
from service.domain.trial import Trial, TrialState
from service.errors import NoLearningRate, NothingFinished
from service.report.answer_values import BestLearningRate, CurvePart, Edge, Evidence, SafeRange, Verdict
from service.report.counted import counted
from service.report.encoding import LEARNING_RATE, axes, decode, learning_rate
from service.report.groups import by_batch_size, divergence_edges
from service.report.observations import Curves, Observations, observe
from service.report.points import cost_of, diagnosis_of, learned, seed_of
from service.report.response_curve import EDGE, FEWEST, FEWEST_RATES, MAY_DIVERGE, MOST_DIVERGE, Kind, Optimum, ResponseCurve

ENOUGH = 16
"""With so many trials an answer usually says something; fewer than half of it are never enough."""
MOST_MORE = 10
"""More than so many times the trials there are is no estimate any more."""


def answer(
    job: Job, trials: Sequence[Trial], curves: Curves | None = None, *, tolerance: float | None = None, kind: Kind = "profile"
) -> BestLearningRate:
    """The best learning rate, by a job's finished trials (complete, infeasible, pruned).

    curves: of the trials; without them pruned ones only count. tolerance: of the safe range, in the metric's units.
    Raises NoLearningRate when the job has no such parameter, NothingFinished while no trial is complete or infeasible.
    """
    # The matrices are small: more threads would keep cores from training, and could change the last digits.
    with threadpool_limits(1):
        return _answered(job, trials, curves or {}, tolerance, kind)


def _answered(job: Job, trials: Sequence[Trial], curves: Curves, tolerance: float | None, kind: Kind) -> BestLearningRate:
    plain, dimension, complete = _plain(job, trials)
    if plain.best_trial is None:
        return plain
    seen = observe(job, trials, curves)
    if seen is not None and seen.complete.sum() >= FEWEST and seen.n_rates >= FEWEST_RATES:
        return _judged(plain, _fitted(job, plain, seen, ResponseCurve(seen), tolerance, kind), seen, complete)
    if plain.at_edge is not None:
        return plain
    if not isinstance(dimension, Range):
        because = f"the job fixes the learning rate at {dimension}, so there is nothing to compare it with"
        return replace(plain, verdict=Verdict.RANGE_TOO_NARROW, because=because)
    return replace(plain, because=_because_few(len(complete), seen))


def _because_few(n_complete: int, seen: Observations | None) -> str:
    if seen is None:
        return "no trial that trained to its end has all the parameters that the job searches, and a rate above zero"
    n, rates = int(seen.complete.sum()), counted(seen.n_rates, "rate", "different rates")
    if n < FEWEST:
        told = f"only {counted(n, 'trial has', 'trials have')} trained to the end, at {rates}"
    else:
        told = f"the {n} trials that have trained to the end did so at {rates}"
    if n < n_complete:
        others = counted(n_complete - n, "another one lacks", "others lack")
        told += f" ({others} parameters that the job searches)"
    return f"{told}: with about {ENOUGH} trials at as many rates there is a range to be told"


def in_brief(job: Job, trials: Sequence[Trial]) -> BestLearningRate:
    """The best trial's rate, without what takes a response curve; raises as `answer` does."""
    return _plain(job, trials)[0]


def best_of(answers: Sequence[tuple[Job, BestLearningRate]]) -> tuple[Job, BestLearningRate]:
    """The best of several jobs' answers by the same metric, with the evidence of all of them."""
    job, best = min(answers, key=lambda pair: _place(*pair))
    evidence = Evidence(
        trials=sum(found.evidence.trials for _, found in answers),
        infeasible=sum(found.evidence.infeasible for _, found in answers),
        pruned=sum(found.evidence.pruned for _, found in answers),
        training_seeds=frozenset[int]().union(*(found.evidence.training_seeds for _, found in answers)),
    )
    return job, replace(best, evidence=evidence)


def _place(job: Job, found: BestLearningRate) -> tuple[float, float]:
    """Best first; where all diverged, the one that went lowest."""
    cost = None if found.best_trial is None else cost_of(job, found.best_trial)
    return math.inf if cost is None else cost, found.look_below or 0.0


def _plain(job: Job, trials: Sequence[Trial]) -> tuple[BestLearningRate, Dimension, list[Trial]]:
    """The answer that the best trial is, the rate's range, and the trials that trained to their end."""
    dimension = (job.spec.search_space or {}).get(LEARNING_RATE)
    if dimension is None:
        raise NoLearningRate
    trials = [trial for trial in trials if learning_rate(trial.params) is not None]
    costs = {trial.number: cost for trial in trials if (cost := cost_of(job, trial)) is not None}
    complete = [trial for trial in trials if trial.number in costs]
    if not complete:
        return _without_complete(job, trials, is_searched=isinstance(dimension, Range)), dimension, complete
    best = min(complete, key=lambda trial: costs[trial.number])
    rate = learning_rate(best.params)
    assert job.spec.metric is not None
    assert rate is not None
    # Of a single rate nobody can say that others would be better.
    edge = _edge(dimension, rate) if len({learning_rate(trial.params) for trial in complete}) > 1 else None
    plain = BestLearningRate(
        learning_rate=rate,
        metric=job.spec.metric,
        evidence=_evidence(job, trials),
        verdict=Verdict.RANGE_TOO_NARROW if edge else Verdict.MORE_TRIALS,
        because=_because_edge(edge) if edge else f"trial {best.number} has the best {job.spec.metric} of {len(complete)}",
        best_trial=best,
        params={axis.name: best.params[axis.name] for axis in axes(job.spec.search_space or {}) if axis.name in best.params},
        at_edge=edge,
    )
    return plain, dimension, complete


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """What a response curve says, beside the answer that is made of it."""

    answer: BestLearningRate
    optimum: Optimum
    tolerance: float
    at_edge: str | None
    diverges: float
    """The part of trials at the answered rate that do."""


def _fitted(
    job: Job, plain: BestLearningRate, seen: Observations, curve: ResponseCurve, tolerance: float | None, kind: Kind
) -> _Fitted:
    optimum, sign = curve.optimum, cost_sign(job.direction)
    if tolerance is None:
        tolerance = curve.tolerance(optimum.point)
    safe = curve.safe_range(optimum.rate, tolerance)
    of_batch_sizes, scaling = by_batch_size(job, seen, curve)
    return _Fitted(
        answer=replace(
            plain,
            learning_rate=10**optimum.rate,
            params=decode(optimum.point[1:], seen.axes),
            at_edge=None,
            interval=optimum.interval.of_rates(),
            safe_range=None if safe is None else SafeRange(tolerance=tolerance, low=10**safe.low, high=10**safe.high),
            expected=optimum.cost.times(sign),
            divergence_edge=None if curve.edge is None else Edge.of(curve.edge),
            divergence_edges=tuple(divergence_edges(seen)),
            by_batch_size=of_batch_sizes,
            batch_scaling=scaling,
            curve=tuple(CurvePart(learning_rate=10**place.rate, expected=place.cost.times(sign)) for place in curve.curve(kind)),
        ),
        optimum=optimum,
        tolerance=tolerance,
        at_edge=curve.at_edge(safe),
        diverges=0.0 if curve.edge is None else float(curve.edge.probability(np.array([optimum.rate]))[0]),
    )


def _judged(plain: BestLearningRate, fitted: _Fitted, seen: Observations, complete: Sequence[Trial]) -> BestLearningRate:
    """The answer with its verdict: first what no further trial in the same range could mend."""
    optimum, n = fitted.optimum, int(seen.complete.sum())
    if not any(learned(trial) for trial in complete):
        because = f"none of the {n} trials that trained to their end learned anything: look at their diagnosis, and at the data"
        return replace(fitted.answer, verdict=Verdict.NOTHING_LEARNED, because=because)
    if fitted.at_edge is not None:
        because = _because_edge(fitted.at_edge)
        return replace(fitted.answer, at_edge=fitted.at_edge, verdict=Verdict.RANGE_TOO_NARROW, because=because)
    assert fitted.answer.interval is not None
    low, high = fitted.answer.interval.low, fitted.answer.interval.high
    sure = f"the best rate lies between {low:.3g} and {high:.3g} with 90% probability"
    if fitted.diverges > MOST_DIVERGE:
        because = f"{fitted.diverges:.0%} of trials diverge even at the best rate found: lower ones may be better"
        return replace(fitted.answer, verdict=Verdict.RANGE_TOO_NARROW, because=because)
    if fitted.diverges > MAY_DIVERGE:
        because = f"{sure}, but {fitted.diverges:.0%} of trials diverge at {10**optimum.rate:.3g}: more trials near it would tell"
        return replace(fitted.answer, verdict=Verdict.MORE_TRIALS, because=because)
    if n >= ENOUGH / 2 and optimum.regret <= fitted.tolerance:
        because = f"{sure}, and {10**optimum.rate:.3g} loses at most {optimum.regret:.2g} of {plain.metric} to it"
        return replace(fitted.answer, verdict=Verdict.CONFIDENT, because=because + _still_improving(plain.best_trial))
    return replace(fitted.answer, verdict=Verdict.MORE_TRIALS, because=f"{sure}: {_how_many_more(n, optimum, fitted.tolerance)}")


def _how_many_more(n: int, optimum: Optimum, tolerance: float) -> str:
    """What a rate loses to the best falls with the number of trials (its square is that of an estimate's error)."""
    if optimum.regret > (MOST_MORE + 1) * tolerance:
        return f"more than {MOST_MORE * n} further trials would be needed to know it to {tolerance:.2g}"
    more = counted(_round(max(ENOUGH - n, math.ceil(n * (optimum.regret / tolerance - 1)))), "further trial", "further trials")
    return f"about {more} would bring what the rate may lose below {tolerance:.2g}"


def _round(count: int) -> int:
    """To fives from twenty on, to tens from a hundred on."""
    return count if count < 20 else 5 * round(count / 5) if count < 100 else 10 * round(count / 10)


def _still_improving(best: Trial | None) -> str:
    if best is None or "too_slow" not in diagnosis_of(best):
        return ""
    return "; longer training may want another, since the best trial was still improving"


def _without_complete(job: Job, trials: Sequence[Trial], *, is_searched: bool) -> BestLearningRate:
    """No trial trained to its end: an answer only where all diverged."""
    assert job.spec.metric is not None
    evidence = _evidence(job, trials)
    if evidence.infeasible and evidence.infeasible == evidence.trials:
        lowest = min(rate for trial in trials if (rate := learning_rate(trial.params)) is not None)
        tried = "every rate tried diverged, down to" if is_searched else "every trial diverged at the job's learning rate,"
        return BestLearningRate(
            learning_rate=None,
            metric=job.spec.metric,
            evidence=evidence,
            verdict=Verdict.ALL_DIVERGED,
            because=f"{tried} {lowest:.3g}: look below it",
            best_trial=None,
            look_below=lowest,
        )
    if trials:
        raise NothingFinished(
            f"{'The only trial' if len(trials) == 1 else f'None of the {len(trials)} trials'} that ended has"
            f"{' not' if len(trials) == 1 else ''} trained to its end with a finite {job.spec.metric}."
        )
    raise NothingFinished


def _evidence(job: Job, trials: Sequence[Trial]) -> Evidence:
    return Evidence(
        trials=len(trials),
        infeasible=sum(trial.state is TrialState.INFEASIBLE for trial in trials),
        pruned=sum(trial.state is TrialState.PRUNED for trial in trials),
        training_seeds=frozenset(map(seed_of, trials)),
    )


def _because_edge(edge: str) -> str:
    further = "lower" if edge == "low" else "higher"
    return f"the best rate lies at the {edge} end of the range: {further} ones may be better"


def _edge(dimension: Dimension, rate: float) -> str | None:
    """At which end of what was searched `rate` lies, if at one."""
    match dimension:
        case FloatRange() | IntRange():
            low, high, at = dimension.low, dimension.high, rate
            if at <= low or at >= high:  # a foreign script may go beyond, even below zero
                return "low" if at <= low else "high"
            if low > 0:  # as the curve has it
                low, high, at = math.log(low), math.log(high), math.log(rate)
            margin = EDGE * (high - low)
            return "low" if at <= low + margin else "high" if at >= high - margin else None
        case CategoricalRange():
            choices = [float(choice) for choice in dimension.choices if not isinstance(choice, str)]
            if len(choices) < 2:
                return None
            return "low" if rate <= min(choices) else "high" if rate >= max(choices) else None
        case _:
            return None  # a fixed rate has no range
