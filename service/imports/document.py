"""The request of an import: the job that a log's runs are trials of, and these trials."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from objectives.contract import DataProblem, Parameter
from objectives.meaning import by_usual_name
from objectives.scripts.ranges import Flaw, as_float, own_parameter
from service.analysis.words.numbers import number
from service.domain.imported import MAX_IMPORTED
from service.domain.measurement import MAX_STEP
from service.domain.space import Dimension, Range, Scalar, contains, parse_space
from service.imports.run import Log, Measured, Run, steps_told

MOST_VALUES = 10
"""Of so many different numbers each is a choice; more are a range."""
LONGEST_NAME = 200
WIDE = 100.0
"""A range of positive numbers is logarithmic where its high end is so many times its low end."""
INTO_STRINGS = {math.inf: "Infinity", -math.inf: "-Infinity"}


@dataclass(frozen=True, kw_only=True)
class Named:
    """An objective of the catalog, as far as an import must know it."""

    name: str
    learning_rate: str
    """What it calls the learning rate."""
    types: Mapping[str, str]
    """Of its parameters, by their names."""
    directions: Mapping[str, str] = field(default_factory=dict)
    """Of its metrics, by their names: minimize or maximize."""
    duration: str | None = None
    """What it calls the number of steps."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What whoever imports a log wants its job to be."""

    name: str | None = None
    """Of the job; None: where its runs are from."""
    objective: Named | None = None
    """None: one that the job declares itself, which clients may train further."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """What was trained: model, data."""
    space: Mapping[str, Any] = field(default_factory=dict)
    """The ranges of parameters, in the form of the REST API's `search_space`; others follow from the log."""
    step_word: str = "step"


def document_of(log: Log, wanted: Wanted) -> dict[str, Any]:
    """The body of POST /v1/imports. Raises DataProblem: its message names the run."""
    if len(log.runs) > MAX_IMPORTED:
        raise DataProblem(f"{log.source} has {len(log.runs):,} runs: at most {MAX_IMPORTED:,} are imported at once.")
    if len(log.runs) == 1:
        raise DataProblem(f"{log.source} has one run only: nothing can be said about other learning rates.")
    _check_measured(log)
    names = {log.learning_rate: wanted.objective.learning_rate} if wanted.objective else {}
    points = [{names.get(name, name): value for name, value in run.params.items()} for run in log.runs]
    if wanted.objective is not None:
        points = [_typed(point, wanted.objective) for point in points]
    duration = next(filter(_is_duration, points[0]), None) if wanted.objective is None else wanted.objective.duration
    log = replace(log, runs=[_placed(run, point.get(duration or "")) for run, point in zip(log.runs, points, strict=True)])
    ranges = {names.get(name, name): known for name, known in {**log.space, **wanted.space}.items()}
    for name in ranges.keys() - points[0].keys():
        raise DataProblem(f"--param {name} is no parameter of these runs, which have {', '.join(points[0])}.")
    rate = names.get(log.learning_rate, log.learning_rate)
    space = {
        name: ranges[name] if name in ranges else _range([p[name] for p in points], is_rate=name == rate) for name in points[0]
    }
    for name, dimension in space.items():
        if name == rate or any(type(point[name]) is float for point in points):
            space[name] = as_float(dimension)
    _check_searched(log, space, rate)
    _check_contained(log, space, points)
    return {
        "source": log.source[:LONGEST_NAME],
        "job": _job(log, wanted, space, rate),
        "trials": [_trial(run, point) for run, point in zip(log.runs, points, strict=True)],
    }


def _check_measured(log: Log) -> None:
    """Raise DataProblem where no run has a finite value of the metric."""
    if not any(math.isfinite(run.final(log.metric)) for run in log.runs):
        raise DataProblem(f"No run of {log.source} has a finite {log.metric}: nothing can be compared.")


def _is_duration(name: str) -> bool:
    return by_usual_name(Parameter(name=name, type="int", default=1, description="")).role == "duration"


def _placed(run: Run, steps: Scalar | None) -> Run:
    """The run with its one value at its end, of which no curve tells the step. steps: how many it has."""
    if run.has_steps or not run.steps or type(steps) is not int or not 1 <= steps <= MAX_STEP:
        return run
    return replace(run, steps=[replace(run.steps[-1], step=steps)], has_steps=True)


def _range(values: Sequence[Scalar], *, is_rate: bool) -> Mapping[str, Any] | Scalar:
    """What was searched, as far as it can be seen from what was tried. A single value is fixed."""
    different = sorted(set(values), key=lambda value: (str(type(value)), value))
    if len(different) == 1:
        return different[0]
    numbers = [value for value in different if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(different) or (len(numbers) <= MOST_VALUES and not is_rate):
        return {"type": "categorical", "choices": different}
    low, high = min(numbers), max(numbers)
    is_log = is_rate or (low > 0 and high >= WIDE * low)
    kind = "int" if all(isinstance(value, int) for value in numbers) and not is_rate else "float"
    return {"type": kind, "low": low, "high": high, **({"log": True} if is_log else {})}


def _typed(point: Mapping[str, Scalar], objective: Named) -> dict[str, Scalar]:
    """64.0 as 64 where the objective takes whole numbers, and 1 as 1.0 where it takes others."""
    typed: dict[str, Scalar] = {}
    for name, value in point.items():
        kind = objective.types.get(name)
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif kind == "int" and isinstance(value, float) and value.is_integer():
            value = int(value)
        typed[name] = value
    return typed


def _check_searched(log: Log, space: Mapping[str, Any], rate: str) -> None:
    """Raise DataProblem where no parameter was varied, or the range of the learning rate holds what is none."""
    if not any(isinstance(dimension, Mapping) for dimension in space.values()):
        raise DataProblem(f"All runs of {log.source} have the same {', '.join(space)}: nothing can be compared.")
    dimension = space[rate]
    if isinstance(dimension, Mapping) and dimension.get("low", 1.0) <= 0:
        raise DataProblem(
            f"{log.source} has {rate} searched from {number(dimension['low'])}, and a learning rate is above 0: state a range"
            f" that holds what was tried, with --param {rate}=1e-5:1:log."
        )


def _check_contained(log: Log, space: Mapping[str, Any], points: Sequence[Mapping[str, Scalar]]) -> None:
    """Raise DataProblem for the first run with a value outside its parameter's range."""
    try:
        parsed = parse_space(space)
    except ValidationError as error:
        fault = error.errors()[0]
        raise DataProblem(f"--param {fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}.") from error
    for run, point in zip(log.runs, points, strict=True):
        for name, value in point.items():
            if not _is_in(parsed[name], value):
                raise DataProblem(f"{run.where}: {name} is {number(value)}, which the range of {name} does not hold.")


def _is_in(dimension: Dimension, value: Scalar) -> bool:
    return contains(dimension, value) if isinstance(dimension, Range) else dimension == value


def _job(log: Log, wanted: Wanted, space: Mapping[str, Any], rate: str) -> dict[str, Any]:
    seeds = {run.seed for run in log.runs}
    job: dict[str, Any] = {"name": wanted.name or log.source[:LONGEST_NAME], "metric": log.metric}
    if len(seeds) == 1 and None not in seeds:  # then the answer holds for this one
        job |= {"seed": seeds.pop(), "training_seed": "shared"}
    if wanted.objective is not None:
        return job | {
            "objective": {"name": wanted.objective.name, "settings": dict(wanted.settings)},
            "search_space": dict(space),
        }
    return job | {
        "objective": {
            "name": "external",
            "parameters": [_parameter(name, dimension, rate) for name, dimension in space.items()],
            "metrics": [{"name": log.metric, "direction": log.direction, "description": f"As {log.source} has it."}],
            "steps": steps_told(log.runs, log.metric),
            "step_word": wanted.step_word,
            "settings": dict(wanted.settings),
        }
    }


def _parameter(name: str, dimension: Any, rate: str) -> dict[str, Any]:
    """As GET /v1/objectives describes it; its role by its name, unless it is the learning rate. Raises DataProblem."""
    try:
        parameter = own_parameter(name, dimension, "the log")
    except Flaw as flaw:
        raise DataProblem(f"{flaw}.") from flaw
    usual = by_usual_name(parameter)
    role = "learning_rate" if name == rate else usual.role
    declared: dict[str, Any] = {"name": name, "type": parameter.type, "default": parameter.default}
    if parameter.space is not None:
        declared["space"] = dict(parameter.space)
    if parameter.choices is not None:
        declared["choices"] = list(parameter.choices)
    if role is not None and (name == rate or role != "learning_rate"):
        declared["role"] = role
    if usual.scale is not None:
        declared["scale"] = usual.scale
    return declared


def _trial(run: Run, point: Mapping[str, Scalar]) -> dict[str, Any]:
    trial: dict[str, Any] = {"params": dict(point), "measurements": list(map(_measurement, run.steps))}
    if run.ending != "completed":
        trial["outcome"] = run.ending
    optional = {"reason": run.reason, "seed": run.seed, "value": None if run.value is None else _json(run.value)}
    trial |= {name: value for name, value in optional.items() if value is not None}
    if run.attributes:
        trial["attributes"] = dict(run.attributes)
    return trial


def _measurement(measured: Measured) -> dict[str, Any]:
    return {"step": measured.step, "metrics": {name: _json(value) for name, value in measured.metrics.items()}}


def _json(value: float) -> float | str:
    """JSON has no nan and no infinities: they are texts."""
    return "NaN" if math.isnan(value) else INTO_STRINGS.get(value, value)
