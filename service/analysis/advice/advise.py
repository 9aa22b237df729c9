"""Sums up what a job's trials show into a short list of what to do next. Pure functions of finished trials."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.analysis.advice import curves as of_curves
from service.analysis.advice import rates, spending
from service.analysis.advice.next_job import Found
from service.analysis.advice.seen import Seen
from service.analysis.model.pruned_trials import Curves
from service.analysis.words import advice as words
from service.domain.advice import Advice, AdviceView, Trouble
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.measurement import RunSummary
from service.domain.request import JobRequest
from service.domain.trial import Trial

Fitting = Callable[[JobRequest], dict[str, Any] | None]
"""The document of a request that the job's objective takes; None where it does not."""

RULES: Sequence[Callable[[Seen], Found | None]] = (
    rates.too_few_rates,
    spending.batch_too_large,
    rates.nothing_learns,
    of_curves.clipping_too_often,
    spending.pruned_too_early,
    of_curves.overfitting,
    rates.range_too_narrow,
    of_curves.unstable,
    spending.seeds_disagree,
    of_curves.train_longer,
)
"""What matters most comes first: what spoils every trial, then which rates are tried, then how each trial trains.

Early pruning comes before what the survivors show: they are those that were fast at first. Overfitting comes before the range: a
low rate is then best because it trains less, not because it trains better. Seeds that disagree come before longer training: the
best trials are then the lucky ones."""

EXPLAINS: Mapping[Trouble, frozenset[Trouble]] = {
    Trouble.NOTHING_LEARNS: frozenset(Trouble),
    Trouble.TOO_FEW_RATES: frozenset(
        {Trouble.NOTHING_LEARNS, Trouble.RANGE_TOO_NARROW, Trouble.TRAIN_LONGER, Trouble.SEEDS_DISAGREE}
    ),
    Trouble.CLIPPING_TOO_OFTEN: frozenset({Trouble.RANGE_TOO_NARROW, Trouble.TRAIN_LONGER, Trouble.SEEDS_DISAGREE}),
    Trouble.OVERFITTING: frozenset({Trouble.RANGE_TOO_NARROW, Trouble.UNSTABLE, Trouble.SEEDS_DISAGREE}),
    Trouble.RANGE_TOO_NARROW: frozenset(
        {Trouble.UNSTABLE, Trouble.BATCH_TOO_LARGE, Trouble.TRAIN_LONGER, Trouble.SEEDS_DISAGREE}
    ),
    Trouble.BATCH_TOO_LARGE: frozenset({Trouble.NOTHING_LEARNS, Trouble.TRAIN_LONGER}),
    Trouble.UNSTABLE: frozenset({Trouble.TRAIN_LONGER, Trouble.SEEDS_DISAGREE}),
    Trouble.SEEDS_DISAGREE: frozenset({Trouble.TRAIN_LONGER}),
}
"""Troubles that are not named beside another, since they may be no more than what follows from it."""


def looked_at(job: Job, trials: Sequence[Trial]) -> list[int]:
    """The numbers of the trials whose curves and runs the rules look at, beside pruned ones: the best, those with the highest
    rates, and the overfitted."""
    seen = Seen(job, trials, {}, {}, None)
    return sorted({trial.number for trial in (*seen.top, *seen.highest, *seen.overfitted)})


def advise(
    job: Job, trials: Sequence[Trial], curves: Curves, runs: Mapping[int, RunSummary], answer: Answer | None, fitting: Fitting
) -> AdviceView:
    """What to do after a job. trials: the finished ones; curves, runs: what was measured, by trial number, of `looked_at`."""
    if not trials:
        return AdviceView(job=job.id, items=(), because=words.nothing_finished(job.state, job.reason))
    seen = Seen(job, trials, curves, runs, answer)
    explained: set[Trouble] = set()
    items = []
    for rule in RULES:
        found = rule(seen)
        if found is None or found.code in explained:
            continue
        items.append(_advice(found, fitting))
        explained |= EXPLAINS.get(found.code, frozenset())
    because = words.rests_on(len(trials)) if items else words.nothing_stands_out(len(trials))
    return AdviceView(job=job.id, items=tuple(items), because=because)


def _advice(found: Found, fitting: Fitting) -> Advice:
    fitted = (fitting(job) for job in found.next_jobs)
    return Advice(
        code=found.code,
        advice=found.advice,
        evidence=found.evidence,
        trials=found.trials,
        numbers=dict(found.numbers),
        source=found.source,
        next_job=next((job for job in fitted if job is not None), None),
    )
