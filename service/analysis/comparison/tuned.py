"""A job judged at its own best learning rate, or at the one that it fixes; or the reason why it cannot be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from service.analysis.comparison.paired_seeds import BestPoint, best_point
from service.analysis.model.encoding import Array, finite, learning_rate
from service.analysis.model.estimates import Estimate
from service.analysis.model.observations import Observations, observe
from service.analysis.model.optimum import Optimum
from service.analysis.model.points import LARGEST, cost_of, learned, no_better_than_guessing, seed_of
from service.analysis.model.posterior import N_DRAWS
from service.analysis.model.pruned_trials import Curves
from service.analysis.model.response_curve import FEWEST, FEWEST_RATES, ResponseCurve
from service.analysis.words import comparison as words
from service.domain.answer import LEVEL, EstimateView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import Range
from service.domain.trial import Trial, TrialState

FEWEST_SEEDS = 3
"""Training seeds that a mean must have whose interval says something: that of two is twelve standard errors wide."""
Seconds = Mapping[int, Mapping[int, float]]
"""Seconds that each step took, by trial number and step."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A job and its finished trials."""

    job: Job
    trials: Sequence[Trial]
    curves: Curves
    seconds: Seconds = field(default_factory=dict)
    """Those that are stored."""


class Tuned:
    """A job whose best rate is known from its trials. Lower costs are better."""

    def __init__(self, finished: Finished, seen: Observations) -> None:
        """Fits the response curve."""
        self.finished = finished
        self.seen = seen
        self.curve = ResponseCurve(seen)
        self.optimum: Optimum = self.curve.optimum
        self.seed_noise = self.curve.surface.noise_at(self.optimum.point)
        """The standard deviation of one trial's cost at the best rate."""
        self.seeds = frozenset(seed_of(trial) for trial in finished.trials)
        """The training seeds of its trials."""
        self.best_point: BestPoint | None = best_point(finished.job, finished.trials)

    @property
    def job(self) -> Job:
        """The job."""
        return self.finished.job

    @property
    def rate(self) -> EstimateView:
        """The best learning rate."""
        interval = self.optimum.interval.of_rates()
        return EstimateView(mean=10**self.optimum.rate, low=interval.low, high=interval.high)

    @property
    def cost(self) -> Estimate:
        """The expected cost at that rate."""
        return self.optimum.cost

    @property
    def draws(self) -> Array:
        """Draws of it, (draws,)."""
        return self.optimum.draws

    @property
    def expected(self) -> EstimateView:
        """The metric at that rate."""
        return self.cost.times(self.job.spec.cost_sign)

    @property
    def unseen_seeds(self) -> float:
        """The variance that the luck of its seeds adds to the cost, in parts of one seed's; 0 where the draws have it."""
        return 1 / len(self.seeds) if len(self.seeds) < len(self.finished.trials) else 0.0

    @cached_property
    def at_edge(self) -> str | None:
        """The end of the range searched, low or high, at which the best rate most likely lies; None: at neither."""
        return self.curve.at_edge

    @cached_property
    def untrained_level(self) -> float:
        """The cost of an untrained network, estimated by the highest that any trial at or below the best rate measured.

        It stands for the loss at initialization, which is not measured; Wortsman et al. (2023) cap the cost of a bad rate
        there. Higher rates are left out, since they may do worse than an untrained network.
        """
        costs, sign, meaning = [self.optimum.cost.mean], self.job.spec.cost_sign, self.job.spec.meaning
        for trial in self.finished.trials:
            rate = learning_rate(trial.params, meaning)
            if trial.state is TrialState.INFEASIBLE or rate is None or not 0 < rate <= 10**self.optimum.rate * (1 + 1e-9):
                continue
            values = [trial.value, *(point.value for point in self.finished.curves.get(trial.number, ()))]
            costs += [sign * value for value in values if value is not None and abs(value) <= LARGEST]
        return max(costs)


class AtPoint:
    """A job that searches no range of learning rates, judged at its best point, by the mean over its training seeds.

    Its cost has Student's t interval (Student 1908).
    """

    at_edge = None
    unseen_seeds = 0.0

    def __init__(self, finished: Finished, point: BestPoint, rate: float | None) -> None:
        """point: trained with FEWEST_SEEDS or more. rate: that of the point, where it has one."""
        self.finished = finished
        self.best_point = point
        self.rate = None if rate is None else EstimateView(mean=rate, low=rate, high=rate)
        self.seeds = frozenset(seed_of(trial) for trial in finished.trials)
        """The training seeds of its trials."""
        costs = np.array(list(point.costs.values()))
        self.seed_noise = float(costs.std(ddof=1))
        """The standard deviation of one trial's cost."""
        mean, error, freedom = float(costs.mean()), self.seed_noise / math.sqrt(len(costs)), len(costs) - 1
        margin = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
        self.cost = Estimate(mean=mean, low=mean - margin, high=mean + margin)
        # Evenly spaced quantiles: of few degrees of freedom, the mean of random draws would be far off.
        self.draws: Array = mean + error * stdtrit(freedom, (np.arange(N_DRAWS) + 0.5) / N_DRAWS)

    @property
    def job(self) -> Job:
        """The job."""
        return self.finished.job

    @property
    def expected(self) -> EstimateView:
        """The metric at the point."""
        return self.cost.times(self.job.spec.cost_sign)


Judged = Tuned | AtPoint


def judge(finished: Finished) -> Judged | str:
    """The job at its best rate; or a sentence that says why it cannot be judged."""
    job, meaning = finished.job, finished.job.spec.meaning
    trials = [trial for trial in finished.trials if job.agrees(trial.params)]
    finished = replace(finished, trials=trials)
    dimension = meaning.value(Role.LEARNING_RATE, job.search_space)
    if not trials:
        return words.nothing_finished(job)
    infeasible = [trial for trial in trials if trial.state is TrialState.INFEASIBLE]
    diverged = [rate for trial in infeasible if (rate := learning_rate(trial.params, meaning))]
    if len(diverged) == len(trials):
        return words.all_diverged(min(diverged))
    complete = [trial for trial in trials if cost_of(job, trial) is not None]
    if complete and (not any(map(learned, complete)) or no_better_than_guessing(job, complete)):
        return words.nothing_learned()
    if not isinstance(dimension, Range):
        return _at_point(finished, finite(dimension))
    seen = observe(job, trials, finished.curves)
    if seen is None:
        return words.few_trials(0, job.spec.metric, "", fewest=FEWEST)
    if (n := int(seen.complete.sum())) < FEWEST:
        return words.few_trials(n, job.spec.metric, seen.left_out(len(complete)), fewest=FEWEST)
    if seen.n_rates < FEWEST_RATES:
        return words.few_rates(seen.n_rates, fewest=FEWEST_RATES)
    return Tuned(finished, seen)


def _at_point(finished: Finished, fixed: float | None) -> AtPoint | str:
    """fixed: the learning rate of all trials; None: there is none, or one of a few."""
    point = best_point(finished.job, finished.trials)
    n = 0 if point is None else len(point.costs)
    if point is None or n < FEWEST_SEEDS:
        return words.few_seeds(n, fewest=FEWEST_SEEDS)
    return AtPoint(finished, point, learning_rate(point.params, finished.job.spec.meaning) if fixed is None else fixed)
