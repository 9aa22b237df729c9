"""What a worker offers to train: all objectives that it has, but those that it cannot train now or may not offer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import Connection

from objectives.contract import Objective
from objectives.scripts.entry import ScriptObjective
from objectives.sources import own_versions
from service.dispatch.announce import Announced, announce
from service.dispatch.claim import Claimer
from service.domain.events import Event
from service.store import events, workers
from service.store.postgres import Database

log = structlog.get_logger()

Told = tuple[Event, dict[str, str]]
"""An event and its payload."""


def own_objectives(
    catalog: Mapping[str, Objective], modules: Sequence[str], scripts: Mapping[str, ScriptObjective]
) -> list[Announced]:
    """What a worker with these modules and scripts announces. catalog: the objectives of both, by name."""
    versions = own_versions(catalog, modules) | {name: script.version_sha256 for name, script in scripts.items()}
    return [Announced(objective=catalog[name], sha256=sha256) for name, sha256 in versions.items()]


class Offers:
    """The objectives that one worker offers: to its claimer, and in the database, which `report` writes.

    own: those of `objectives` that are not built in, which it announces.
    """

    def __init__(
        self,
        database: Database,
        claimer: Claimer,
        worker_id: UUID,
        name: str,
        objectives: Sequence[str],
        own: Sequence[Announced],
    ) -> None:
        self._database = database
        self._claimer = claimer
        self._id = worker_id
        self._name = name
        self._objectives = sorted(objectives)
        self._own = {each.objective.name: each for each in own}
        self._set_aside: dict[str, str] = {}
        """Objectives that the worker cannot train at present, and why."""
        self._refused: dict[str, str] = {}
        """Objectives that another worker offers with another declaration, when they were last announced."""
        self._announced: set[str] = set()
        """Of its own, those that it has announced and not set aside since."""
        self._unreported: list[Told] = []
        self._is_reported = False
        claimer.objectives, claimer.sha256s = self._names({}), [each.sha256 for each in own]

    @property
    def _withheld(self) -> dict[str, str]:
        """The objectives that are not offered, and why."""
        return self._set_aside | self._refused

    def set_aside(self, objective: str, problem: str) -> None:
        """Offer an objective no more, since it cannot be trained here."""
        self._set_aside[objective] = problem
        self._announced.discard(objective)  # another worker may announce it meanwhile
        self._claimer.objectives = self._names(self._withheld)
        self._tell(Event.WORKER_SET_ASIDE, objective, problem)

    def try_again(self, find_problem: Callable[[str], str | None]) -> None:
        """Offer again what can be trained again, and what no other worker contradicts any more.

        Raises DatabaseUnavailable, and what `find_problem` raises.
        """
        for objective in sorted(self._set_aside):
            if find_problem(objective) is None:
                del self._set_aside[objective]
                self._tell(Event.WORKER_FIT, objective, "it can be trained again")
        if self._refused:
            self._is_reported = False
        self.report()

    def register(self, insert: Callable[[Connection], None]) -> None:
        """Announce and write all of it, in the transaction in which `insert` inserts the worker's row. Raises as `report`."""
        self._announced.clear()
        self._is_reported = False
        self._transact(insert)

    def report(self) -> None:
        """Announce and write what has changed. Raises DatabaseUnavailable, and keeps the changes for the next call."""
        if not self._is_reported:
            self._transact(lambda conn: None)

    def _transact(self, begin: Callable[[Connection], None]) -> None:
        def work(conn: Connection) -> dict[str, str]:
            begin(conn)
            return self._write(conn)

        refused = self._database.transact(work)
        for event, payload in self._answers(refused):
            log.warning(event, objective=payload["objective"], reason=payload["reason"])
        self._unreported.clear()
        self._refused = refused
        self._announced = self._own.keys() & set(self._names(self._withheld))
        self._claimer.objectives = self._names(self._withheld)
        self._is_reported = True

    def _write(self, conn: Connection) -> dict[str, str]:
        """Returns which objectives were refused, and why."""
        unannounced = self._own.keys() - self._announced - self._set_aside.keys()
        refused = announce(conn, self._id, [self._own[name] for name in sorted(unannounced)])
        withheld = self._set_aside | refused
        workers.offer(
            conn,
            self._id,
            objectives=self._names(withheld),
            sha256s={name: each.sha256 for name, each in self._own.items() if name not in withheld},
            set_aside=withheld,
        )
        for event, payload in (*self._unreported, *self._answers(refused)):
            events.write(conn, event, payload)
        return refused

    def _answers(self, refused: Mapping[str, str]) -> Iterator[Told]:
        """What is new in the answer to an announcement."""
        for objective, reason in refused.items():
            if self._refused.get(objective) != reason:
                yield self._told(Event.WORKER_REFUSED, objective, reason)
        for objective in self._refused.keys() - refused.keys() - self._set_aside.keys():
            yield self._told(Event.WORKER_FIT, objective, "no other worker offers it with another declaration any more")

    def _names(self, withheld: Mapping[str, str]) -> list[str]:
        return [name for name in self._objectives if name not in withheld]

    def _tell(self, event: Event, objective: str, reason: str) -> None:
        log.warning(event, objective=objective, reason=reason)
        self._unreported.append(self._told(event, objective, reason))
        self._is_reported = False

    def _told(self, event: Event, objective: str, reason: str) -> Told:
        return event, {"worker": self._name, "id": str(self._id), "objective": objective, "reason": reason}
