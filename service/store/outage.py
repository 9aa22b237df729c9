"""What is logged of an outage of the database: its begin, what was tried meanwhile at growing intervals, and its end."""

import math
import threading
import time
from collections.abc import Callable

import structlog

from service.errors import DatabaseUnavailable

log = structlog.get_logger()

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 60.0


class OutageLog:
    """Reports the outages that one process waits through. Threads may share it. clock: in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._tries = 0
        """Since it began."""
        self._next_at = -math.inf
        self._pause_s = FIRST_PAUSE_S

    def failed(self, error: DatabaseUnavailable) -> None:
        """To be called for every try that will be repeated."""
        with self._lock:
            now = self._clock()
            self._tries += 1
            if self._began_at is None:
                self._began_at, self._pause_s = now, FIRST_PAUSE_S
                log.warning("database.unavailable", error=str(error))
            elif now < self._next_at:
                return
            else:
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
                log.warning("database.unavailable", error=str(error), for_s=round(now - self._began_at), tries=self._tries)
            self._next_at = now + self._pause_s

    def answered(self) -> None:
        """To be called for every answer."""
        if self._began_at is None:
            return
        with self._lock:
            if self._began_at is not None:
                lasted_s = round(self._clock() - self._began_at, 1)
                log.warning("database.available", after_s=lasted_s, tries=self._tries)
                self._began_at, self._tries = None, 0
