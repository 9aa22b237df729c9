"""Trials that were trained elsewhere, as a user imports them."""

from typing import Any, Literal

from pydantic import Field

from service.domain.measurement import MAX_STEP
from service.domain.number import Reported
from service.domain.objective import Document, Name, Text
from service.domain.request import JobRequest
from service.domain.space import Value

MAX_IMPORTED = 20_000
"""The largest number of trials of one import: they are stored in one transaction."""
MAX_ATTRIBUTES = 100


class ImportedStep(Document):
    """What was measured at one step."""

    step: int = Field(ge=1, le=MAX_STEP)
    metrics: dict[Name, Reported] = Field(min_length=1, max_length=100)
    fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Of the run's own schedule. If omitted: of the steps that the objective declares, else of the run's.",
    )
    in_warmup: bool = False
    learning_rate: float | None = Field(None, gt=0, allow_inf_nan=False, description="The applied one; null: not known.")
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False, description="Of the step; null: not known.")


class ImportedTrial(Document):
    """One run: its parameters, what was measured, and how it ended."""

    params: dict[Name, Value]
    measurements: list[ImportedStep] = Field(default_factory=list, description="In the order of their steps.")
    value: Reported | None = Field(None, description="The trial's value; null: the metric's last one.")
    outcome: Literal["completed", "diverged", "pruned", "failed"] = Field(
        "completed", description="A completed trial whose value is not finite has diverged."
    )
    reason: Text | None = Field(None, description="Why it diverged, was pruned or failed.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="Its training seed; null: not known.")
    attributes: dict[Name, Any] = Field(
        default_factory=dict, max_length=MAX_ATTRIBUTES, description="Further user attributes, of any JSON."
    )


class ImportRequest(Document):
    """Trials that were trained elsewhere, and the job that they are to be trials of."""

    source: Name = Field(description="From where they are: the name of a file, a study, a project.")
    job: JobRequest = Field(
        description="As in `POST /v1/jobs`, without a budget and points to try first: the budget is the number of trials."
        " Strategy and pruner are for trials that the job is extended by. Training_seed `shared` with a `seed` says that all of"
        " them have this one."
    )
    trials: list[ImportedTrial] = Field(min_length=1, max_length=MAX_IMPORTED)
