"""Numbers in JSON. JSON has no infinity and no NaN: what is sent has null in their place, what is received has texts."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def finite(value: float | None) -> float | None:
    """None where the value is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _known(value: float | None) -> float:
    return math.nan if value is None else value


Number = Annotated[float | None, BeforeValidator(finite)]
"""None where the number is missing or not finite."""

Real = Annotated[
    float,
    BeforeValidator(_known),
    PlainSerializer(finite, return_type=float | None, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]}),
]
"""A number that is never missing. One that is not finite is written to JSON as null; null is read as NaN."""

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How JSON writes what its numbers cannot be."""


def _read(value: Any) -> Any:
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value


Reported = Annotated[
    float,
    BeforeValidator(_read),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": list(NOT_FINITE)}]}),
]
"""A number that may be nan or infinite."""
