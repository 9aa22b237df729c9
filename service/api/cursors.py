"""Opaque cursors for keyset paging: where the last page ended."""

import base64
import json
from datetime import datetime
from typing import Annotated
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
        moment_text, id_text = _decode(cursor)
        moment, id_ = datetime.fromisoformat(moment_text), UUID(id_text)
    except ValueError:
        raise InvalidCursor from None
    if moment.tzinfo is None:
        raise InvalidCursor
    return moment, id_


def number(cursor: str | None, default: int) -> int:
    """A position in a list by number. Raises InvalidCursor."""
    if cursor is None:
        return default
    try:
        [text] = _decode(cursor)
        found = int(text)
    except ValueError:
        raise InvalidCursor from None
    if not -1 <= found < 2**31:
        raise InvalidCursor
    return found


def _decode(cursor: str) -> list[str]:
    """The texts that `encode` was given. Raises ValueError, of which JSON's and Unicode's errors are kinds."""
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("not a position")
    return parts
