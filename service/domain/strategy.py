"""How a job chooses its points (strategy) and which trials it ends early (pruner)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_PARTS = "The number of equal parts into which each trial's own schedule is divided."
_STARTUP_TRIALS = "No trial is pruned before this many trials are complete."


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Grid(_Choice):
    """Every point once, in an order drawn from the job's seed."""

    type: Literal["grid"] = "grid"


class Random(_Choice):
    """Points drawn independently (uniform) or spread evenly (qmc: a scrambled Sobol sequence)."""

    type: Literal["random"] = "random"
    sampler: Literal["uniform", "qmc"] = "uniform"


class Bayesian(_Choice):
    """Points chosen from the results of earlier trials: tree-structured Parzen estimators (tpe) or a Gaussian process (gp)."""

    type: Literal["bayesian"] = "bayesian"
    sampler: Literal["tpe", "gp"] = "tpe"


class Confirm(_Choice):
    """Points that the search has found are trained again, in turn, each time with another training seed.

    Not to be requested: it is the strategy of the phase that `budget.confirm` asks for.
    """

    type: Literal["confirm"] = "confirm"
    candidates: list[dict[str, bool | int | float | str]] = Field(
        default_factory=list, description="The points, each with all parameters searched; chosen when the phase begins."
    )


class NoPruner(_Choice):
    """No pruning: every trial runs to the end."""

    type: Literal["none"] = "none"


class MedianPruner(_Choice):
    """End a trial whose best value so far is worse than the median of earlier trials at the same part of their schedule."""

    type: Literal["median"] = "median"
    parts: int = Field(4, ge=2, le=100, description=_PARTS)
    startup_trials: int = Field(5, ge=0, le=10_000, description=_STARTUP_TRIALS)


class PercentilePruner(_Choice):
    """As median, but keep the best `percentile` percent of trials."""

    type: Literal["percentile"] = "percentile"
    percentile: float = Field(50.0, gt=0, lt=100)
    parts: int = Field(4, ge=2, le=100, description=_PARTS)
    startup_trials: int = Field(5, ge=0, le=10_000, description=_STARTUP_TRIALS)


class _Rungs(_Choice):
    parts: int = Field(4, ge=2, le=100, description=_PARTS)
    min_resource: int = Field(1, ge=1, le=100, description="The first rung, in parts.")
    reduction_factor: int = Field(2, ge=2, le=16)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_resource >= self.parts:
            raise ValueError(f"min_resource ({self.min_resource}) must be less than parts ({self.parts}): the end is not a rung")
        return self


class SuccessiveHalving(_Rungs):
    """Keep the best 1/`reduction_factor` of trials at each rung; by default at 1/4 and 1/2 of a trial's schedule."""

    type: Literal["successive_halving"] = "successive_halving"


class Hyperband(_Rungs):
    """Successive halving in several brackets, which differ in their first rung."""

    type: Literal["hyperband"] = "hyperband"


def _named(value: Any) -> Any:
    """`"grid"` is short for `{"type": "grid"}`."""
    return {"type": value} if isinstance(value, str) else value


Strategies = Grid | Random | Bayesian
PhaseStrategies = Strategies | Confirm
"""What a phase may have as its strategy: what a job can request, and what follows from its budget."""
Pruners = NoPruner | MedianPruner | PercentilePruner | SuccessiveHalving | Hyperband
_StrategyName = Literal["grid", "random", "bayesian"]
_PrunerName = Literal["none", "median", "percentile", "successive_halving", "hyperband"]

Strategy = Annotated[
    Strategies,
    BeforeValidator(_named, json_schema_input_type=_StrategyName | Strategies),
    Field(discriminator="type"),
]
Pruner = Annotated[
    Pruners,
    BeforeValidator(_named, json_schema_input_type=_PrunerName | Pruners),
    Field(discriminator="type"),
]
PhaseStrategy = Annotated[PhaseStrategies, Field(discriminator="type")]
