"""Optuna's pruners, unchanged, for a view in which steps are parts of a schedule. Every resource is a number, never "auto"."""

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, PercentilePruner, SuccessiveHalvingPruner

from service.domain import strategy


def pruner(choice: strategy.Pruner) -> BasePruner:
    """Optuna's pruner for a job's choice."""
    match choice:
        case strategy.NoPruner():
            return NopPruner()
        case strategy.MedianPruner():
            return optuna.pruners.MedianPruner(n_startup_trials=choice.startup_trials)
        case strategy.PercentilePruner():
            return PercentilePruner(choice.percentile, n_startup_trials=choice.startup_trials)
        case strategy.SuccessiveHalving():
            return SuccessiveHalvingPruner(min_resource=choice.min_resource, reduction_factor=choice.reduction_factor)
        case strategy.Hyperband():
            return HyperbandPruner(
                min_resource=choice.min_resource, max_resource=choice.parts, reduction_factor=choice.reduction_factor
            )
