"""Trials of earlier phases as a later phase sees them: under its own search space."""

import copy

from optuna.trial import FrozenTrial, TrialState

from service.domain.phase import CONFIRMS, Phase
from service.domain.space import contains, fixed, searched
from service.search.sampling import distributions
from service.search.strategies.random import POINT


class PhaseView:
    """A job's trials as one of its phases sees them.

    Optuna searches jointly only those parameters that have the same distribution in all trials, so a trial that kept the range of
    an earlier phase would remove that parameter from the joint search. Trials that lie outside of the phase's space are left out,
    since tpe and gp assume that every value lies in its range. The first phase sees all trials unchanged, as stock Optuna does,
    but no phase sees those that confirm: they were not chosen by the search, and the same point several times would bias it.
    """

    def __init__(self, phase: Phase) -> None:
        self._position = phase.position
        self._ranges = searched(phase.spec.search_space)
        self._fixed = fixed(phase.spec.search_space)
        self._distributions = distributions(phase.spec)

    def see(self, trial: FrozenTrial, of: Phase) -> FrozenTrial | None:
        """A trial of the phase `of` as this phase sees it; None where it is left out."""
        if CONFIRMS in trial.system_attrs:
            return None
        if self._position == 0 or trial.state is TrialState.WAITING:
            return trial
        if self._position == of.position:
            return _renumbered(trial, of)
        values = fixed(of.spec.search_space) | trial.params
        if any(values.get(name, value) != value for name, value in self._fixed.items()):
            return None
        if not all(name in values and contains(dimension, values[name]) for name, dimension in self._ranges.items()):
            return None
        seen = _renumbered(trial, of)
        seen.params = {name: values[name] for name in self._ranges}
        seen.distributions = self._distributions
        # The point index is that of its own phase, and is not valid here.
        seen.system_attrs = {key: value for key, value in trial.system_attrs.items() if key != POINT}
        return seen


def _renumbered(trial: FrozenTrial, of: Phase) -> FrozenTrial:
    """A copy with a number that does not count confirming trials: Hyperband chooses a trial's bracket by its number."""
    seen = copy.copy(trial)
    seen.number = trial.number - of.confirming
    return seen
