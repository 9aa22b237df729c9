"""The answer to one question: which learning rate, how sure, and how far may one move? Pure functions over finished trials."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from service.analysis.answer.groups import by_batch_size, divergence_edges
from service.analysis.answer.values import AnswerVerdict, BestLearningRate, CurvePart, Edge, Evidence, SafeRange
from service.analysis.answer.verdict import ENOUGH, Fitted, because_edge, judged
from service.analysis.model.curve_line import Line
from service.analysis.model.encoding import axes, decode, has_rate, learning_rate
from service.analysis.model.estimates import Estimate, Interval
from service.analysis.model.observations import MOST_CHOICES, Observations, observe
from service.analysis.model.optimum import EDGE, Optimum
from service.analysis.model.points import LARGEST, cost_of, seed_of
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import FEWEST, FEWEST_RATES, MOSTLY, SAME, Kind, ResponseCurve
from service.analysis.words import counted
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, Range, Scalar, discrete_values
from service.domain.trial import Trial, TrialState
from service.errors import NoLearningRate, NothingFinished


def answer(
    job: Job, trials: Sequence[Trial], curves: Curves | None = None, *, tolerance: float | None = None, kind: Kind = "params"
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
        if seen.is_constant:
            return _constant(job, plain, seen, tolerance or 0.0)
        return judged(plain, _fitted(job, plain, seen, ResponseCurve(seen), tolerance, kind), seen, complete)
    if plain.at_edge is not None:
        return plain
    if not isinstance(dimension, Range) or discrete_values(dimension) == 1:
        assert plain.learning_rate is not None
        because = f"the job fixes the learning rate at {plain.learning_rate:g}, so there is nothing to compare it with"
        return replace(plain, verdict=AnswerVerdict.RANGE_TOO_NARROW, because=because)
    return replace(plain, because=_because_few(job, complete, seen))


def _constant(job: Job, plain: BestLearningRate, seen: Observations, tolerance: float) -> BestLearningRate:
    """Every trial came to the same value."""
    value = job.spec.cost_sign * float(seen.costs[0]) + 0.0  # no minus before a zero
    everywhere = _rates(job, Interval(low=seen.low, high=seen.high))
    safe = SafeRange(tolerance=tolerance, low=everywhere.low, high=everywhere.high)
    same = Estimate(mean=value, low=value, high=value)
    return replace(
        plain,
        at_edge=None,
        interval=everywhere,
        interval_at_params=everywhere,
        safe_range=safe,
        safe_range_retuned=safe,
        expected=same,
        curve=tuple(CurvePart(learning_rate=rate, expected=same) for rate in (everywhere.low, everywhere.high)),
        verdict=AnswerVerdict.ANY_RATE,
        because=f"all {len(seen.costs)} trials came to a {plain.metric} of {value:.4g}, whatever their learning rate",
    )


def _because_few(job: Job, complete: Sequence[Trial], seen: Observations | None) -> str:
    if seen is None:
        return (
            "no trial that trained to its end has all the parameters that the job searches, a rate above zero, and a"
            f" {job.spec.metric} that is no larger than {LARGEST:g}"
        )
    n, rates = int(seen.complete.sum()), counted(seen.n_rates, "rate", "different rates")
    if n < FEWEST:
        told = f"only {counted(n, 'trial has', 'trials have')} trained to the end, at {rates}"
    else:
        told = f"the {n} trials that have trained to the end did so at {rates}"
    return f"{told}{seen.left_out(len(complete))}: with about {ENOUGH} trials at as many rates there is a range to be told"


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
        training_seeds=_seeds([found.evidence for _, found in answers]),
    )
    return job, replace(best, evidence=evidence)


def _seeds(evidence: Sequence[Evidence]) -> frozenset[int]:
    """Of several jobs; foreign trials that name none have different ones in each."""
    named = frozenset(seed for each in evidence for seed in each.training_seeds if seed >= 0)
    return named | frozenset(-1 - number for number in range(sum(seed < 0 for each in evidence for seed in each.training_seeds)))


def _place(job: Job, found: BestLearningRate) -> tuple[float, float]:
    """Best first; where all diverged, the one that went lowest."""
    cost = None if found.best_trial is None else cost_of(job, found.best_trial)
    return math.inf if cost is None else cost, found.look_below or 0.0


def _plain(job: Job, trials: Sequence[Trial]) -> tuple[BestLearningRate, Dimension, list[Trial]]:
    """The answer that the best trial is, the rate's range, and the trials that trained to their end."""
    meaning = job.spec.meaning
    dimension = meaning.value(Role.LEARNING_RATE, job.spec.search_space)
    if dimension is None:
        raise NoLearningRate
    trials = [trial for trial in trials if learning_rate(trial.params, meaning) is not None]
    costs = {trial.number: cost for trial in trials if (cost := cost_of(job, trial)) is not None}
    complete = [trial for trial in trials if trial.number in costs]
    usable = [trial for trial in complete if has_rate(trial.params, meaning)]
    if not usable:
        return _without_complete(job, trials, is_searched=isinstance(dimension, Range)), dimension, complete
    best = min(usable, key=lambda trial: (abs(costs[trial.number]) > LARGEST, costs[trial.number]))
    rate = learning_rate(best.params, meaning)
    assert rate is not None
    # Of a single rate nobody can say that others would be better.
    edge = _edge(dimension, rate) if len({learning_rate(trial.params, meaning) for trial in usable}) > 1 else None
    plain = BestLearningRate(
        learning_rate=rate,
        metric=job.spec.metric,
        evidence=_evidence(job, trials),
        verdict=AnswerVerdict.RANGE_TOO_NARROW if edge else AnswerVerdict.MORE_TRIALS,
        because=because_edge(edge) if edge else f"trial {best.number} has the best {job.spec.metric} of {len(complete)}",
        best_trial=best,
        params={axis.name: best.params[axis.name] for axis in axes(job.spec.search_space, meaning) if axis.name in best.params},
        at_edge=edge,
    )
    return plain, dimension, complete


def _fitted(
    job: Job, plain: BestLearningRate, seen: Observations, curve: ResponseCurve, tolerance: float | None, kind: Kind
) -> Fitted:
    optimum, sign = curve.optimum, job.spec.cost_sign
    if tolerance is None:
        tolerance = curve.tolerance(optimum.point)
    retuned = curve.profile
    line = curve.at_params(optimum.point) if seen.axes else retuned
    edge = curve.edge_at(optimum.point)
    interval, at_params = optimum.interval, curve.interval_on(line)
    safe = curve.safe_range(line, tolerance)
    safe_retuned = _holding(curve.safe_range(retuned, tolerance), safe)
    of_batch_sizes, scaling = by_batch_size(job, seen, curve, at_params)
    # The last that is drawn: asking for another curve changes nothing else.
    shown = {"params": line, "profile": retuned}[kind] if kind != "marginal" else curve.marginal
    return Fitted(
        answer=replace(
            plain,
            learning_rate=_exactly(job, 10**optimum.rate),
            params=_params(optimum, seen),
            at_edge=None,
            interval=_rates(job, interval),
            interval_at_params=_rates(job, at_params),
            safe_range=_safe(job, safe, tolerance),
            safe_range_retuned=_safe(job, safe_retuned, tolerance),
            expected=optimum.cost.times(sign),
            evidence=replace(plain.evidence, hopeless=seen.n_hopeless),
            divergence_edge=None if edge is None else Edge.of(edge),
            divergence_edges=tuple(divergence_edges(seen)),
            by_batch_size=of_batch_sizes,
            batch_scaling=scaling,
            curve=_curve(job, shown),
        ),
        optimum=optimum,
        tolerance=tolerance,
        at_edge=None if _spans_half(seen, safe_retuned) else curve.at_edge,
        is_flat=curve.is_flat(retuned, tolerance) and curve.is_flat(line, tolerance),
        is_cut=_is_cut(seen, interval) or _is_cut(seen, at_params),
        lost=float(curve.loses(optimum.point[None])[0]),
        per_coefficient=curve.surface.trials_per_coefficient,
    )


def _params(optimum: Optimum, seen: Observations) -> dict[str, Scalar]:
    """The other parameters answered: exactly a trial's where the answer is its point."""
    tried = np.column_stack([seen.rates, seen.others])[seen.complete]
    same = np.flatnonzero(np.abs(tried - optimum.point).max(axis=1) < SAME)
    if not len(same):
        return decode(optimum.point[1:], seen.axes)
    point = seen.trained_points[same[0]]
    return {axis.name: point[axis.name] for axis in seen.axes}


def _is_cut(seen: Observations, interval: Interval) -> bool:
    """Whether an interval ends where the range does."""
    margin = EDGE * (seen.high - seen.low) if seen.choices is None else SAME
    return interval.low <= seen.low + margin or interval.high >= seen.high - margin


def _spans_half(seen: Observations, safe: Interval | None) -> bool:
    """Whether so much of the range will do that no end of it cuts the best rate off."""
    return safe is not None and safe.high - safe.low >= (seen.high - seen.low) / 2


def _curve(job: Job, line: Line) -> tuple[CurvePart, ...]:
    """As far as most trials train through."""
    sign = job.spec.cost_sign
    parts: dict[float, CurvePart] = {}  # at the low end of a range of many steps several places are one step
    for rate, draws, lost in zip(line.rates, line.draws.T, line.lost, strict=True):
        if lost <= MOSTLY:
            exact = _exactly(job, 10**rate)
            parts.setdefault(exact, CurvePart(learning_rate=exact, expected=Estimate.at_median(draws).times(sign)))
    return tuple(parts.values())


def _holding(retuned: Interval | None, safe: Interval | None) -> Interval | None:
    """What is safe with the parameters as they are is so with them tuned again: lines are drawn each by itself, and differ."""
    if retuned is None or safe is None:
        return retuned or safe
    return retuned.holding(safe.low).holding(safe.high)


def _safe(job: Job, safe: Interval | None, tolerance: float) -> SafeRange | None:
    if safe is None:
        return None
    rates = _rates(job, safe)
    return SafeRange(tolerance=tolerance, low=rates.low, high=rates.high)


def _rates(job: Job, interval: Interval) -> Interval:
    """From log10 rates to rates."""
    return Interval(low=_exactly(job, 10**interval.low), high=_exactly(job, 10**interval.high))


def _exactly(job: Job, rate: float) -> float:
    """A choice, a step or an end of the range where `rate` is one but for rounding; of many steps the nearest.

    Between a few steps lies only what a foreign script has tried there.
    """
    match job.spec.meaning.value(Role.LEARNING_RATE, job.spec.search_space):
        case CategoricalRange() as dimension:
            known = [float(choice) for choice in dimension.choices if not isinstance(choice, str | bool)]
        case FloatRange() | IntRange() as dimension:
            known = [float(dimension.low), float(dimension.high)]
            if dimension.step is not None:
                count = discrete_values(dimension) or 1
                steps = min(max(round((rate - dimension.low) / dimension.step), 0), count - 1)
                nearest = float(f"{dimension.low + steps * dimension.step:.12g}")
                if count > MOST_CHOICES:
                    return nearest
                known.append(nearest)
        case _:
            known = []
    return next((each for each in known if math.isclose(each, rate, rel_tol=1e-9)), rate)


def _without_complete(job: Job, trials: Sequence[Trial], *, is_searched: bool) -> BestLearningRate:
    """No trial trained to its end: an answer only where all diverged."""
    evidence = _evidence(job, trials)
    if evidence.infeasible and evidence.infeasible == evidence.trials:
        rates = (learning_rate(trial.params, job.spec.meaning) for trial in trials)
        lowest = min(rate for rate in rates if rate is not None)
        tried = "every rate tried diverged, down to" if is_searched else "every trial diverged at the job's learning rate,"
        return BestLearningRate(
            learning_rate=None,
            metric=job.spec.metric,
            evidence=evidence,
            verdict=AnswerVerdict.ALL_DIVERGED,
            because=f"{tried} {lowest:.3g}: look below it",
            best_trial=None,
            look_below=lowest,
        )
    if trials:
        raise NothingFinished(
            f"{'The only trial' if len(trials) == 1 else f'None of the {len(trials)} trials'} that ended has"
            f"{' not' if len(trials) == 1 else ''} trained to its end with a finite {job.spec.metric}, at a rate above zero."
        )
    raise NothingFinished


def _evidence(job: Job, trials: Sequence[Trial]) -> Evidence:
    return Evidence(
        trials=len(trials),
        infeasible=sum(trial.state is TrialState.INFEASIBLE for trial in trials),
        pruned=sum(trial.state is TrialState.PRUNED for trial in trials),
        training_seeds=frozenset(map(seed_of, trials)),
    )


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
