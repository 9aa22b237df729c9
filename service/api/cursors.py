"""Opaque cursors for keyset pagination: where the previous page ended."""

import base64
import json
import math
import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.errors import InvalidCursor

ALPHABET = "[0-9A-Za-z_-]+"
"""The pattern of a cursor: base64url without padding."""

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next_cursor` of the previous page.", json_schema_extra={"pattern": f"^{ALPHABET}$"}),
]


def encode(*position: object) -> str:
    """A cursor for the position of the last item of a page."""
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in position]).encode()).decode().rstrip("=")


def moment_and_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The position in a list ordered by time and id; None at its start. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        moment_text, id_text = _decode(cursor)
        moment, id_ = datetime.fromisoformat(moment_text), UUID(id_text)
    except ValueError:
        raise InvalidCursor from None
    if moment.tzinfo is None:
        raise InvalidCursor
    return moment, id_


def number(cursor: str | None, default: int) -> int:
    """The position in a list ordered by number; `default` at its start. Raises InvalidCursor."""
    if cursor is None:
        return default
    try:
        [text] = _decode(cursor)
        position = int(text)
    except ValueError:
        raise InvalidCursor from None
    if not -1 <= position < 2**31:
        raise InvalidCursor
    return position


def place(cursor: str | None) -> tuple[str, tuple[float, float, str]] | None:
    """The measure and the place in it, in a list of answers across jobs; None at its start. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        measure, cost, rate, id_text = _decode(cursor)
        numbers, id_ = (float(cost), float(rate)), str(UUID(id_text))
    except ValueError:
        raise InvalidCursor from None
    if any(map(math.isnan, numbers)):
        raise InvalidCursor
    return measure, (*numbers, id_)


def _decode(cursor: str) -> list[str]:
    """The parts given to `encode`, as texts. Raises ValueError, also as JSON's and Unicode's subclasses of it."""
    if not re.fullmatch(ALPHABET, cursor):
        raise ValueError("not base64url")
    padded = cursor.encode() + b"=" * (-len(cursor) % 4)
    parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("not a position")
    return parts
