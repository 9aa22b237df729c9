"""Completes the budget of a submitted job: how many trials there are, and how many of them confirm."""

from collections.abc import Iterator

from service.domain.budget import confirming_trials
from service.domain.meaning import Meaning, Role
from service.domain.request import DEFAULT_TRIALS, Budget, JobRequest
from service.domain.space import Range, SearchSpace
from service.errors import Invalid, InvalidJob
from service.search.strategies import strategy_of

CONFIRM = "/budget/confirm"


def completed_budget(request: JobRequest, space: SearchSpace, meaning: Meaning) -> Budget:
    """The request's budget with its defaults. `confirm` stays None where only time limits the trials that confirm.

    space: the search space, with defaults filled in. meaning: of its parameters. Raises InvalidJob.
    """
    budget = request.budget or Budget(trials=None if strategy_of(request).n_points(space) else DEFAULT_TRIALS)
    faults = list(_confirm_faults(request, budget, space, meaning))
    if faults:
        raise InvalidJob(faults)
    n_points, confirm = strategy_of(request).n_points(space), budget.confirm
    if n_points is not None:
        n_trials = n_points * request.replicates + (confirm or 0)
        budget = budget.model_copy(update={"trials": min(budget.trials or n_trials, n_trials), "confirm": confirm or 0})
    elif confirm is None and not (_may_confirm(request, space, meaning) and budget.trials is None and budget.seconds is not None):
        trials = budget.trials if _may_confirm(request, space, meaning) else None
        budget = budget.model_copy(update={"confirm": confirming_trials(trials or 0)})
    faults = list(_size_faults(request, budget))
    if faults:
        raise InvalidJob(faults)
    return budget


def points_to_try_first(request: JobRequest) -> str:
    """How many points the request tries first, in words."""
    seeds = f" with {request.replicates} seeds each" if request.replicates > 1 else ""
    return f"{len(request.try_first)} points{seeds}"


def _may_confirm(request: JobRequest, space: SearchSpace, meaning: Meaning) -> bool:
    """Whether trials confirm without being asked for."""
    is_searched = isinstance(meaning.value(Role.LEARNING_RATE, space), Range)
    return is_searched and request.training_seed == "per_trial" and request.replicates == 1


def _confirm_faults(request: JobRequest, budget: Budget, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
    if not budget.confirm:
        return
    if request.training_seed == "shared":
        yield Invalid(
            CONFIRM, "points are confirmed with fresh seeds, but the trials share one: leave out confirm or training_seed"
        )
    if request.replicates > 1:
        yield Invalid(CONFIRM, "replicates train points with several seeds already: leave out confirm or replicates")
    if not isinstance(meaning.value(Role.LEARNING_RATE, space), Range):
        yield Invalid(CONFIRM, "the job searches no learning rate whose best value could be confirmed: leave out confirm")
    is_limited = strategy_of(request).n_points(space) is not None or budget.trials is not None or budget.seconds is not None
    if not is_limited:
        yield Invalid(CONFIRM, "a job that only a target ends has no last trials: give trials or seconds, or leave out confirm")


def _size_faults(request: JobRequest, budget: Budget) -> Iterator[Invalid]:
    if budget.trials is None:
        return
    confirm = budget.confirm or 0
    search = budget.trials - confirm
    if search < 1:
        detail = f"{confirm} trials that confirm leave none of the budget of {budget.trials} for the search"
        yield Invalid(CONFIRM, f"{detail}: take at most {budget.trials - 1}, or more trials")
    elif len(request.try_first) * request.replicates > search:
        beside = f", of which {confirm} confirm" if confirm else ""
        yield Invalid("/try_first", f"{points_to_try_first(request)} are more than the budget of {budget.trials} trials{beside}")
