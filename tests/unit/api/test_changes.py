"""What tells a page of changes rests in proportion to what the page costs, and tells the last change all the same."""

import asyncio
import itertools
import time
from collections.abc import Callable, Hashable

import pytest

from service.api.pages import changes, pace
from service.api.pages.pace import Pace

EVENT = "event: changed\ndata:\n\n"
FOR_S = 0.6


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "EVERY_S", 0.005)
    monkeypatch.setattr(changes, "FOR_S", FOR_S)


def told(seen: Callable[[], Hashable], took: float) -> list[float]:
    """When events came, in seconds from the first on."""

    async def read() -> list[float]:
        events = changes.stream(seen, lambda: False, lambda: took).body_iterator
        return [time.monotonic() async for event in events if event == EVENT]

    moments = asyncio.run(read())
    return [moment - moments[0] for moment in moments]


def test_a_page_that_takes_long_is_told_rarely() -> None:
    always_new = itertools.count().__next__
    assert len(told(always_new, took=0.0)) > 10
    rests = [after - before for before, after in itertools.pairwise(told(always_new, took=0.04))]
    assert 1 <= len(rests) <= FOR_S / 0.2
    assert min(rests) >= 5 * 0.04, "as long as the page took, and four times that"


def test_what_changes_while_it_rests_is_told_after() -> None:
    began = time.monotonic()
    moments = told(lambda: time.monotonic() - began > 0.05, took=0.04)
    assert len(moments) == 2
    assert moments[1] >= 0.2


def test_a_stream_does_not_end_while_it_rests() -> None:
    """The next one begins with an event."""
    began = time.monotonic()
    assert len(told(lambda: None if time.monotonic() - began < 0.01 else "new", took=0.3)) == 1
    assert time.monotonic() - began >= 5 * 0.3


def test_a_page_whose_answer_was_kept_says_little_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 8.0, 10.0, 10.1, 20.0, 25.0])
    monkeypatch.setattr(pace.time, "thread_time", clock.__next__)
    found, took = Pace(), []
    for _ in range(3):
        with found.measured("page"):
            pass
        took.append(found.took("page"))
    assert took == [8.0, 4.0, 5.0]
    assert found.took("another") == 0.0
