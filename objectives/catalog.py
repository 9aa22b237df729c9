"""The objectives that a job can name: the built-in ones, and those of the user's modules. No torch here.

Submitting and checking a job read this catalog only. A trainer process also calls `import_start`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from objectives.contract import Objective, Run
from objectives.declarations import Fault, fault_of_start, faults_of
from objectives.entries.few_shot_classification import FEW_SHOT_CLASSIFICATION
from objectives.entries.few_shot_regression import FEW_SHOT_REGRESSION
from objectives.entries.fine_tuning import FINE_TUNING
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.entries.long_range import LONG_RANGE
from objectives.entries.reinforcement_learning import REINFORCEMENT_LEARNING
from objectives.entries.sequence_to_sequence import SEQUENCE_TO_SEQUENCE
from objectives.entries.tabular_classification import TABULAR_CLASSIFICATION
from objectives.entries.tabular_regression import TABULAR_REGRESSION
from objectives.entries.text_classification import TEXT_CLASSIFICATION
from objectives.meaning import declared
from objectives.own_modules import CatalogProblem, import_own, objectives_in, place_of


class Start(Protocol):
    """The function of an objective's module that starts one run. Missing parameters and settings take their defaults."""

    def __call__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run: ...


BUILTIN = tuple(
    map(
        declared,
        (
            IMAGE_CLASSIFICATION,
            TABULAR_CLASSIFICATION,
            TABULAR_REGRESSION,
            TEXT_CLASSIFICATION,
            SEQUENCE_TO_SEQUENCE,
            LONG_RANGE,
            REINFORCEMENT_LEARNING,
            FINE_TUNING,
            FEW_SHOT_REGRESSION,
            FEW_SHOT_CLASSIFICATION,
        ),
    )
)


def load_catalog(modules: Sequence[str] = ()) -> dict[str, Objective]:
    """Return the built-in objectives and those in the `OBJECTIVES` of each named module, by name, completed by `declared`.

    Raises CatalogProblem when a module cannot be imported, imports torch, has no `OBJECTIVES`, repeats a name, or declares what
    cannot be used.
    """
    catalog = {objective.name: objective for objective in BUILTIN}
    for module_name in modules:
        add_own(catalog, module_name)
    return catalog


def add_own(catalog: dict[str, Objective], module_name: str, *, checked: bool = False) -> None:
    """Add the objectives of a module of the user's to the catalog: all of them, or none. Raises CatalogProblem.

    checked: another process has found no fault in what this version of the module declares.
    """
    module = import_own(module_name)
    added: dict[str, Objective] = {}
    for objective in objectives_in(module):
        problem = None if checked else next(faults_of(objective), None)
        if problem is None and objective.module == module_name and (text := fault_of_start(getattr(module, "start", None))):
            problem = Fault(objective.name, f"{objective.name} {text}")
        if problem is not None:
            raise CatalogProblem(f"{module_name}: {problem.text}{place_of(module, problem.name)}")
        if (other := added.get(objective.name) or catalog.get(objective.name)) is not None:
            of = "its own" if other in added.values() else f"the one of {other.module}"
            where = place_of(module, objective.name)
            raise CatalogProblem(f"{module_name} repeats the objective name {objective.name!r}, {of}: choose another{where}")
        added[objective.name] = declared(objective)
    catalog |= added


def import_start(objective: Objective) -> Start:
    """Import the objective's training code, which may import torch, and return its `start`. Raises CatalogProblem."""
    try:
        module = import_module(objective.module)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise CatalogProblem(f"{objective.module} cannot be imported: {type(error).__name__}: {error}") from error
    start: Start | None = getattr(module, "start", None)
    if not callable(start):
        raise CatalogProblem(f"{objective.module} has no function `start`, which {objective.name!r} needs")
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
