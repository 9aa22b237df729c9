"""The objective that a job declares itself, checked like an entry of the catalog."""

from collections.abc import Iterator
from importlib.util import find_spec

from objectives.contract import Objective
from objectives.declarations import faults_of
from objectives.external import external_objective
from service.api.applicability import shown
from service.api.ranges import range_faults, value_faults
from service.domain.objective import DeclaredParameter, ExternalObjective
from service.domain.request import JobRequest
from service.errors import Invalid, InvalidJob, pointer
from service.search.strategies import strategy_of


def objective_of(declaration: ExternalObjective) -> Objective:
    """The objective that is declared. Raises InvalidJob."""
    faults = [
        *_undeclared(declaration),
        *(fault for index, each in enumerate(declaration.parameters) for fault in _parameter_faults(index, each)),
        *_steps_faults(declaration),
    ]
    if faults:
        raise InvalidJob(faults)
    objective = external_objective(declaration.model_dump(mode="json"))
    faults = list(_faults(declaration, objective))
    if faults:
        raise InvalidJob(faults)
    return objective


def client_faults(request: JobRequest) -> Iterator[Invalid]:
    """What a job asks for that this API cannot do in place of a worker: it samples for its clients, and cannot look into them."""
    if not isinstance(request.objective, ExternalObjective):
        return
    if strategy_of(request).needs_torch and find_spec("torch") is None:
        detail = "this sampler needs PyTorch where trials are claimed, which this API is installed without: choose tpe"
        yield Invalid("/strategy/sampler", detail)
    for limit in ("step_seconds", "memory_mb"):
        if getattr(request.limits, limit) is not None:
            detail = "holds for trials that workers train: clients end their own processes; trial_seconds holds for both"
            yield Invalid(pointer("limits", limit), detail)


def _undeclared(declaration: ExternalObjective) -> Iterator[Invalid]:
    """Names that are used for two things: what is measured, set or trained could not be told apart."""
    settings = declaration.settings.keys()
    for index, each in enumerate(declaration.parameters):
        if each.name in settings:
            yield Invalid(pointer("objective", "settings", each.name), f"{each.name} is a parameter, too: leave one of them out")
        if each.name in {other.name for other in declaration.parameters[:index]}:
            yield Invalid(pointer("objective", "parameters", index, "name"), f"there is a parameter {each.name!r} before")
    for index, metric in enumerate(declaration.metrics):
        if metric.name in {other.name for other in declaration.metrics[:index]}:
            yield Invalid(pointer("objective", "metrics", index, "name"), f"there is a metric {metric.name!r} before")


def _parameter_faults(index: int, parameter: DeclaredParameter) -> Iterator[Invalid]:
    where = pointer("objective", "parameters", index)
    if parameter.default is None and parameter.space is None:
        yield Invalid(where, f"{parameter.name} has neither a default nor a space: give one of them, or both")
    choices = parameter.choices or (getattr(parameter.space, "choices", None) if parameter.type == "categorical" else None)
    if parameter.type != "categorical" and parameter.choices is not None:
        yield Invalid(f"{where}/choices", "only a categorical parameter has choices: write them as the choices of its space")
    elif parameter.type == "categorical" and choices is None:
        yield Invalid(where, f"{parameter.name} is categorical, and has no choices")
    for choice in choices or ():
        if isinstance(choice, int | float) and not isinstance(choice, bool):
            told = (
                "the choices of a categorical parameter are texts, true or false: of numbers, the type is float or int, and the"
            )
            yield Invalid(where, f"{shown(choice)} is a number: {told} space is categorical")
            return


def _steps_faults(declaration: ExternalObjective) -> Iterator[Invalid]:
    steps = declaration.steps
    whole = [each.name for each in declaration.parameters if each.type == "int"]
    if isinstance(steps, str) and steps not in whole:
        known = ", ".join(whole) or "none"
        yield Invalid("/objective/steps", f"{steps!r} is not the name of a parameter of type int; there are: {known}")


def _faults(declaration: ExternalObjective, objective: Objective) -> Iterator[Invalid]:
    """What is wrong with the declaration as with any objective's: the first fault, and those of ranges and values."""
    places = {each.name: pointer("objective", "parameters", index) for index, each in enumerate(declaration.parameters)}
    places |= {each.name: pointer("objective", "metrics", index) for index, each in enumerate(declaration.metrics)}
    fault = next(faults_of(objective), None)
    if fault is not None:
        yield Invalid(places.get(str(fault.name), "/objective"), fault.text)
        return
    for parameter, declared in zip(objective.parameters, declaration.parameters, strict=True):
        for detail in () if declared.space is None else range_faults(parameter, declared.space):
            yield Invalid(f"{places[parameter.name]}/space", detail)
            break
        else:
            for detail in value_faults(parameter, parameter.default):
                yield Invalid(f"{places[parameter.name]}/default", detail)
