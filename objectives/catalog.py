"""The objectives that a job can name: the built-in ones, and those of the user's modules. No torch here.

Submitting and checking a job read this catalog only. A trainer process also calls `import_start`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, get_args

from objectives.contract import APPLIES_WHEN, ROLE, Conditions, Objective, Role, Run, Scale
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.entries.tabular_classification import TABULAR_CLASSIFICATION
from objectives.entries.tabular_regression import TABULAR_REGRESSION
from objectives.meaning import declared, measure_defining_settings


class CatalogProblem(ValueError):
    """A module of objectives cannot be used; the message names the module and says why."""


class Start(Protocol):
    """The function of an objective's module that starts one run. Missing parameters and settings take their defaults."""

    def __call__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run: ...


BUILTIN = tuple(map(declared, (IMAGE_CLASSIFICATION, TABULAR_CLASSIFICATION, TABULAR_REGRESSION)))


def load_catalog(modules: Sequence[str] = ()) -> dict[str, Objective]:
    """Return the built-in objectives and those in the `OBJECTIVES` of each named module, by name, completed by `declared`.

    Raises CatalogProblem when a module cannot be imported, has no `OBJECTIVES`, repeats a name, makes a parameter depend on one
    that does not exist, or declares a role, scale or metric that does not exist.
    """
    catalog = {objective.name: objective for objective in BUILTIN}
    for module_name in modules:
        for objective in _objectives_of(module_name):
            if objective.name in catalog:
                raise CatalogProblem(f"{module_name} repeats the objective name {objective.name!r}.")
            _check_conditions(module_name, objective)
            _check_meaning(f"{module_name}: {objective.name}", objective)
            catalog[objective.name] = declared(objective)
    return catalog


def import_start(objective: Objective) -> Start:
    """Import the objective's training code, which may import torch, and return its `start`. Raises CatalogProblem."""
    start: Start | None = getattr(_import(objective.module), "start", None)
    if not callable(start):
        raise CatalogProblem(f"{objective.module} has no function `start`, which {objective.name!r} needs.")
    return start


def default_params(objective: Objective) -> dict[str, bool | int | float | str]:
    """Return the default value of each parameter, by name."""
    return {parameter.name: parameter.default for parameter in objective.parameters}


def typed_params(objective: Objective, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with integers converted to float for float parameters: JSON does not distinguish 1e20 from an integer."""
    floats = {parameter.name for parameter in objective.parameters if parameter.type == "float"}
    whole = {name for name, value in params.items() if isinstance(value, int) and not isinstance(value, bool)}
    return {name: float(value) if name in floats & whole else value for name, value in params.items()}


def default_settings(objective: Objective) -> dict[str, Any]:
    """Return the default value of each setting, by name; settings without a default are left out."""
    properties = objective.settings_schema.get("properties", {})
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


def all_values(objective: Objective, params: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all parameters and settings, by name; missing ones take their defaults."""
    return {**default_settings(objective), **settings, **default_params(objective), **params}


def conditions(objective: Objective) -> dict[str, Conditions]:
    """Return the conditions under which each parameter and setting applies, by name; one without conditions always applies."""
    properties = objective.settings_schema.get("properties", {})
    of_settings = {name: schema[APPLIES_WHEN] for name, schema in properties.items() if APPLIES_WHEN in schema}
    return of_settings | {parameter.name: parameter.applies_when for parameter in objective.parameters}


def _objectives_of(module_name: str) -> tuple[Objective, ...]:
    objectives = getattr(_import(module_name), "OBJECTIVES", None)
    if not isinstance(objectives, tuple) or not all(isinstance(entry, Objective) for entry in objectives):
        raise CatalogProblem(f"{module_name} has no `OBJECTIVES`, a tuple of Objective.")
    return objectives


def _check_conditions(module_name: str, objective: Objective) -> None:
    known = default_params(objective).keys() | objective.settings_schema.get("properties", {}).keys()
    for what, cases in conditions(objective).items():
        for name, values in ((name, values) for case in cases for name, values in case.items()):
            where = f"{module_name}: {objective.name}'s {what} applies when {name!r} has certain values"
            if name not in known:
                raise CatalogProblem(f"{where}, but there is no such parameter or setting.")
            if not isinstance(values, tuple | list):
                raise CatalogProblem(f"{where}, which must be a tuple, not {values!r}.")


def _check_meaning(where: str, objective: Objective) -> None:
    roles = Counter(parameter.role for parameter in objective.parameters if parameter.role is not None)
    for role, count in roles.items():
        if role not in get_args(Role):
            raise CatalogProblem(f"{where} has a parameter of the role {role!r}; there are: {', '.join(get_args(Role))}.")
        if count > 1:
            raise CatalogProblem(f"{where} has {count} parameters of the role {role!r}: one may have it.")
    for scale in {parameter.scale for parameter in objective.parameters} - {None, *get_args(Scale)}:
        raise CatalogProblem(f"{where} has a parameter of the scale {scale!r}; there are: {', '.join(get_args(Scale))}.")
    for name in (each.name for each in objective.parameters if each.rate_shift and each.scale == "linear"):
        raise CatalogProblem(f"{where}'s {name} has a rate_shift, a power law, on a linear scale: make that log or decay.")
    _check_threads(where, objective)
    metrics = {metric.name for metric in objective.metrics}
    defining = {each.name: each.defines_measure for each in objective.parameters} | measure_defining_settings(objective)
    for name, measured in defining.items():
        if not isinstance(measured, bool) and (unknown := set(measured) - metrics):
            raise CatalogProblem(f"{where}'s {name} defines what {min(unknown)!r} measures, but there is no such metric.")


def _check_threads(where: str, objective: Objective) -> None:
    roles = {name: schema[ROLE] for name, schema in objective.settings_schema.get("properties", {}).items() if ROLE in schema}
    for name, role in roles.items():
        if role != "threads":
            raise CatalogProblem(f"{where}'s setting {name} has the role {role!r}; the one role of settings is threads.")
        if objective.settings_schema["properties"][name].get("type") != "integer":
            raise CatalogProblem(f"{where}'s setting {name} has the role threads: its type must be integer.")
    if len(roles) > 1:
        raise CatalogProblem(f"{where} has {len(roles)} settings with the role threads: one may have it.")


def _import(module_name: str) -> Any:
    try:
        return import_module(module_name)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise CatalogProblem(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
