"""What pages cost to be made, so that whoever follows one rests in proportion: of thousands of trials it takes seconds."""

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Annotated

from cachetools import LRUCache
from fastapi import Depends, Request

KEPT = 1_000
FORGOTTEN = 0.5
"""How much of what a page took counts at the next: one whose answers were kept takes no time, and says little of those after."""


class Pace:
    """The seconds of a core that each page took of late."""

    def __init__(self) -> None:
        self._took: LRUCache[Hashable, float] = LRUCache(KEPT)
        self._lock = threading.Lock()

    @contextmanager
    def measured(self, page: Hashable) -> Iterator[None]:
        """The page is made while the block runs, by this thread."""
        began = time.thread_time()  # what it costs, and not how long it waits for others
        yield
        seconds = time.thread_time() - began
        with self._lock:
            self._took[page] = max(seconds, FORGOTTEN * self._took.get(page, 0.0))

    def took(self, page: Hashable) -> float:
        """Seconds; 0 for a page that was not made yet."""
        with self._lock:
            return self._took.get(page, 0.0)


def _pace(request: Request) -> Pace:
    pace: Pace = request.app.state.pace
    return pace


Paced = Annotated[Pace, Depends(_pace)]
