"""The fields of the form for a new job, made from what is declared: JSON Schema of the request and of settings, parameters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from objectives.contract import Objective, Parameter
from service.analysis.words.numbers import number
from service.domain.request import Budget, JobRequest, Limits
from service.domain.strategy import Pruners, Strategies
from service.errors import pointer

Kind = Literal["text", "number", "choice", "list", "json", "labels"]
"""How a field is shown and read: a text, a number, one of its options, values separated by commas, JSON, a label a line."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One value that may be chosen."""

    value: str
    """As JSON; empty: the field is left out of the job."""
    label: str
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """One place of the job."""

    pointer: str
    """JSON pointer into the job."""
    label: str
    kind: Kind
    description: str = ""
    bounds: str = ""
    """What it may be, in words."""
    default: str = ""
    """What is taken if it is left out; empty: nothing."""
    options: Sequence[Option] = ()
    is_required: bool = False
    within: str = ""
    """Tells fields of the same pointer apart: the kind of strategy or pruner that has it."""

    @property
    def id(self) -> str:
        """Its id in the page: pointers may hold any character."""
        return "f-" + f"{self.within}{self.pointer}".encode().hex()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of strategy or pruner, with its settings."""

    name: str
    description: str
    fields: Sequence[Field]


@dataclass(frozen=True, kw_only=True)
class ParameterFields:
    """A parameter: left at its default, fixed, or searched in a range or among choices."""

    parameter: Parameter
    value: Field
    choices: Field
    """Of a parameter that declares its choices: one option each."""
    ends: Sequence[Field]
    """Both ends of a range, then what else it may have; empty for a parameter that has none."""
    default: str
    bounds: str
    space: str
    """Its default range as JSON; null: it is not searched by default."""


def of_model(model: type[BaseModel], names: Sequence[str], *, at: Sequence[str] = (), within: str = "") -> list[Field]:
    """Fields of a pydantic model."""
    properties = model.model_json_schema()["properties"]
    return [of_schema([*at, name], properties[name], within=within) for name in names]


def of_request(*names: str) -> list[Field]:
    """Fields of a job itself."""
    return of_model(JobRequest, names)


def of_budget(*names: str) -> list[Field]:
    """Limits of the job."""
    return of_model(Budget, names, at=["budget"])


def of_limits() -> list[Field]:
    """Limits of one trial."""
    return of_model(Limits, list(Limits.model_fields), at=["limits"])


def strategies() -> list[Variant]:
    """The strategies that a job may have."""
    return _variants("strategy", get_args(Strategies))


def pruners() -> list[Variant]:
    """The pruners that a job may have."""
    return _variants("pruner", get_args(Pruners))


def _variants(at: str, models: Sequence[type[BaseModel]]) -> list[Variant]:
    found = []
    for model in models:
        name = get_args(model.model_fields["type"].annotation)[0]
        settings = [each for each in model.model_fields if each != "type"]
        fields = of_model(model, settings, at=[at], within=name)
        found.append(Variant(name=name, description=model.__doc__ or "", fields=fields))
    return found


def of_settings(objective: Objective) -> list[Field]:
    """The settings of an objective."""
    schema = objective.settings_schema
    required = schema.get("required", ())
    return [
        of_schema(["objective", "settings", name], each, is_required=name in required)
        for name, each in schema.get("properties", {}).items()
    ]


def of_metric(objective: Objective) -> Field:
    """The metric, of those that the objective has."""
    options = [
        Option(value=_json(metric.name), label=f"{metric.name}, {metric.direction}d", is_default=place == 0)
        for place, metric in enumerate(objective.metrics)
    ]
    return Field(pointer="/metric", label="metric", kind="choice", options=options)


def of_parameter(parameter: Parameter) -> ParameterFields:
    """What a job may say of a parameter."""
    at = pointer("search_space", parameter.name)
    options = [Option(value=_json(choice), label=_shown(choice)) for choice in parameter.choices or ()]
    numeric = parameter.type != "categorical"
    ends = [
        Field(pointer=f"{at}/{name}", label=label, kind="number", within="range")
        for name, label in (("low", "from"), ("high", "to"), ("points", "grid values"), ("step", "step"))
    ]
    return ParameterFields(
        parameter=parameter,
        value=Field(pointer=at, label="value", kind="number" if numeric else "choice", options=options),
        choices=Field(pointer=f"{at}/choices", label="choices", kind="list", options=options),
        ends=ends if numeric else [],
        default=_shown(parameter.default),
        bounds=_bounds_of(parameter),
        space=_json(parameter.space),
    )


def of_schema(path: Sequence[str], schema: Mapping[str, Any], *, is_required: bool = False, within: str = "") -> Field:
    """The field for what a JSON Schema describes."""
    schema = _without_null(schema)
    default = schema.get("default")
    kind, values = _kind(schema)
    options = [Option(value=_json(value), label=_shown(value), is_default=value == default) for value in values]
    if options and default is None:
        options.insert(0, Option(value="", label="not set", is_default=True))
    return Field(
        pointer=pointer(*path),
        label=path[-1],
        kind=kind,
        description=schema.get("description", ""),
        bounds=_bounds(schema),
        default="" if default in (None, {}, []) else _listed(default) if kind == "list" else _shown(default),
        options=options,
        is_required=is_required,
        within=within,
    )


def _kind(schema: Mapping[str, Any]) -> tuple[Kind, Sequence[Any]]:
    """The kind of its field, and the values of one that has options."""
    match schema:
        case {"enum": list(values)}:
            return "choice", values
        case {"type": "boolean"}:
            return "choice", (False, True)
        case {"type": "integer" | "number"}:
            return "number", ()
        case {"type": "string"}:
            return "text", ()
        case {"type": "array", "items": {"type": "integer" | "number" | "string"}}:
            return "list", ()
        case {"type": "object", "patternProperties": dict(patterns)} if all(
            value.get("type") == "string" for value in patterns.values()
        ):
            return "labels", ()
        case _:
            return "json", ()


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema without the case of null: whoever wants null leaves the field out."""
    match schema:
        case {"anyOf": [dict(kind), {"type": "null"}], **rest}:
            return {**kind, **rest}
        case {"type": [str(kind), "null"] | ["null", str(kind)]}:
            return {**schema, "type": kind}
    return schema


_BOUNDS = {
    "minimum": "at least {:.12g}",
    "exclusiveMinimum": "above {:.12g}",
    "maximum": "at most {:.12g}",
    "exclusiveMaximum": "below {:.12g}",
}
FAR = 1e6
"""Bounds that nobody meets by chance are left to the check."""


def _bounds(schema: Mapping[str, Any]) -> str:
    kind = "a whole number" if schema.get("type") == "integer" else "a number" if schema.get("type") == "number" else ""
    bounds = [said.format(schema[name]) for name, said in _BOUNDS.items() if abs(schema.get(name, FAR)) < FAR]
    return ", ".join(filter(None, [kind, *bounds]))


def _bounds_of(parameter: Parameter) -> str:
    """As those of a setting."""
    ends = {
        "exclusiveMinimum" if parameter.low_open else "minimum": parameter.low,
        "exclusiveMaximum" if parameter.high_open else "maximum": parameter.high,
    }
    kind = {"int": "integer", "float": "number"}.get(parameter.type, "string")
    return _bounds({"type": kind} | {name: value for name, value in ends.items() if value is not None})


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(_shown, values))


def _shown(value: Any) -> str:
    """As people write it in a job."""
    return value if isinstance(value, str) else number(value) if isinstance(value, float) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)
