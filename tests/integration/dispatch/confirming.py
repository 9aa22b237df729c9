"""Jobs that confirm and are extended: what the tests of them ask for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from optuna.trial import FrozenTrial

from service.dispatch.claim import Claimer
from service.dispatch.extend import extend
from service.dispatch.outcome import Infeasible
from service.domain.job import Job
from service.domain.request import Extension
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.phases import RATE_ALONE, complete, complete_next
from tests.integration.dispatch.training import (
    current,
    stored,
)

SEARCH, CONFIRM = 13, 3


DIVERGED = Infeasible(step=1, fraction=0.25, evidence="loss became inf")


BUDGET = {"trials": 16, "confirm": 3}


def confirmed_job(database: Database, confirm: int = CONFIRM, **overrides: Any) -> Job:
    given: dict[str, Any] = {"search_space": RATE_ALONE, "budget": {"trials": SEARCH + confirm, "confirm": confirm}}
    return submit_job(database, **given | overrides)


def searched(database: Database, claimer: Claimer, count: int = SEARCH) -> None:
    for _ in range(count):
        assert complete_next(database, claimer).job.phase.position == 0


def confirming(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.user_attrs.get("phase") == "confirm"]


def candidates_of(database: Database, job: Job) -> list[dict[str, Any]]:
    """As they were written with the event that says that the phase has begun."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql(
            "SELECT payload -> 'candidates' FROM stride.events WHERE job_id = %(id)s AND type = 'phase.started'", {"id": job.id}
        )
        return list(rows.scalar_one())


def extended(database: Database, job: Job, key: str | None = None, sha256: bytes = b"x", **by: Any) -> Job:
    extension = Extension.model_validate(by)
    database.transact(lambda conn: extend(conn, job.id, extension, idempotency_key=key, request_sha256=sha256))
    return current(database, job)


def done(database: Database, claimer: Claimer) -> int:
    """Trials until there is nothing to claim."""
    count = 0
    while (claim := claimer.claim(uuid4())) is not None:
        complete(database, claim)
        count += 1
    return count


def kinds(database: Database, job: Job) -> str:
    """s for each trial of a search, c for each that confirms."""
    return "".join("c" if trial.user_attrs.get("phase") == "confirm" else "s" for trial in stored(database, job))


def time_left(database: Database, job: Job, seconds: float) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET deadline_at = clock_timestamp() + make_interval(secs => %(seconds)s) WHERE id = %(id)s",
            {"seconds": seconds, "id": job.id},
        )


def ends_at(database: Database, job: Job) -> datetime:
    deadline = current(database, job).deadline_at
    assert deadline is not None
    return deadline
