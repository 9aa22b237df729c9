"""The database, asked until it answers: what an attempt writes must get there, however long an outage lasts.

Between two times nothing sleeps: the methods yield when they are to go on (worker/waiting.py). Meanwhile the trainer goes on
until the lease runs out, and then holds itself.
"""

import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from service.errors import DatabaseUnavailable
from service.store.postgres import Database
from service.worker.waiting import T, Wait, Waits

log = structlog.get_logger()

RETRY_S = 0.5
"""Pause before a database that did not answer is asked again."""

HURRY_S = 2.0
"""What the database gets to take a trial back from a worker that has to exit now."""


class Dropped(Exception):
    """The trial is no longer ours, or was given back: nothing is left to be done for it."""


class RetryingDatabase:
    """The database, as one attempt asks it.

    seconds_left: until the worker must have stopped: a database that does not answer by then is asked no more, and the trial is
    dropped.
    """

    def __init__(self, database: Database, seconds_left: Callable[[], float]) -> None:
        self.plain = database
        """For what has transactions of its own, within `ask`."""
        self.waited_s = 0.0
        """Seconds lost to a database that did not answer."""
        self._seconds_left = seconds_left

    @property
    def timeout_s(self) -> float:
        """How long a transaction may take."""
        return self.plain.timeout_s

    def ask(self, question: Callable[[], T]) -> Waits[T]:
        """Ask until the database answers. Raises Dropped."""
        while True:
            asked_at = time.monotonic()
            try:
                return question()
            except DatabaseUnavailable as error:
                self._drop_if_too_late(error)
            yield Wait(time.monotonic() + min(RETRY_S, max(0.0, self._seconds_left())), listening=False)
            self.waited_s += time.monotonic() - asked_at

    def transact(self, work: Callable[[Connection], T], *, in_a_hurry: bool = False) -> Waits[T]:
        """One transaction, until it is committed. in_a_hurry: it may take little time when the worker must stop now."""
        timeout_s = HURRY_S if in_a_hurry and self._seconds_left() <= 0 else None
        return self.ask(lambda: self.plain.transact(work, timeout_s=timeout_s))

    def transact_once(self, work: Callable[[Connection], T]) -> T:
        """One transaction. Raises DatabaseUnavailable, Dropped."""
        asked_at = time.monotonic()
        try:
            return self.plain.transact(work)
        except DatabaseUnavailable as error:
            self._drop_if_too_late(error)
            self.waited_s += time.monotonic() - asked_at
            raise

    def ask_once(self, question: Callable[[], None]) -> None:
        """Something that can be left for later: it must not keep the lease from being renewed."""
        asked_at = time.monotonic()
        try:
            question()
        except DatabaseUnavailable as error:
            log.warning("database.unavailable", error=str(error))
            self.waited_s += time.monotonic() - asked_at

    def _drop_if_too_late(self, error: DatabaseUnavailable) -> None:
        log.warning("database.unavailable", error=str(error))
        if self._seconds_left() <= 0:
            raise Dropped from error
