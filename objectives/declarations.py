"""What is wrong with the declaration of an objective, for people: types, names, roles and conditions. No torch here.

Ranges and default values are checked by whoever knows the form of a job.
"""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

from objectives.contract import (
    APPLIES_WHEN,
    EXTERNAL,
    ROLE,
    Bound,
    Conditions,
    Direction,
    Metric,
    Objective,
    Parameter,
    Role,
    Scale,
)
from objectives.data.files import flaw_of
from objectives.documents import document_of
from objectives.meaning import declared, measure_defining_settings

TYPES = ("float", "int", "categorical")
ARGUMENTS = ("params", "settings", "seed", "device", "threads")
"""Of `start`, in this order."""
TYPES_BY_ROLE: Mapping[str, tuple[object, ...]] = {"threads": ("integer",), "data_path": ("string", ["string", "null"])}
"""The roles of settings, and the types that the JSON Schema of such a setting may have."""
RUN_WANTED = "`start` must be a function that returns an object with __iter__, state_dict, load_state_dict and evaluate"


class Fault(NamedTuple):
    """Something that an objective declares and that cannot be used."""

    name: object
    """Of the objective, parameter or metric that is declared so."""
    text: str
    """What is wrong, to follow the name of the module."""


def faults_of(objective: Objective) -> Iterator[Fault]:
    """What is wrong with a declaration, one fault after the other. Later checks rely on earlier ones: ask for the first only."""
    yield from _faults_of_types(objective)
    yield from _faults_of_parameters(objective)
    yield from _faults_of_bounds(objective)
    yield from _faults_of_conditions(objective)
    yield from _faults_of_meaning(objective)
    yield from _faults_of_metrics(objective)
    yield from _faults_of_rate(objective)
    yield from _faults_of_document(objective)


def fault_of_start(start: object) -> str | None:
    """Why a `start` can begin no run, as far as it shows before it is called; None: nothing is known against it."""
    if not callable(start):
        return "has no function `start` in its module"
    if inspect.isgeneratorfunction(start) or inspect.isasyncgenfunction(start):
        return f"has a `start` that is a generator: {RUN_WANTED}"
    if inspect.iscoroutinefunction(start):
        return f"has an async `start`: {RUN_WANTED}"
    try:
        inspect.signature(start).bind(*ARGUMENTS)
    except TypeError as error:
        return f"has a `start` that does not take ({', '.join(ARGUMENTS)}): {error}"
    except ValueError:  # written in C: it does not tell
        pass
    return None


def fault_of_run(run: object) -> str | None:
    """Why what `start` has returned is no run; None when it is one."""
    if isinstance(run, type):
        return f"has a `start` that returned the class {run.__name__}, not an object of it: {RUN_WANTED}"
    missing = [name for name in _METHODS if not callable(getattr(run, name, None))]
    if missing:
        returned = "nothing" if run is None else f"a {_kind(run)}"
        return f"has a `start` that returned {returned}, without {', '.join(missing)}: {RUN_WANTED}"
    return None


_METHODS = ("__iter__", "state_dict", "load_state_dict", "evaluate")


def conditions(objective: Objective) -> dict[str, Conditions]:
    """Return the conditions under which each parameter and setting applies, by name; one without conditions always applies."""
    properties = objective.settings_schema.get("properties", {})
    of_settings = {name: schema[APPLIES_WHEN] for name, schema in properties.items() if APPLIES_WHEN in schema}
    return of_settings | {parameter.name: parameter.applies_when for parameter in objective.parameters}


def _faults_of_types(objective: Objective) -> Iterator[Fault]:
    for field in ("name", "module", "description", "step_word"):
        value = getattr(objective, field)
        if not isinstance(value, str) or (not value.strip() and field in ("name", "module")):
            yield Fault(objective.name, f"has an objective whose {field} is {value!r}: it must be text")
    if objective.name == EXTERNAL != objective.module:
        yield Fault(objective.name, f"has an objective whose name is {EXTERNAL!r}, which jobs declare themselves: choose another")
    for field, kind in (("parameters", Parameter), ("metrics", Metric)):
        entries = getattr(objective, field)
        if not isinstance(entries, tuple | list):
            yield Fault(objective.name, f"{objective.name}'s {field} must be a tuple of {kind.__name__}, not a {_kind(entries)}")
            continue
        for index, entry in enumerate(entries):
            if not isinstance(entry, kind):
                text = f"{objective.name}'s {field}[{index}] must be a {kind.__name__}, not a {_kind(entry)}"
                yield Fault(objective.name, text)
    schema, text = objective.settings_schema, f"{objective.name}'s settings_schema must be a JSON Schema of an object"
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties", {}), Mapping):
        yield Fault(objective.name, text)
    for name, of_setting in schema.get("properties", {}).items():
        if not isinstance(of_setting, Mapping):
            yield Fault(objective.name, f"{text}: its {name} is {of_setting!r}")
    # Imported late: a trainer process starts in half the time without it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        yield Fault(objective.name, f"{text}: {error.message}")


def _faults_of_parameters(objective: Objective) -> Iterator[Fault]:
    for each in objective.parameters:
        of = f"{objective.name}'s {each.name}"
        if not isinstance(each.name, str) or not each.name:
            yield Fault(objective.name, f"{objective.name} has a parameter whose name is {each.name!r}: it must be text")
        elif each.type not in TYPES:
            yield Fault(each.name, f"{of} is of the type {each.type!r}; there are: {', '.join(TYPES)}")
        elif not isinstance(each.description, str):
            yield Fault(each.name, f"{of} has a description that is no text: {each.description!r}")
        elif not isinstance(each.default, bool | int | float | str) or each.default != each.default:
            yield Fault(each.name, f"{of} has default={each.default!r}: it must be a number, text, True or False")
        elif each.space is not None and not isinstance(each.space, Mapping):
            yield Fault(each.name, f'{of} has a space that is a {_kind(each.space)}: write {{"type": "float", "low": ..., ...}}')
        elif each.type == "categorical" and not (isinstance(each.choices, tuple | list) and each.choices):
            yield Fault(each.name, f"{of} is categorical and has no choices: give a tuple of them")
        elif not isinstance(each.defines_measure, bool | tuple | list):
            yield Fault(each.name, f"{of} has defines_measure={each.defines_measure!r}: it must be True, or a tuple of metrics")
        for field in ("low", "high"):
            if not isinstance(getattr(each, field), int | float | None):
                yield Fault(each.name, f"{of} has {field}={getattr(each, field)!r}: it must be a number, or None")
        if not isinstance(each.bounds, tuple | list) or not all(isinstance(bound, Bound) for bound in each.bounds):
            yield Fault(each.name, f"{of} has bounds={each.bounds!r}: it must be a tuple of Bound")
        elif each.bounds and each.type == "categorical":
            yield Fault(each.name, f"{of} is categorical and has bounds: a number has these")
    for name in _repeated(each.name for each in objective.parameters):
        yield Fault(name, f"{objective.name} has several parameters {name!r}")


def _faults_of_bounds(objective: Objective) -> Iterator[Fault]:
    known = {each.name for each in objective.parameters} | objective.settings_schema.get("properties", {}).keys()
    for each in objective.parameters:
        for bound in each.bounds:
            of = f"{objective.name}'s {each.name} has a bound"
            if bound.end not in ("low", "high"):
                yield Fault(each.name, f"{of} whose end is {bound.end!r}: it must be low or high")
            if bound.given_by not in known:
                yield Fault(each.name, f"{of} that {bound.given_by!r} gives, but there is no such parameter or setting")
            if not isinstance(bound.by_value, Mapping | None) or not all(
                isinstance(value, str) and isinstance(limit, int | float) for value, limit in (bound.by_value or {}).items()
            ):
                yield Fault(each.name, f"{of} with by_value={bound.by_value!r}: it must map values, as text, to numbers")


def _faults_of_metrics(objective: Objective) -> Iterator[Fault]:
    if not objective.metrics:
        yield Fault(objective.name, f"{objective.name} has no metric: give at least one Metric(name=..., direction=...)")
    for each in objective.metrics:
        if not isinstance(each.name, str) or not each.name:
            yield Fault(objective.name, f"{objective.name} has a metric whose name is {each.name!r}: it must be text")
        elif each.direction not in get_args(Direction):
            known = ", ".join(get_args(Direction))
            yield Fault(each.name, f"{objective.name}'s {each.name} has the direction {each.direction!r}; there are: {known}")
    for name in _repeated(each.name for each in objective.metrics):
        yield Fault(name, f"{objective.name} has several metrics {name!r}")


def _faults_of_conditions(objective: Objective) -> Iterator[Fault]:
    known = {each.name for each in objective.parameters} | objective.settings_schema.get("properties", {}).keys()
    for what, cases in conditions(objective).items():
        if not isinstance(cases, tuple | list) or not all(isinstance(case, Mapping) for case in cases):
            text = f"{objective.name}'s {what} applies when {cases!r}: it must be a tuple of dictionaries"
            yield Fault(what, text)
        for name, values in ((name, values) for case in cases for name, values in case.items()):
            text = f"{objective.name}'s {what} applies when {name!r} has certain values"
            if name not in known:
                yield Fault(what, f"{text}, but there is no such parameter or setting")
            if not isinstance(values, tuple | list):
                yield Fault(what, f"{text}, which must be a tuple, not {values!r}")


def _faults_of_meaning(objective: Objective) -> Iterator[Fault]:
    where = objective.name
    roles = Counter(parameter.role for parameter in objective.parameters if parameter.role is not None)
    for role, count in roles.items():
        if role not in get_args(Role):
            yield Fault(where, f"{where} has a parameter of the role {role!r}; there are: {', '.join(get_args(Role))}")
        if count > 1:
            yield Fault(where, f"{where} has {count} parameters of the role {role!r}: one may have it")
    for scale in {parameter.scale for parameter in objective.parameters} - {None, *get_args(Scale)}:
        yield Fault(where, f"{where} has a parameter of the scale {scale!r}; there are: {', '.join(get_args(Scale))}")
    for name in (each.name for each in objective.parameters if each.rate_shift and each.scale == "linear"):
        yield Fault(name, f"{where}'s {name} has a rate_shift, a power law, on a linear scale: make that log or decay")
    yield from _faults_of_settings(objective)
    metrics = {metric.name for metric in objective.metrics}
    defining = {each.name: each.defines_measure for each in objective.parameters} | measure_defining_settings(objective)
    for name, measured in defining.items():
        if not isinstance(measured, bool) and (unknown := set(measured) - metrics):
            yield Fault(name, f"{where}'s {name} defines what {min(unknown)!r} measures, but there is no such metric")


def _faults_of_rate(objective: Objective) -> Iterator[Fault]:
    """Stride answers with a rate: without one, a job would be trained and then have no answer."""
    rate = next((each for each in declared(objective).parameters if each.role == "learning_rate"), None)
    if rate is None:
        text = f'{objective.name} has no learning rate: declare the parameter that is one with role="learning_rate"'
        yield Fault(objective.name, text)
    elif rate.type != "float":
        yield Fault(rate.name, f"{objective.name}'s {rate.name} is the learning rate: its type must be float, not {rate.type}")


def _faults_of_document(objective: Objective) -> Iterator[Fault]:
    """Workers announce declarations as JSON."""
    try:
        document_of(objective)
    except (TypeError, ValueError) as error:
        yield Fault(objective.name, f"{objective.name} declares what JSON cannot hold: {error}")


def _faults_of_settings(objective: Objective) -> Iterator[Fault]:
    where = objective.name
    properties = objective.settings_schema.get("properties", {})
    roles = {name: schema[ROLE] for name, schema in properties.items() if ROLE in schema}
    for name, role in roles.items():
        types = TYPES_BY_ROLE.get(role) if isinstance(role, str) else None
        if types is None:
            known = " and ".join(TYPES_BY_ROLE)
            yield Fault(where, f"{where}'s setting {name} has the role {role!r}; the roles of settings are {known}")
        elif properties[name].get("type") not in types:
            yield Fault(where, f"{where}'s setting {name} has the role {role}: its type must be {types[0]}")
    for name, schema in properties.items():
        if "default" in schema and (flaw := _flaw_of_default(objective, name)) is not None:
            yield Fault(name, f"{where}'s setting {name} has a default that no job may give: {flaw}")
    if (threads := list(roles.values()).count("threads")) > 1:
        yield Fault(where, f"{where} has {threads} settings with the role threads: one may have it")


def _flaw_of_default(objective: Objective, name: str) -> str | None:
    """Why a job must not give a setting its own default; None: it may."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = objective.settings_schema["properties"][name]
    found = Draft202012Validator(dict(objective.settings_schema)).iter_errors({name: schema["default"]})
    error = best_match(error for error in found if list(error.absolute_path)[:1] == [name])  # others are of missing settings
    if error is not None:
        return str(error.message)
    return flaw_of(schema["default"]) if schema.get(ROLE) == "data_path" and schema["default"] is not None else None


def _repeated(names: Iterator[object]) -> list[object]:
    return [name for name, count in Counter(names).items() if count > 1]


def _kind(value: object) -> str:
    return type(value).__name__
