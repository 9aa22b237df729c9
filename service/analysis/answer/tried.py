"""What a job's finished trials show without a response curve."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.analysis.answer.rates import edge_of
from service.analysis.model.encoding import axes, has_rate, learning_rate
from service.analysis.model.points import LARGEST, cost_of, number_of_seeds, seed_of
from service.analysis.model.retrained import Retrained, best_by_runs, retrained
from service.analysis.words import verdict as words
from service.domain.answer import BestTrial, EvidenceView
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.space import Dimension, Point
from service.domain.training_seeds import only_seed
from service.domain.trial import Trial, TrialState
from service.errors import NoLearningRate, NothingFinished


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A job's finished trials."""

    job: Job
    dimension: Dimension
    """The range of rates."""
    trials: Sequence[Trial]
    """Those that have a rate."""
    complete: Sequence[Trial]
    """Those of them that trained to their end."""
    best: Trial | None
    """None where every one diverged."""
    again: Sequence[Retrained]
    """The points that were retrained."""
    chosen: Retrained | None
    """The one of them whose fresh runs were best; None where none trained to its end."""
    point: Point
    """The parameters that are answered without a curve: those of `chosen`, else of the best trial that was not retrained in vain;
    empty where every trial diverged."""
    rate: float | None
    """Its learning rate."""
    at_edge: str | None
    """The end of the range at which that point lies, if it lies at one."""
    training_seeds: frozenset[int]
    """Of the trials. A foreign trial without a stored seed has one of its own."""

    @property
    def lowest_rate(self) -> float:
        """The lowest rate of all trials."""
        rates = (learning_rate(trial.params, self.job.spec.meaning) for trial in self.trials)
        return min(rate for rate in rates if rate is not None)

    @property
    def params(self) -> Point:
        """The other parameters searched that are answered without a curve."""
        return other_params(self.job, self.point)

    @property
    def all_diverged_again(self) -> bool:
        """Whether points were retrained and no fresh run trained to its end."""
        return bool(self.again) and self.chosen is None

    @property
    def best_trial(self) -> BestTrial | None:
        """The best trial, as answers show it."""
        best = self.best
        return None if best is None else BestTrial(number=best.number, value=best.value, params=best.params)

    @property
    def seed(self) -> int | None:
        """The training seed that all trials share, if they share one."""
        return only_seed(self.job.spec, self.training_seeds)

    def evidence(self, complete_lost: int = 0) -> EvidenceView:
        """complete_lost: how many trials are complete and count as lost (model/exploded.py)."""
        return EvidenceView(
            trials=len(self.trials),
            infeasible=sum(trial.state is TrialState.INFEASIBLE for trial in self.trials),
            pruned=sum(trial.state is TrialState.PRUNED for trial in self.trials),
            hopeless=complete_lost,
            seeds=number_of_seeds(self.job, self.training_seeds),
        )


def tried(job: Job, trials: Sequence[Trial]) -> Tried:
    """Raises NoLearningRate when the job has no such parameter, NothingFinished while no trial is complete or infeasible."""
    meaning = job.spec.meaning
    dimension = meaning.value(Role.LEARNING_RATE, job.search_space)
    if dimension is None:
        raise NoLearningRate
    trials = [trial for trial in trials if learning_rate(trial.params, meaning) is not None and job.agrees(trial.params)]
    costs = {trial.number: cost for trial in trials if (cost := cost_of(job, trial)) is not None}
    complete = [trial for trial in trials if trial.number in costs]
    usable = [trial for trial in complete if has_rate(trial.params, meaning)]
    if not usable:
        _check_all_diverged(job, trials)
    best_first = sorted(usable, key=lambda trial: (abs(costs[trial.number]) > LARGEST, costs[trial.number]))
    again = retrained(job, trials)
    chosen = best_by_runs(again)
    point = chosen.params if chosen is not None else _not_in_vain(best_first, again)
    rate = chosen.rate if chosen is not None else learning_rate(point, meaning)
    # A single rate has no edge: nothing shows that others would be better.
    several = len({learning_rate(trial.params, meaning) for trial in usable}) > 1
    return Tried(
        job=job,
        dimension=dimension,
        trials=trials,
        complete=complete,
        best=best_first[0] if best_first else None,
        again=again,
        chosen=chosen,
        point=point,
        rate=rate,
        at_edge=edge_of(dimension, rate) if several and rate is not None else None,
        training_seeds=frozenset(map(seed_of, trials)),
    )


def other_params(job: Job, params: Point) -> Point:
    """The searched parameters other than the learning rate."""
    return {axis.name: params[axis.name] for axis in axes(job.search_space, job.spec.meaning) if axis.name in params}


def _not_in_vain(best_first: Sequence[Trial], again: Sequence[Retrained]) -> Point:
    """The parameters of the best trial whose point did not diverge when it was retrained; of the best one where all did."""
    good = (trial for trial in best_first if not any(each.params.items() <= trial.params.items() for each in again))
    trial = next(good, best_first[0] if best_first else None)
    return {} if trial is None else trial.params


def _check_all_diverged(job: Job, trials: Sequence[Trial]) -> None:
    """Raises NothingFinished unless there are trials and all of them diverged."""
    if not trials:
        raise NothingFinished
    if any(trial.state is not TrialState.INFEASIBLE for trial in trials):
        raise NothingFinished(words.none_trained(len(trials), job.spec.metric))
