"""Completes a submitted job: checks it against the objective that it names, and fills in defaults."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from objectives.catalog import default_settings, typed_params
from objectives.contract import ROLE, Objective
from objectives.data.files import flaw_of
from service.api.applicability import Applicability, described, shown
from service.api.bounds import bound_faults, within_bounds
from service.api.budgets import completed_budget, points_to_try_first
from service.api.external import client_faults
from service.api.meaning import meaning_of
from service.api.ranges import KINDS, range_faults, same
from service.api.schemas.jobs import WarningView
from service.domain.meaning import Meaning, Role
from service.domain.request import MAX_TO_TRY_FIRST, JobRequest
from service.domain.space import (
    CategoricalRange,
    FloatRange,
    IntRange,
    Range,
    Scalar,
    SearchSpace,
    contains,
    fixed,
    parse_space,
    searched,
)
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner
from service.errors import Invalid, InvalidJob, pointer
from service.search.strategies import strategy_of

WIDEST_LINEAR = 20.0
"""A linear range of learning rates gets a warning when its high end is more than this many times its low end: a twentieth of
such a range lies below twice its low end."""


def complete(request: JobRequest, catalog: Mapping[str, Objective]) -> JobSpec:
    """The job that a request describes, with defaults for what it leaves out.

    Raises InvalidJob with all faults that were found.
    """
    objective = catalog.get(request.objective.name)
    if objective is None:
        known = ", ".join(sorted(catalog))
        raise InvalidJob([Invalid("/objective/name", f"there is no objective {request.objective.name!r}; there are: {known}")])
    request = _typed(request, objective)
    asked_for = request.search_space or {}
    faults = [*_settings_faults(request, objective), *_metric_faults(request, objective), *_space_faults(asked_for, objective)]
    if faults:
        raise InvalidJob(faults)
    given = _given_space(request, objective)
    applicability = Applicability(objective, given, request.objective.settings)
    space = _completed_space(objective, asked_for, given, applicability)
    meaning = meaning_of(objective)
    faults = [
        *_inapplicable_faults(request.objective.settings, asked_for, objective, applicability),
        *bound_faults(asked_for, given, request.objective.settings, objective, applicability),
        *_pruner_faults(request, objective),
        *_strategy_faults(request, space, meaning),
        *client_faults(request),
        *_try_first_faults(request, space, applicability),
    ]
    if faults:
        raise InvalidJob(faults)
    budget = completed_budget(request, space, meaning)
    settings = default_settings(objective) | _settings(request, objective)
    metric = next(metric for metric in objective.metrics if request.metric in (None, metric.name))
    completed = {
        "objective": request.objective.model_copy(update={"settings": settings}),
        "search_space": space,
        "budget": budget,
        "metric": metric.name,
        "direction": metric.direction,
        "meaning": meaning,
    }
    return JobSpec.model_validate(dict(request) | completed)


def warnings_of(spec: JobSpec) -> list[WarningView]:
    """What is probably a mistake in a job that can be run as it is."""
    name = spec.meaning.named(Role.LEARNING_RATE)
    rates = None if name is None else spec.search_space.get(name)
    if not isinstance(rates, FloatRange | IntRange) or rates.log or (0 < rates.low and rates.high <= WIDEST_LINEAR * rates.low):
        return []
    detail = (
        f"the range is linear from {rates.low:g} to {rates.high:g}: half of it lies above {rates.low / 2 + rates.high / 2:g},"
        ' and low rates are hardly tried; set "log": true'
    )
    # A logarithmic range is refused with low at or below 0, and with a step.
    detail += ", and low above 0" if rates.low <= 0 else ""
    detail += ", and leave step out" if rates.step not in (None, 1) else ""
    return [WarningView(pointer=pointer("search_space", str(name)), detail=detail)]


def _typed(request: JobRequest, objective: Objective) -> JobRequest:
    """The request, with 1 as 1.0 where a float parameter has choices: JSON does not distinguish them."""
    space, points = dict(request.search_space or {}), [dict(point) for point in request.try_first]
    for name, dimension in space.items():
        if isinstance(dimension, CategoricalRange):
            choices = tuple(typed_params(objective, {name: choice})[name] for choice in dimension.choices)
            space[name] = dimension.model_copy(update={"choices": choices})
            for point in points:
                point.update(typed_params(objective, {name: point[name]} if name in point else {}))
    return request.model_copy(update={"search_space": request.search_space and space, "try_first": points})


def _settings_faults(request: JobRequest, objective: Objective) -> Iterator[Invalid]:
    validator = Draft202012Validator(dict(objective.settings_schema))
    missing: set[str] = set()  # jsonschema reports one error per missing name, and each names all
    for error in sorted(validator.iter_errors(request.objective.settings), key=lambda error: list(map(str, error.absolute_path))):
        where = pointer("objective", "settings", *error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            known = ", ".join(error.schema.get("properties", ())) or "none"
            for name in sorted(error.instance.keys() - error.schema.get("properties", {}).keys()):
                yield Invalid(f"{where}{pointer(name)}", f"{objective.name} has no setting {name!r}; it has: {known}")
        elif error.validator == "required":
            for name in sorted(set(error.validator_value) - error.instance.keys()):
                if (faulty := f"{where}{pointer(name)}") not in missing:
                    missing.add(faulty)
                    yield Invalid(faulty, _wanted(objective, [*error.absolute_path, name]))
        elif error.validator == "type" and error.instance is None and error.validator_value == "string":
            yield Invalid(where, _wanted(objective, error.absolute_path))
        elif error.validator == "pattern" and "description" in error.schema:  # a regular expression tells people little
            yield Invalid(where, f"{shown(error.instance)} is not one: {error.schema['description']}")
        else:
            yield Invalid(where, error.message.replace(repr(error.instance), shown(error.instance), 1))
    for name, schema in objective.settings_schema.get("properties", {}).items():
        value = request.objective.settings.get(name)
        if schema.get(ROLE) == "data_path" and isinstance(value, str) and (flaw := flaw_of(value)):
            yield Invalid(pointer("objective", "settings", name), flaw)


def _settings(request: JobRequest, objective: Objective) -> dict[str, Any]:
    """The settings given, with 64.0 as 64 where only integers are allowed: JSON Schema takes both as integers."""
    kinds = {name: schema.get("type") for name, schema in objective.settings_schema.get("properties", {}).items()}
    return {
        name: int(value) if isinstance(value, float) and kinds.get(name) in ("integer", ["integer", "null"]) else value
        for name, value in request.objective.settings.items()
    }


def _wanted(objective: Objective, path: Sequence[str | int]) -> str:
    """The sentence of a fault: this setting is required with the other settings given; and what it is."""
    schema: Mapping[str, Any] = objective.settings_schema
    for name in path:
        schema = schema.get("properties", {}).get(name, {})
    about = f": {schema['description']}" if "description" in schema else ""
    return f"must be given with these settings{about}"


def _metric_faults(request: JobRequest, objective: Objective) -> Iterator[Invalid]:
    names = [metric.name for metric in objective.metrics]
    if request.metric is not None and request.metric not in names:
        yield Invalid("/metric", f"{objective.name} has no metric {request.metric!r}; it has: {', '.join(names)}")


def _space_faults(space: SearchSpace, objective: Objective) -> Iterator[Invalid]:
    parameters = {parameter.name: parameter for parameter in objective.parameters}
    for name, dimension in space.items():
        where = pointer("search_space", name)
        if name not in parameters:
            yield Invalid(where, f"{objective.name} has no parameter {name!r}; it has: {', '.join(sorted(parameters))}")
        else:
            for detail in range_faults(parameters[name], dimension):
                yield Invalid(where, detail)


def _given_space(request: JobRequest, objective: Objective) -> SearchSpace:
    if request.search_space is not None:
        return request.search_space
    defaults = ((parameter.name, parameter.space) for parameter in objective.parameters)
    space = parse_space({name: space for name, space in defaults if space is not None})
    return within_bounds(space, request.objective.settings, objective)


def _completed_space(
    objective: Objective, asked_for: SearchSpace, given: SearchSpace, applicability: Applicability
) -> SearchSpace:
    """`given` with defaults for what it leaves out, but without parameters that do not apply, unless the request names them."""
    space = {
        parameter.name: given.get(parameter.name, parameter.default)
        for parameter in objective.parameters
        if parameter.name in asked_for or applicability.may_apply(parameter.name)
    }
    return typed_params(objective, dict(sorted(space.items())))


def _inapplicable_faults(
    settings: Mapping[str, Any], space: SearchSpace, objective: Objective, applicability: Applicability
) -> Iterator[Invalid]:
    fixed_ones = fixed(space)
    for parameter in objective.parameters:
        if parameter.name in fixed_ones and not applicability.may_apply(parameter.name):
            yield Invalid(pointer("search_space", parameter.name), applicability.why_not(parameter.name))
    defaults = default_settings(objective)
    for name, value in settings.items():
        # A default may come from a job that was read from the API: its settings are complete.
        if value != defaults.get(name) and not applicability.may_apply(name):
            yield Invalid(pointer("objective", "settings", name), applicability.why_not(name))


def _pruner_faults(request: JobRequest, objective: Objective) -> Iterator[Invalid]:
    if not objective.knows_fraction and not isinstance(request.pruner, NoPruner):
        detail = (
            f"{objective.name} does not say how many steps a run has, so pruners cannot compare runs at the same part of their"
            " schedules: leave the pruner out, or state steps: in the job's objective if it is external, in @stride.objective,"
            " or, for an Optuna objective, by stride worker --steps"
        )
        yield Invalid("/pruner", detail)


def _strategy_faults(request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
    if request.training_seed == "shared" and request.replicates > 1:
        detail = (
            f"{request.replicates} replicates need {request.replicates} training seeds: leave out training_seed or replicates"
        )
        yield Invalid("/training_seed", detail)
    yield from strategy_of(request).check(request, space, meaning)


def _try_first_faults(request: JobRequest, space: SearchSpace, applicability: Applicability) -> Iterator[Invalid]:
    if len(request.try_first) * request.replicates > MAX_TO_TRY_FIRST:
        yield Invalid("/try_first", f"{points_to_try_first(request)} are more than {MAX_TO_TRY_FIRST} trials")
    ranges, values = searched(space), fixed(space)
    for index, point in enumerate(request.try_first):
        for name, value in point.items():
            where = pointer("try_first", index, name)
            if name in values:
                if not same(value, values[name]):
                    yield Invalid(where, f"is fixed at {shown(values[name])} by the search space")
            elif not applicability.may_apply(name) and name not in ranges:
                yield Invalid(where, applicability.why_not(name))
            elif name not in ranges:
                yield Invalid(where, f"is not a parameter of the search space, which has: {', '.join(sorted(space))}")
            elif not contains(ranges[name], value):
                yield Invalid(where, f"{shown(value)} {_why_not_in(ranges[name], value)}, {described(ranges[name])}")


def _why_not_in(dimension: Range, value: Scalar) -> str:
    """What is wrong with a value that a range does not contain; the range in words is to follow."""
    if isinstance(dimension, CategoricalRange):
        return "is not one of the choices of the search space"
    if isinstance(value, bool | str) or (isinstance(dimension, IntRange) and not isinstance(value, int)):
        return f"is not {KINDS[dimension.type]} of the search space"
    if dimension.low <= value <= dimension.high:
        return "lies between the steps of the search space"
    return "lies outside the range of the search space"
