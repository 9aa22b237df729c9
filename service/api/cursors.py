"""Opaque cursors for keyset paging: where the last page ended."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from service.errors import InvalidCursor

Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]


def encode(*position: object) -> str:
    """A cursor for the position after the last item given out."""
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in position]).encode()).decode().rstrip("=")


def moment_and_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """A position in a list by time and id. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        moment, id_ = _decode(cursor)
        return datetime.fromisoformat(moment), UUID(id_)
    except (ValueError, TypeError):
        raise InvalidCursor from None


def number(cursor: str | None, default: int) -> int:
    """A position in a list by number. Raises InvalidCursor."""
    if cursor is None:
        return default
    try:
        [text] = _decode(cursor)
        found = int(text)
    except (ValueError, TypeError):
        raise InvalidCursor from None
    if not -1 <= found < 2**31:
        raise InvalidCursor
    return found


def _decode(cursor: str) -> Sequence[Any]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(parts, list):
        raise TypeError("not a position")
    return parts
