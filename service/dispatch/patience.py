"""Patience after an outage: holders of expired leases get time to renew them before others take over (decision 0005).

An outage that cut this process off may have cut the holders off too. An expired lease can be renewed until somebody takes the
trial over, so after an outage there is a race, which a holder whose last statement still hangs would lose. `Patience.seconds` is
the time that holders get: from the first answer after an outage that this process saw (`has_run_out`), and from the start of the
server (`stride.may_be_taken_over`), which a process that was started later can see as well.
"""

from service.store.postgres import Database

RENEWAL_S = 1.0
"""Added to the database's timeout, for which a holder's last statement may hang. Holders retry at least twice a second."""


class Patience:
    """Of one process, with leases that were last renewed at least `unrenewed_s` ago. Half of that counts as an outage."""

    def __init__(self, database: Database, *, unrenewed_s: float) -> None:
        self.seconds = database.timeout_s + RENEWAL_S
        self._database = database
        self._outage_s = unrenewed_s / 2

    def has_run_out(self) -> bool:
        """Whether this process may take trials over. A restart of the server is checked by the query, not here."""
        return self._database.back_for(longer_than_s=self._outage_s) >= self.seconds
