"""What the rules of advice see of a job."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from service.analysis.model.encoding import learning_rate
from service.analysis.model.points import LARGEST, cost_of, diagnosis_of, learned, no_better_than_guessing
from service.analysis.model.pruned_trials import Curves
from service.domain.answer import Answer
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.measurement import RunSummary
from service.domain.space import Dimension, Range
from service.domain.trial import GUESSING, Trial, TrialState

TOP_PART = 4
"""The best quarter of the trials that trained to their end."""
FEWEST_TOP = 3
MOST_TOP = 8
BETTER_THAN_GUESSING = 0.05
"""By how much the best trial must be better than guessing, as a part, to have learned something."""
FEW = 0.1
"""The part of the trials that may look as if they had learned where none has."""
ALIKE = 0.03
"""Where trials differ by less than this, as a part, no rate made any learn more than how frequent the classes are."""
WORST_PART = 0.8
FEW_HIGHEST = 3
"""Trials with the highest rates: where the two best are among them, higher rates promise more."""
STILL = 1e-3
"""Weights, or the metric, that changed by less than this part of themselves in a whole run did not move."""
USUAL = (1e-4, 0.1)
"""Between these lie the rates that usually train."""
MOST_OVERFITTED = 16


@dataclass(frozen=True)
class Seen:
    """A job with its finished trials, in the form in which the rules ask for them."""

    job: Job
    trials: Sequence[Trial]
    """Complete, infeasible and pruned."""
    curves: Curves
    """How the job's metric was measured, by trial number."""
    runs: Mapping[int, RunSummary]
    """What else was measured, by trial number; objectives measure as much as they like."""
    answer: Answer | None
    """None where there is none yet."""

    @cached_property
    def complete(self) -> list[Trial]:
        """The trials that trained to their end, the best first."""
        costs = {trial.number: cost for trial in self.trials if (cost := cost_of(self.job, trial)) is not None}
        complete = [trial for trial in self.trials if abs(costs.get(trial.number, math.inf)) <= LARGEST]
        return sorted(complete, key=lambda trial: costs[trial.number])

    @cached_property
    def top(self) -> list[Trial]:
        """The best of them: the trials that one would choose from."""
        return self.complete[: min(MOST_TOP, max(FEWEST_TOP, math.ceil(len(self.complete) / TOP_PART)))]

    @cached_property
    def pruned(self) -> list[Trial]:
        """The trials that the pruner ended."""
        return [trial for trial in self.trials if trial.state is TrialState.PRUNED and "stopped_by" not in trial.user_attrs]

    @cached_property
    def has_learned(self) -> bool:
        """Whether the loss of more than a few trials fell, by their diagnosis; or else, whether the best trial is clearly better
        than guessing, and the others are not all like it."""
        if not self.complete or self.barely_moved or no_better_than_guessing(self.job, self.complete):
            return False
        if sum(map(learned, self.complete)) > FEW * len(self.complete):
            return True
        spread = (self.worst_fifth - self.best_cost) / abs(self.best_cost) if self.best_cost else 0.0
        if self.guessed is None or spread < ALIKE:
            return False
        return (self.guessed - self.best_cost) / abs(self.guessed) >= BETTER_THAN_GUESSING

    @cached_property
    def highest(self) -> list[Trial]:
        """The complete trials with the highest rates, the highest first."""
        return sorted(self.complete, key=lambda trial: -(self.rate(trial) or 0.0))[:FEW_HIGHEST]

    @property
    def barely_moved(self) -> bool:
        """Whether all rates were far too low: below the usual ones, and the highest changed nothing. The weights stayed what they
        were or, where they were not measured, the metric did. Weights stay at high rates, too, where these kill every unit."""
        if any(trial.state is TrialState.INFEASIBLE or (self.rate(trial) or 0.0) >= USUAL[0] for trial in self.trials):
            return False
        return len(self.highest) == FEW_HIGHEST and all(map(self._stayed, self.highest))

    def _stayed(self, trial: Trial) -> bool:
        run, costs = self.runs.get(trial.number), self.costs_of(trial)
        if run is not None and run.updates and run.update_to_weight is not None:
            return run.updates * run.update_to_weight < STILL
        return len(costs) > 1 and max(costs) - min(costs) < STILL * max(map(abs, costs))

    @property
    def worst_fifth(self) -> float:
        """The cost that a fifth of the complete trials exceed."""
        return self.cost(self.complete[int(WORST_PART * (len(self.complete) - 1))])

    @cached_property
    def overfitted(self) -> list[Trial]:
        """The complete trials that overfitted by their diagnosis, the best first."""
        return diagnosed(self.complete, "overfitting")[:MOST_OVERFITTED]

    @cached_property
    def guessed(self) -> float | None:
        """The metric of a constant prediction, as a cost; None where the objective does not tell, and where it is 0."""
        for trial in self.complete:
            guesses = trial.user_attrs.get(GUESSING)
            value = guesses.get(self.job.spec.metric) if isinstance(guesses, dict) else None
            if isinstance(value, int | float) and math.isfinite(value) and value != 0:
                return self.job.spec.cost_sign * value
        return None

    @property
    def best_cost(self) -> float:
        """The metric of the best trial, as a cost: lower is better. There must be one."""
        return self.cost(self.complete[0])

    def cost(self, trial: Trial) -> float:
        """The metric of a trial that trained to its end, as a cost."""
        assert trial.value is not None
        return self.job.spec.cost_sign * trial.value

    def metric(self, cost: float) -> float:
        """The metric that a cost stands for."""
        return self.job.spec.cost_sign * cost

    def costs_of(self, trial: Trial) -> list[float]:
        """The metric at each step, as a cost; without steps where it was not finite."""
        values = (point.value for point in self.curves.get(trial.number, ()))
        return [self.job.spec.cost_sign * value for value in values if math.isfinite(value)]

    def rate(self, trial: Trial) -> float | None:
        """The trial's learning rate."""
        return learning_rate(trial.params, self.job.spec.meaning)

    def start(self, trial: Trial) -> float | None:
        """The cost that a trial began at: that of guessing, where it is known; None where nothing was measured."""
        costs = self.costs_of(trial)
        if not costs:
            return None
        return costs[0] if self.guessed is None else max(costs[0], self.guessed)

    def dimension(self, role: Role) -> Dimension | None:
        """What the job's search space has for a role: a range, a value, or None."""
        return self.job.spec.meaning.value(role, self.job.spec.search_space)

    def fixed(self, role: Role) -> float | None:
        """The number at which the job fixes the parameter of a role; None where it searches it, or has none."""
        dimension = self.dimension(role)
        if isinstance(dimension, Range | bool | str) or dimension is None:
            return None
        return dimension

    @property
    def most_diagnosed(self) -> int:
        """How many of the best trials must show something, so that it is the job's trouble: most of them, and two at least."""
        return max(2, len(self.top) // 2 + 1)


def diagnosed(trials: Sequence[Trial], *verdicts: str) -> list[Trial]:
    """The trials whose diagnosis has one of these verdicts."""
    return [trial for trial in trials if diagnosis_of(trial) & set(verdicts)]
