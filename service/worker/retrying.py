"""The database, asked until it answers: what an attempt writes must be stored, however long an outage lasts.

Nothing sleeps between two tries: the methods yield until when they wait (worker/waiting.py). Meanwhile the trainer goes on until
the lease expires, and then pauses itself.
"""

import time
from collections.abc import Callable

from sqlalchemy import Connection

from service.errors import DatabaseUnavailable
from service.store.postgres import Database
from service.worker.waiting import T, Wait, Waits

RETRY_S = 0.5
"""Pause before a database that did not answer is asked again."""

HURRY_S = 2.0
"""Timeout of the transaction that gives a trial back when the worker has to exit now."""


class Dropped(Exception):
    """The trial is no longer ours, or was given back: there is nothing left to do for it."""


class RetryingDatabase:
    """The database, as one attempt asks it.

    seconds_left: seconds until the worker must have stopped. If the database does not answer by then, the trial is dropped.
    """

    def __init__(self, database: Database, seconds_left: Callable[[], float]) -> None:
        self.plain = database
        """For functions that run transactions of their own, within `ask`."""
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
        """One transaction, repeated until it is committed. in_a_hurry: with a short timeout when the worker must stop now."""
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
        """Ask once, and ignore a failure: for what can be done later and must not delay the renewal of the lease."""
        asked_at = time.monotonic()
        try:
            question()
        except DatabaseUnavailable as error:
            self.plain.outage.failed(error)
            self.waited_s += time.monotonic() - asked_at

    def _drop_if_too_late(self, error: DatabaseUnavailable) -> None:
        self.plain.outage.failed(error)
        if self._seconds_left() <= 0:
            raise Dropped from error
