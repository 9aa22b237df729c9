import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import cursors
from service.errors import InvalidCursor


def forged(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])), st.uuids())
def test_a_cursor_is_read_back_as_the_position_it_was_made_of(moment: datetime, id_: object) -> None:
    assert cursors.moment_and_id(cursors.encode(moment, id_)) == (moment, id_)


@given(st.integers(-1, 2**31 - 1))
def test_a_number_is_read_back(number: int) -> None:
    assert cursors.number(cursors.encode(number), default=0) == number


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.floats(allow_nan=False), st.floats(0, 1e308), st.uuids())
def test_a_place_is_read_back(measure: str, cost: float, rate: float, id_: UUID) -> None:
    cursor = cursors.encode(measure, cost, rate, id_)
    assert cursors.place(cursor) == (measure, (cost, rate, str(id_)))
    assert len(cursor) <= 500


def test_no_cursor_is_the_start() -> None:
    assert cursors.moment_and_id(None) is None
    assert cursors.number(None, default=-1) == -1
    assert cursors.place(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "äöü",
        "\0",
        "a",
        "=" * 7,
        forged(None),
        forged(7),
        forged([]),
        forged({"0": "1"}),
        forged([["1"]]),
        forged([float("inf")]),
        forged([float("nan")]),
        forged([7]),
        forged([7, 7]),
        forged([None, None]),
        forged(["nonsense", "nonsense"]),
        forged(["2026-01-01T00:00:00+00:00", 5]),
        forged(["2026-01-01T00:00:00", str(UUID(int=7))]),
        forged(["0000-13-32T00:00:00+00:00", str(UUID(int=7))]),
        forged(["99999-01-01T00:00:00+00:00", str(UUID(int=7))]),
        forged(["9" * 100]),
        forged([str(2**31)]),
        forged(["-2"]),
        forged(["a" * 64, "nan", "0.0", str(UUID(int=7))]),
        forged(["a" * 64, "0.5", "low", str(UUID(int=7))]),
        base64.urlsafe_b64encode(b"\xff\xfe\xff").decode(),
        base64.urlsafe_b64encode(b"[" * 300).decode(),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.moment_and_id(cursor)
    with pytest.raises(InvalidCursor):
        cursors.number(cursor, default=0)
    with pytest.raises(InvalidCursor):
        cursors.place(cursor)


DOCUMENTS = st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=4)


@given(st.text(max_size=50) | DOCUMENTS.map(forged))
def test_anything_is_a_position_or_refused(cursor: str) -> None:
    for read in (cursors.moment_and_id, cursors.place, lambda text: cursors.number(text, default=0)):
        try:
            read(cursor)
        except InvalidCursor:
            pass
