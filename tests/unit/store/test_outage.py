"""What is logged of an outage."""

import pytest
from structlog.testing import capture_logs

from service.errors import DatabaseUnavailable
from service.store.outage import OutageLog


class Clock:
    """A clock that the test advances, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> OutageLog:
    return OutageLog(clock)


def fail_for(outage: OutageLog, clock: Clock, seconds: float) -> None:
    """Twice a second."""
    for _ in range(round(2 * seconds)):
        outage.failed(DatabaseUnavailable("connection refused"))
        clock.now += 0.5


def test_a_short_outage_is_two_lines(outage: OutageLog, clock: Clock) -> None:
    with capture_logs() as logs:
        fail_for(outage, clock, 9)
        outage.answered()
        outage.answered()
    assert logs == [
        {"event": "database.unavailable", "log_level": "warning", "error": "connection refused"},
        {"event": "database.available", "log_level": "warning", "after_s": 9.0, "tries": 18},
    ]


def test_a_long_outage_is_reported_at_growing_intervals_of_a_minute_at_most(outage: OutageLog, clock: Clock) -> None:
    with capture_logs() as logs:
        fail_for(outage, clock, 300)
    assert [line.get("for_s") for line in logs] == [None, 10, 30, 70, 130, 190, 250]
    assert [line.get("tries") for line in logs] == [None, 21, 61, 141, 261, 381, 501]


def test_the_next_outage_is_reported_from_its_begin(outage: OutageLog, clock: Clock) -> None:
    fail_for(outage, clock, 300)
    outage.answered()
    with capture_logs() as logs:
        fail_for(outage, clock, 12)
        outage.answered()
    assert [(line["event"], line.get("tries")) for line in logs] == [
        ("database.unavailable", None),
        ("database.unavailable", 21),
        ("database.available", 24),
    ]


def test_without_an_outage_nothing_is_logged(outage: OutageLog) -> None:
    with capture_logs() as logs:
        outage.answered()
    assert logs == []
