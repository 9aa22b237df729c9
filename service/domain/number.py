"""Numbers in JSON, which has no name for those that are not finite: they are null there."""

import math
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def finite(value: float | None) -> float | None:
    """None where the value is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _known(value: float | None) -> float:
    return math.nan if value is None else value


Number = Annotated[float | None, BeforeValidator(finite)]
"""None where it is not finite, or where there is none."""

Real = Annotated[
    float,
    BeforeValidator(_known),
    PlainSerializer(finite, return_type=float | None, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]}),
]
"""A number that is always there; one that is not finite is null in JSON only, and nan when it is read from there."""
