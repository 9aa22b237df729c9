"""Numbers in JSON. JSON has no infinity and no NaN, so numbers that are not finite become null."""

import math
from typing import Annotated

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
