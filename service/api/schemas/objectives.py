"""Objectives, as the API returns them."""

from typing import Any

from service.api.schemas.view import View
from service.domain.meaning import RateShift, Role
from service.domain.space import Scalar


class MetricView(View):
    """A metric that a job may name."""

    name: str
    direction: str
    description: str


class BoundView(View):
    """A bound of a parameter that another parameter, or a setting, gives. A job must not combine values beyond it."""

    end: str
    """low or high."""
    given_by: str
    by_value: dict[str, float] | None
    """The bound for each value of it; one that is missing gives none. Null: the bound is its value."""
    counts: str
    """What the bound is a number of."""


class ParameterView(View):
    """A parameter that a job may fix or search."""

    name: str
    type: str
    default: Scalar
    description: str
    low: float | None
    """The smallest legal value; null: there is none."""
    low_open: bool
    """Whether low itself is illegal."""
    high: float | None
    """The largest legal value; null: there is none."""
    high_open: bool
    """Whether high itself is illegal."""
    bounds: list[BoundView]
    """Further bounds, which depend on other values of a job."""
    choices: list[bool | str] | None
    """The legal values of a categorical parameter."""
    applies_when: list[dict[str, list[Scalar]]]
    """When it applies: each entry maps parameters or settings to the values that they must have, all of them; one entry that
    holds is enough. Empty: always."""
    role: Role | None
    """Its role in training; null: none that the service uses."""
    scale: str
    """The scale on which equal distances count the same: linear, log, or decay, which is log(1 - value)."""
    rate_shift: RateShift | None
    """How the best learning rate depends on it, as known before any trial."""
    defines_measure: bool | list[str]
    """Whether jobs that differ in it are not comparable: true: by any metric; a list: by these metrics."""


class ObjectiveView(View):
    """What a job can train."""

    name: str
    description: str
    metrics: list[MetricView]
    """The first is the default."""
    parameters: list[ParameterView]
    search_space: dict[str, Any]
    """The default search space."""
    settings_schema: dict[str, Any]
    """JSON Schema of the settings."""
    step_word: str
    """What the objective calls a step: epoch, update, episode."""
    offered: bool
    """Whether a worker offers it now. A job for one that none offers waits."""
    sha256: str | None
    """Of the declaration and source that a worker announced last; null: it is built in, or none has announced it."""
