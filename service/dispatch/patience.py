"""Patience after an outage: for a while, expired leases are left to their holders (decision 0005).

What kept this process from the database may have kept the holders of leases from renewing them. They still may, until somebody
takes their trials over, so whoever comes first decides; a holder that hangs in its last statement comes late. `seconds` is how
long holders get. It counts from the first answer after an outage as this process saw it (`has_run_out`), and from the start of
the server, which processes that were started later know of too (`stride.may_be_taken_over`).
"""

from service.store.postgres import Database

RENEWAL_S = 1.0
"""Beyond the database's timeout, for which a holder's last statement may hang: holders ask at least twice a second."""


class Patience:
    """Of one process, with leases whose holders have been silent for `silent_s` at least; half of that is an outage."""

    def __init__(self, database: Database, *, silent_s: float) -> None:
        self.seconds = database.timeout_s + RENEWAL_S
        self._database = database
        self._outage_s = silent_s / 2

    def has_run_out(self) -> bool:
        """Whether this process may take trials over, as far as it knows: the server's start is for the database to judge."""
        return self._database.back_for(longer_than_s=self._outage_s) >= self.seconds
