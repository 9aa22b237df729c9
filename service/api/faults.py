"""Pydantic's validation errors as JSON pointers into the request, with sentences that say what would be valid."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from service.api.body_models import model_at
from service.domain.objective import EXTERNAL
from service.domain.space import Range
from service.domain.strategy import Pruners, Strategies
from service.errors import pointer

_VARIANTS = {
    get_args(variant.model_fields["type"].annotation)[0]
    for variant in (*get_args(Range), *get_args(Strategies), *get_args(Pruners))
}
_SCALARS = frozenset({"bool", "int", "float", "str"})
_BRANCHES = _VARIANTS | _SCALARS | {"catalog", EXTERNAL, "value", "count", "parameter"}
"""What pydantic calls the branches of the unions in a job: these names are not part of the document."""

NO_NUL = r"^[^\x00]*$"
"""The pattern of texts that PostgreSQL can store: without U+0000."""
NAME_AND_VALUE = r"^[^:\x00]*:[^\x00]*$"
"""The pattern of labels in a query."""

JOB_ID = r"^[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]){0,24}-?$"
"""The pattern of a job's id, and of its first 8 digits or more; hyphens may be left out."""

JOB_IDS = rf"^\s*{JOB_ID[1:-1]}\s*(,\s*{JOB_ID[1:-1]}\s*)*$"
"""The pattern of such ids, separated by commas."""

_PATTERNS = {
    JOB_ID: "should be a job's id, or its first 8 digits or more",
    NO_NUL: "must not contain the character U+0000: remove it",
    NAME_AND_VALUE: "should look like name:value, without the character U+0000",
}

_SENTENCES = {
    "missing": "is missing",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "string_type": "should be a string",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "union_tag_not_found": 'needs a "type"',
}


class Fault(BaseModel):
    """One fault of a request."""

    pointer: str = Field(description="A JSON pointer into the body, or the name of a query parameter or header after a slash.")
    detail: str = Field(description="What is wrong, and what would be valid.")


def faults_of(error: RequestValidationError, body: type[BaseModel] | None) -> list[Fault]:
    """The faults of a request: for each pointer the first that pydantic reports. body: the model of its body, if it has one."""
    faults: dict[str, Fault] = {}
    for reported in error.errors():
        where, *path = reported["loc"]
        place = pointer(*_existing(error.body, path)) if where == "body" else pointer(*path)
        faults.setdefault(place, Fault(pointer=place, detail=_detail(reported, path, body)))
    return list(faults.values())


def _existing(body: Any, path: Sequence[str | int]) -> list[str | int]:
    """The part of `path` that lies in the document, and the name of what is missing there."""
    existing: list[str | int] = []
    for index, part in enumerate(path):
        if isinstance(body, dict) and (part in body or (index == len(path) - 1 and part not in _BRANCHES)):
            body = body.get(part)
            existing.append(part)
        elif isinstance(body, list) and isinstance(part, int):
            body = body[part] if part < len(body) else None
            existing.append(part)
    return existing


def _detail(reported: Mapping[str, Any], path: Sequence[str | int], body: type[BaseModel] | None) -> str:
    kind, context = reported["type"], reported.get("ctx", {})
    if kind == "extra_forbidden":
        model = None if body is None else model_at(body, path[:-1])
        return "is not a field here" + ("" if model is None else f"; the fields are: {', '.join(model.model_fields)}")
    if path and path[-1] in _SCALARS and kind.endswith(("_type", "_parsing", "_from_float")):
        return "should be a number, a string, true or false"
    if kind == "union_tag_invalid":
        return f"there is no type {context['tag']!r}; there are: {context['expected_tags'].replace(chr(39), '')}"
    if kind in ("too_long", "too_short"):
        bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
        return f"should have {bound} entries"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "should consist of printable ASCII characters")
    if kind == "missing" and not path:
        return "the body is missing: send JSON, such as the examples at /docs"
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    return str(reported["msg"]).removeprefix("Value error, ").removeprefix("Input ")
