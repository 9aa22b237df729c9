"""Finished trials at the points that a job's own search draws, with values by a formula: no database."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from service.domain.job import Job
from service.domain.training_seeds import training_seed
from service.domain.trial import Trial, TrialState
from service.search.next_trial import points_to_try_first, propose_next
from service.search.snapshot import EMPTY
from tests.finished_jobs import trial


def drawn(
    job: Job, value: Callable[[float, int], float], *, user_attrs: Callable[[], Mapping[str, Any]] | None = None
) -> list[Trial]:
    """The trials of a grid, or of a uniform random search.

    value: of the metric, by learning rate and training seed; not finite: diverged. user_attrs: of the trial whose value was asked
    for last.
    """
    spec, trials = job.spec, []
    enqueued = points_to_try_first(spec)
    for number in range(spec.budget.trials or 0):
        if number < len(enqueued):
            point, replicate = enqueued[number]
            grid_point = None
        else:
            own = propose_next(spec, EMPTY, number=number, next_point=number - len(enqueued))
            point, replicate, grid_point = own.point, own.replicate, own.grid_point
        seed = training_seed(spec, number=number, grid_point=grid_point, replicate=replicate)
        came_to = value(float(point["learning_rate"]), seed)
        state = TrialState.COMPLETE if math.isfinite(came_to) else TrialState.INFEASIBLE
        attributes = {"training_seed": seed} | dict(user_attrs() if user_attrs else {})
        trials.append(trial(number, point["learning_rate"], came_to, state, user_attrs=attributes))
    return trials
