"""The best answer among several jobs with the same metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.analysis.answer.best_lr import without_curve
from service.analysis.answer.tried import tried
from service.analysis.answer.verdict import judge_best
from service.analysis.model.points import cost_of
from service.domain.answer import Answer, EvidenceView
from service.domain.job import Job
from service.domain.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Brief:
    """A job's answer from its best trial, without a response curve. It holds no trials, since there may be many jobs."""

    job: Job
    answer: Answer
    place: tuple[float, float]
    """Sort key among several jobs: lower is better."""
    training_seeds: frozenset[int]
    """Negative: a stand-in for a foreign trial that has no stored seed."""


def in_brief(job: Job, trials: Sequence[Trial]) -> Brief:
    """The brief answer from a job's finished trials. Raises as `best_lr.answer` does."""
    of = tried(job, trials)
    cost = None if of.best is None else cost_of(job, of.best)
    # Where all trials diverged, the job that tried the lowest rate comes first.
    place = (math.inf, of.lowest_rate) if cost is None else (cost, 0.0)
    return Brief(job=job, answer=without_curve(of, judge_best(of)).answer, place=place, training_seeds=of.training_seeds)


def best_of(several: Sequence[Brief]) -> tuple[Job, Answer]:
    """The best job and its brief answer, with the evidence of all jobs. `hopeless` is 0: it would take a curve for each job."""
    best = min(several, key=lambda brief: brief.place)
    each = [brief.answer.evidence for brief in several]
    evidence = EvidenceView(
        trials=sum(one.trials for one in each),
        infeasible=sum(one.infeasible for one in each),
        pruned=sum(one.pruned for one in each),
        hopeless=0,
        seeds=_different_seeds(several),
    )
    return best.job, best.answer.resting_on(evidence)


def _different_seeds(several: Sequence[Brief]) -> int:
    """How many there are. Foreign trials without a stored seed count as having different ones."""
    named = {seed for brief in several for seed in brief.training_seeds if seed >= 0}
    return len(named) + sum(seed < 0 for brief in several for seed in brief.training_seeds)
