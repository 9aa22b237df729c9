"""What an answer says of the points that were retrained before one of them was answered."""

from collections.abc import Sequence

import numpy as np

from service.analysis.answer.tried import Tried, other_params
from service.analysis.model.candidates import SAME
from service.analysis.model.encoding import Array
from service.analysis.model.observations import Observations
from service.analysis.model.retrained import Retrained, answerable, coordinates
from service.domain.answer import CandidateView, ConfirmationView
from service.domain.trial import Trial

REPEATS = 2
"""How often a value must have been repeated."""
REPEATS_IF_COARSE = 4
"""The same where different points have the same value, too, as those of an accuracy on few examples do."""


def at(point: Array, among: Sequence[Retrained], seen: Observations) -> Retrained | None:
    """The retrained point at a point of the model, (1 + columns,); None where it is none that may be answered."""
    for each in answerable(among):
        place = coordinates(each, seen.axes)
        if place is not None and np.abs(place - point).max() < SAME:
            return each
    return None


def view(of: Tried, among: Sequence[Retrained], answered: Retrained | None) -> ConfirmationView | None:
    """What became of the retrained points; None where there are none. answered: the one that is answered."""
    if not among:
        return None
    best = {} if of.best is None else of.best.params
    return ConfirmationView(
        candidates=tuple(
            CandidateView(
                learning_rate=each.rate,
                params=other_params(of.job, each.params),
                runs=len(each.costs),
                diverged=each.diverged,
                value=None if each.cost is None else of.job.spec.cost_sign * each.cost,
                is_best_trial=all(best.get(name) == value for name, value in each.params.items()),
                is_answered=each is answered,
            )
            for each in sorted(among, key=lambda each: (each.cost is None, each.cost or 0.0))
        ),
        repeats_exactly=_repeats_exactly(of.complete, among),
    )


def _repeats_exactly(complete: Sequence[Trial], among: Sequence[Retrained]) -> bool:
    """Whether all runs of each retrained point, in the search too, had the same value; not if chance could have it so."""
    values = [[run.value for run in complete if run.params.items() >= each.params.items()] for each in among]
    points = {tuple(sorted(run.params.items())) for run in complete}
    is_coarse = len({run.value for run in complete}) < len(points)
    repeated = sum(len(of_point) - 1 for of_point in values if of_point)
    return repeated >= (REPEATS_IF_COARSE if is_coarse else REPEATS) and all(len(set(each)) <= 1 for each in values)
