"""Fills in what an objective did not declare about its parameters and settings: from their roles, or from the usual names.

The only place that knows the usual names of parameters. No torch here.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from objectives.contract import DEFINES_MEASURE, ROLE, Objective, Parameter, RateShift, Role, Scale

SCALES: Mapping[Role | None, Scale] = {"learning_rate": "log", "batch_size": "log", "momentum": "decay"}
RATE_SHIFTS: Mapping[Role | None, RateShift] = {
    # The effective learning rate is learning_rate / (1 - momentum): Yuan et al. 2016, https://arxiv.org/abs/1603.04245.
    "momentum": RateShift(power=-1.0, sd=0.2),
    # Between square-root scaling (0.5) and linear scaling (1): McCandlish et al. 2018, https://arxiv.org/abs/1812.06162.
    "batch_size": RateShift(power=0.75, sd=0.35),
}

_USUAL_ROLES: Mapping[str, Role] = {
    "learning_rate": "learning_rate",
    "batch_size": "batch_size",
    "epochs": "duration",
    "momentum": "momentum",
    "optimizer": "optimizer",
    "weight_decay": "weight_decay",
    "dropout": "dropout",
    "schedule": "schedule",
    "warmup_fraction": "warmup",
    "normalization": "normalization",
    "clip_norm": "clip_norm",
}
_USUAL_DECAYS = ("beta1", "beta2", "alpha")
_USUAL_MEASURES: Mapping[str, tuple[str, ...]] = {
    "loss": ("validation_loss", "training_loss"),
    "huber_delta": ("validation_loss", "training_loss"),
    "label_smoothing": ("training_loss",),
}
USUAL_DATA = ("dataset", "path", "fold", "target", "image_size")
"""Settings that say which data a run uses."""
_USUAL_THREADS = "threads"


def declared(objective: Objective) -> Objective:
    """The objective with scales and rate shifts filled in. If it declares nothing, roles follow from the usual names first."""
    if not _declares(objective):
        objective = replace(
            objective,
            parameters=tuple(map(by_usual_name, objective.parameters)),
            settings_schema=_settings_by_name(objective.settings_schema),
        )
    return replace(objective, parameters=tuple(map(_by_role, objective.parameters)))


def threads_of(objective: Objective, settings: Mapping[str, Any]) -> int:
    """The number of CPU threads of a run: one, unless a setting with the role "threads" has another value."""
    name = threads_setting(declared(objective))
    return 1 if name is None else int(settings.get(name, 1))


def threads_setting(objective: Objective) -> str | None:
    """The name of the setting with the role "threads", or None."""
    return next((name for name, schema in _settings(objective).items() if schema.get(ROLE) == "threads"), None)


def measure_defining_settings(objective: Objective) -> dict[str, bool | tuple[str, ...]]:
    """The settings that define the measure, by name; values as in `Parameter.defines_measure`."""
    affected = {name: schema.get(DEFINES_MEASURE, False) for name, schema in _settings(objective).items()}
    return {name: metrics if isinstance(metrics, bool) else tuple(metrics) for name, metrics in affected.items() if metrics}


def _declares(objective: Objective) -> bool:
    return any(each.role or each.scale or each.rate_shift or each.defines_measure for each in objective.parameters) or any(
        DEFINES_MEASURE in schema or ROLE in schema for schema in _settings(objective).values()
    )


def _by_role(parameter: Parameter) -> Parameter:
    # A rate shift is a power of the parameter, which a linear scale does not show.
    scale = parameter.scale or SCALES.get(parameter.role) or ("log" if parameter.rate_shift else "linear")
    usual_shift = RATE_SHIFTS.get(parameter.role) if scale == SCALES.get(parameter.role) else None
    return replace(parameter, scale=scale, rate_shift=parameter.rate_shift or usual_shift)


def by_usual_name(parameter: Parameter) -> Parameter:
    """The parameter with what its name means, if it is a usual one."""
    return replace(
        parameter,
        role=_USUAL_ROLES.get(parameter.name),
        scale="decay" if parameter.name in _USUAL_DECAYS else None,
        defines_measure=_USUAL_MEASURES.get(parameter.name, False),
    )


def _settings_by_name(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = {name: dict(of_setting) for name, of_setting in schema.get("properties", {}).items()}
    for name in properties.keys() & set(USUAL_DATA):
        properties[name][DEFINES_MEASURE] = True
    if _USUAL_THREADS in properties:
        properties[_USUAL_THREADS][ROLE] = "threads"
    return {**schema, "properties": properties} if "properties" in schema else schema


def _settings(objective: Objective) -> Mapping[str, Mapping[str, Any]]:
    properties: Mapping[str, Mapping[str, Any]] = objective.settings_schema.get("properties", {})
    return properties
