"""Objectives, as the API tells of them."""

from typing import Any

from service.api.schemas.view import View
from service.domain.meaning import RateShift, Role
from service.domain.space import Scalar


class MetricView(View):
    """A metric that a job may name."""

    name: str
    direction: str
    description: str


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
    choices: list[bool | str] | None
    """The legal values of a categorical parameter."""
    applies_when: list[dict[str, list[Scalar]]]
    """Where it means anything: each entry names parameters or settings, and the values that all of them must have; one entry is
    enough. Empty: always."""
    role: Role | None
    """What it is to training; null: nothing that the service asks for."""
    scale: str
    """On which it counts, wherever it is searched: linear, log, or decay, which is log(1 - value)."""
    rate_shift: RateShift | None
    """How the best learning rate goes with it, as known before any trial."""
    defines_measure: bool | list[str]
    """Whether jobs that differ in it are not compared: by any metric, or by those named."""


class ObjectiveView(View):
    """What a job can train."""

    name: str
    description: str
    metrics: list[MetricView]
    """The first is the default."""
    parameters: list[ParameterView]
    search_space: dict[str, Any]
    """The default one."""
    settings_schema: dict[str, Any]
    """JSON Schema of the settings."""
    step_word: str
    """What a step is called: epoch, update, episode."""
