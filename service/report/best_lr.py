"""The answer to one question: which learning rate? Pure functions over finished trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from service.domain.job import Job
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange
from service.domain.trial import Trial, TrialState
from service.errors import NoLearningRate, NothingFinished

LEARNING_RATE = "learning_rate"

EDGE = 0.05
"""A best rate in the outermost twentieth of the range, measured as it was searched, lies at its edge (tuning playbook)."""


class Verdict(StrEnum):
    """What is to be thought of an answer."""

    ALL_DIVERGED = "all diverged"
    RANGE_TOO_NARROW = "search range too narrow"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """How many trials an answer rests on."""

    trials: int
    infeasible: int
    pruned: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class BestLearningRate:
    """An answer, and what it rests on."""

    learning_rate: float | None
    """None when every rate tried diverged."""
    metric: str
    at_edge: str | None
    evidence: Evidence
    best_trial: Trial | None
    verdict: Verdict | None
    """None while nothing is wrong: how sure the answer is, is not known yet."""
    because: str


def answer(job: Job, trials: Sequence[Trial]) -> BestLearningRate:
    """The best learning rate among a job's finished trials (complete, infeasible, pruned).

    Raises NoLearningRate when the job has no such parameter, NothingFinished while no trial is complete or infeasible.
    """
    dimension = (job.spec.search_space or {}).get(LEARNING_RATE)
    if dimension is None:
        raise NoLearningRate
    trials = [trial for trial in trials if _learning_rate(trial) is not None]
    evidence = Evidence(
        trials=len(trials),
        infeasible=sum(trial.state is TrialState.INFEASIBLE for trial in trials),
        pruned=sum(trial.state is TrialState.PRUNED for trial in trials),
        seeds=1,
    )
    assert job.spec.metric is not None
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and math.isfinite(_value(trial))]
    if complete:
        best = min(complete, key=lambda trial: _cost(job, trial))
        rate = _learning_rate(best)
        assert rate is not None
        edge = _edge(dimension, rate)
        return BestLearningRate(
            learning_rate=rate,
            metric=job.spec.metric,
            at_edge=edge,
            evidence=evidence,
            best_trial=best,
            verdict=Verdict.RANGE_TOO_NARROW if edge else None,
            because=_because_edge(edge) if edge else f"trial {best.number} has the best {job.spec.metric} of {len(complete)}",
        )
    if evidence.infeasible and evidence.infeasible == evidence.trials:
        lowest = min(rate for trial in trials if (rate := _learning_rate(trial)) is not None)
        return BestLearningRate(
            learning_rate=None,
            metric=job.spec.metric,
            at_edge=None,
            evidence=evidence,
            best_trial=None,
            verdict=Verdict.ALL_DIVERGED,
            because=f"every rate tried diverged, down to {lowest:.3g}: look below it",
        )
    if trials:
        raise NothingFinished(
            f"None of the {len(trials)} trials that ended has trained to its end with a finite {job.spec.metric}."
        )
    raise NothingFinished


def best_of(answers: Sequence[tuple[Job, BestLearningRate]]) -> tuple[Job, BestLearningRate]:
    """The best of several jobs' answers by the same metric, with the evidence of all of them."""
    job, best = min(answers, key=lambda pair: math.inf if pair[1].best_trial is None else _cost(pair[0], pair[1].best_trial))
    evidence = Evidence(
        trials=sum(found.evidence.trials for _, found in answers),
        infeasible=sum(found.evidence.infeasible for _, found in answers),
        pruned=sum(found.evidence.pruned for _, found in answers),
        seeds=len({(job.spec.seed) for job, _ in answers}),
    )
    return job, replace(best, evidence=evidence)


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
            if dimension.log:
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


def _learning_rate(trial: Trial) -> float | None:
    """None where a foreign script gave none, or something else under that name."""
    rate = trial.params.get(LEARNING_RATE)
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) and math.isfinite(rate) else None


def _value(trial: Trial) -> float:
    return math.nan if trial.value is None else trial.value


def _cost(job: Job, trial: Trial) -> float:
    return _value(trial) if job.direction == "minimize" else -_value(trial)
