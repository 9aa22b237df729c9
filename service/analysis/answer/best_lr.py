"""The answer to one question: which learning rate, how certain, and how far may one move? Pure functions of finished trials."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.analysis.answer.batch_scaling import BatchScaling
from service.analysis.answer.confirmation import at, view
from service.analysis.answer.groups import by_batch_size, divergence_edges, edge_in_rates
from service.analysis.answer.importance import Interaction, importance, interaction
from service.analysis.answer.rates import curve_in_rates, in_rates
from service.analysis.answer.tried import Tried, other_params, tried
from service.analysis.answer.verdict import Fitted, Judged, because_of, further_of, judge, judge_best, judge_few, judge_guessing
from service.analysis.model.candidates import SAME
from service.analysis.model.estimates import Interval
from service.analysis.model.exact_values import exactly, other_values
from service.analysis.model.observations import Observations, observe
from service.analysis.model.optimum import EDGE, Optimum
from service.analysis.model.points import no_better_than_guessing
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import FEWEST, FEWEST_RATES, MOSTLY, Kind, ResponseCurve
from service.analysis.model.retrained import Retrained, allowed, answerable, retrained
from service.analysis.one_thread import one_thread
from service.analysis.words import verdict as words
from service.domain.answer import Answer, AnswerVerdict, CurveView, ExpectedView, SafeRangeView
from service.domain.job import Job
from service.domain.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer, and what further questions about the same trials need."""

    answer: Answer
    because: str
    """The answer's reason, without a mention of the training seed."""
    batch_scaling: BatchScaling | None = None
    """How the best rate scales with the batch size; None where it is known for too few batch sizes."""
    interaction: Interaction | None = None
    """The metric over the rate and the parameter that matters most beside it; None where the rate alone is searched."""


def answer(
    job: Job, trials: Sequence[Trial], curves: Curves | None = None, *, tolerance: float | None = None, kind: Kind = "params"
) -> Answer:
    """The best learning rate, from a job's finished trials (complete, infeasible, pruned).

    curves: of the trials; without them pruned trials only count. tolerance: of the safe range, in the metric's units.
    Raises NoLearningRate when the job has no such parameter, NothingFinished while no trial is complete or infeasible.
    """
    return answered(job, trials, curves, tolerance=tolerance, kind=kind).answer


def answered(
    job: Job, trials: Sequence[Trial], curves: Curves | None = None, *, tolerance: float | None = None, kind: Kind = "params"
) -> Answered:
    """As `answer`, with what further questions need."""
    with one_thread():
        return _answered(tried(job, trials), trials, curves or {}, tolerance, kind)


def _answered(of: Tried, trials: Sequence[Trial], curves: Curves, tolerance: float | None, kind: Kind) -> Answered:
    if of.best is None:
        return without_curve(of, judge_best(of))
    seen = observe(of.job, trials, curves)
    if seen is None or seen.complete.sum() < FEWEST or seen.n_rates < FEWEST_RATES:
        return without_curve(of, judge_few(of, seen))
    if seen.is_constant:
        return _constant(of, seen, tolerance or 0.0)
    again = retrained(of.job, of.trials, seen.lost_numbers)
    return _with_curve(of, seen, again, ResponseCurve(seen, allowed(again, seen.axes)), tolerance, kind)


def without_curve(of: Tried, judged: Judged) -> Answered:
    """An answer with a rate only: that of the retrained point whose runs were best, else the best trial's."""
    answer = Answer(
        job=of.job.id,
        training_seed=of.seed,
        learning_rate=of.rate,
        params=of.params,
        interval=None,
        interval_at_params=None,
        safe_range=None,
        safe_range_retuned=None,
        expected=None,
        divergence_edge=None,
        divergence_edges=(),
        metric=of.job.spec.metric,
        at_edge=judged.at_edge,
        evidence=of.evidence(),
        best_trial=of.best_trial,
        confirmed=view(of, of.again, of.chosen),
        by_batch_size=(),
        curve=(),
        verdict=judged.verdict,
        because=because_of(of, judged),
        further_trials=further_of(of, judged),
    )
    return Answered(answer=answer, because=judged.because)


def _constant(of: Tried, seen: Observations, tolerance: float) -> Answered:
    """The answer where every trial has the same value."""
    value = of.job.spec.cost_sign * float(seen.costs[0]) + 0.0  # no negative zero
    everywhere = in_rates(of.job, Interval(low=seen.low, high=seen.high))
    if no_better_than_guessing(of.job, of.complete):
        judged = judge_guessing(of)
    else:
        because = words.all_the_same(len(seen.costs), of.job.spec.metric, value)
        judged = Judged(verdict=AnswerVerdict.ANY_RATE, because=because)
    safe = _safe(of.job, Interval(low=seen.low, high=seen.high), tolerance, judged)
    answer = Answer(
        job=of.job.id,
        training_seed=of.seed,
        learning_rate=of.rate,
        params=of.params,
        interval=everywhere,
        interval_at_params=everywhere,
        safe_range=safe,
        safe_range_retuned=safe,
        expected=ExpectedView(mean=value, low=value, high=value, runs=0 if of.chosen is None else len(of.chosen.costs)),
        divergence_edge=None,
        divergence_edges=(),
        metric=of.job.spec.metric,
        at_edge=None,
        evidence=of.evidence(),
        best_trial=of.best_trial,
        confirmed=view(of, of.again, of.chosen),
        by_batch_size=(),
        curve=tuple(
            CurveView(learning_rate=rate, mean=value, low=value, high=value) for rate in (everywhere.low, everywhere.high)
        ),
        verdict=judged.verdict,
        because=because_of(of, judged),
    )
    return Answered(answer=answer, because=judged.because)


def _with_curve(
    of: Tried,
    seen: Observations,
    again: Sequence[Retrained],
    curve: ResponseCurve,
    tolerance: float | None,
    kind: Kind,
) -> Answered:
    job, optimum = of.job, curve.optimum
    chosen = at(optimum.point, again, seen)
    if tolerance is None:
        tolerance = curve.tolerance(optimum.point)
    retuned = curve.profile
    line = curve.at_params(optimum.point) if seen.axes else retuned
    edge = curve.edge_at(optimum.point)
    interval, at_params = optimum.interval, curve.interval_on(line)
    safe = curve.safe_range(line, tolerance)
    safe_retuned = _holding(curve.safe_range(retuned, tolerance), safe)
    of_batch_sizes, scaling = by_batch_size(job, seen, curve, at_params)
    trained = line.rates[line.lost <= MOSTLY]
    important = importance(job, seen, curve, trained.tolist())
    # Drawn last, so that the kind of curve asked for changes nothing else.
    shown = {"params": line, "profile": retuned}[kind] if kind != "marginal" else curve.marginal
    fitted = Fitted(
        optimum=optimum,
        interval=in_rates(job, interval),
        tolerance=tolerance,
        at_edge=None if _spans_half(seen, safe_retuned) else curve.at_edge,
        is_flat=curve.is_flat(retuned, tolerance) and curve.is_flat(line, tolerance),
        is_cut=_is_cut(seen, interval) or _is_cut(seen, at_params),
        lost=float(curve.loses(optimum.point[None])[0]),
        chosen=chosen,
        retrained_in_vain=0 if answerable(again) else len(again),
        per_coefficient=curve.surface.trials_per_coefficient,
    )
    judged = judge(of, fitted, seen)
    answer = Answer(
        job=job.id,
        training_seed=of.seed,
        learning_rate=exactly(job, 10**optimum.rate) if chosen is None else chosen.rate,
        params=other_values(optimum.point, seen) if chosen is None else other_params(job, chosen.params),
        interval=fitted.interval,
        interval_at_params=in_rates(job, at_params),
        safe_range=_safe(job, safe, tolerance, judged),
        safe_range_retuned=_safe(job, safe_retuned, tolerance, judged),
        expected=_expected(optimum, job, chosen),
        divergence_edge=None if edge is None else edge_in_rates(edge),
        divergence_edges=divergence_edges(seen),
        metric=job.spec.metric,
        at_edge=judged.at_edge,
        evidence=of.evidence(complete_lost=seen.n_complete_lost),
        best_trial=of.best_trial,
        confirmed=view(of, again, chosen),
        by_batch_size=of_batch_sizes,
        curve=curve_in_rates(job, shown),
        verdict=judged.verdict,
        because=because_of(of, judged),
        importance=important,
        further_trials=further_of(of, judged),
    )
    return Answered(
        answer=answer,
        because=judged.because,
        batch_scaling=scaling,
        interaction=interaction(job, seen, curve, important),
    )


def _expected(optimum: Optimum, job: Job, chosen: Retrained | None) -> ExpectedView:
    """The metric at the answered point, and how often that was retrained."""
    cost = optimum.cost.times(job.spec.cost_sign)
    return ExpectedView(mean=cost.mean, low=cost.low, high=cost.high, runs=0 if chosen is None else len(chosen.costs))


def _is_cut(seen: Observations, interval: Interval) -> bool:
    """Whether an interval ends at an end of the range."""
    margin = EDGE * (seen.high - seen.low) if seen.choices is None else SAME
    return interval.low <= seen.low + margin or interval.high >= seen.high - margin


def _spans_half(seen: Observations, safe: Interval | None) -> bool:
    """Whether the safe range spans half of the range or more: then no end of the range cuts off the best rate."""
    return safe is not None and safe.high - safe.low >= (seen.high - seen.low) / 2


def _holding(retuned: Interval | None, safe: Interval | None) -> Interval | None:
    """What is safe with fixed parameters is safe with retuned ones. The two lines are drawn separately, so this is enforced."""
    if retuned is None or safe is None:
        return retuned or safe
    return retuned.holding(safe.low).holding(safe.high)


def _safe(job: Job, safe: Interval | None, tolerance: float, judged: Judged) -> SafeRangeView | None:
    """None where nothing learned: there is nothing that a rate could lose."""
    if safe is None or judged.verdict is AnswerVerdict.NOTHING_LEARNED:
        return None
    rates = in_rates(job, safe)
    return SafeRangeView(tolerance=tolerance, low=rates.low, high=rates.high)
