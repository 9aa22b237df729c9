"""Waiting for what another process or thread does, without guessing how long it takes."""

import time
from collections.abc import Callable

from service.store.postgres import Database

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.05
"""Between two looks: one at a curve takes 0.6 ms of CPU, one at a trial with its attempts 1.8 ms, server included."""


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 120.0) -> None:
    """Poll until `condition` holds; fails when it does not in time."""
    end = time.monotonic() + deadline_s
    pause_s = FIRST_PAUSE_S
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s:g} s in vain for {what}"
        time.sleep(pause_s)
        pause_s = min(1.1 * pause_s, LONGEST_PAUSE_S)


def wait_until_somebody_waits_for_a_lock(database: Database) -> None:
    def waiting() -> bool:
        with database.transaction() as conn:
            query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1"
            return conn.exec_driver_sql(query).one_or_none() is not None

    wait_until(waiting, "somebody who waits for a lock")
