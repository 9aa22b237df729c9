"""What workers announce and offer, and to which of them the trials of a job go."""

from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy import Connection

from objectives.contract import Objective
from objectives.documents import declaration_sha256, document_of, version_sha256
from service.dispatch.announce import Announced, announce
from service.dispatch.claim import Claimer
from service.dispatch.submit import submit
from service.domain.job import Job
from service.store import objectives, workers
from service.store.postgres import Database
from tests.factories import job_spec
from tests.integration.dispatch.training import LEASE_S, claimed, expire
from tests.processes import at_once, wait_for_the_others
from tests.quadratic import QUADRATIC

MINE = replace(QUADRATIC, name="mine")
OTHERWISE = replace(MINE, step_word="update")


def version(objective: Objective = MINE, source: bytes = b"") -> Announced:
    return Announced(objective=objective, sha256=version_sha256(objective, source))


def offering(database: Database, name: str, *announced: Announced) -> tuple[UUID, dict[str, str]]:
    """A worker that has announced this and offers what it may; its id, and what it was refused."""
    worker_id = uuid4()

    def work(conn: Connection) -> dict[str, str]:
        workers.register(conn, worker_id, name=name, objectives=[], device="cpu", version="1", lost_after_s=30)
        refused = announce(conn, worker_id, announced)
        accepted = {each.objective.name: each.sha256 for each in announced if each.objective.name not in refused}
        workers.offer(conn, worker_id, objectives=list(accepted), sha256s=accepted, set_aside=refused)
        return refused

    return worker_id, database.transact(work)


def stored(database: Database) -> list[tuple[bytes, bool]]:
    """The versions of the objective, newest first, and whether they are offered."""
    with database.transaction() as conn:
        return [(each.sha256, each.is_offered) for each in objectives.versions_of(conn, "mine")]


def end(database: Database, worker_id: UUID) -> None:
    database.transact(lambda conn: workers.stopped(conn, worker_id))


def lose(database: Database, worker_id: UUID) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.workers SET seen_at = '-infinity' WHERE id = %(id)s", {"id": worker_id})


def job_of(database: Database, sha256: bytes | None) -> Job:
    spec = job_spec(objective={"name": "mine"})
    job, _ = database.transact(lambda conn: submit(conn, spec, objective_sha256=sha256))
    return job


def claimer_of(database: Database, *sha256s: bytes, objective: str = "mine", lease_s: float = LEASE_S) -> Claimer:
    claimer = Claimer(database, uuid4(), [objective], lease_s=lease_s)
    claimer.sha256s = list(sha256s)
    return claimer


def test_a_worker_for_one_job_claims_and_takes_over_trials_of_that_job_only(database: Database) -> None:
    jobs = [job_of(database, version().sha256) for _ in range(3)]
    for job in jobs[:2]:
        holder = claimer_of(database, version().sha256)
        holder.only = job.id
        expire(database, claimed(holder))
    claimer = claimer_of(database, version().sha256)
    claimer.only = jobs[1].id
    claims = [claimed(claimer) for _ in range(3)]
    assert {claim.job.id for claim in claims} == {jobs[1].id}
    assert sorted((claim.lease.number, claim.lease.attempt) for claim in claims) == [(0, 2), (1, 1), (2, 1)]
    assert claimed(claimer_of(database, version().sha256)).job.id == jobs[0].id


def test_what_is_announced_is_stored_with_its_declaration_and_again_without_a_second_row(database: Database) -> None:
    worker_id, refused = offering(database, "a", version())
    assert refused == {}
    assert stored(database) == [(version().sha256, True)]
    with database.transaction() as conn:
        [found] = objectives.versions_of(conn, "mine")
        assert objectives.declaration(conn, found) == document_of(MINE)
        assert found.declaration_sha256 == declaration_sha256(MINE)
        assert workers.offered(conn, ["mine", "other"]) == {"mine": {version().sha256}}
    end(database, worker_id)
    assert stored(database) == [(version().sha256, False)]
    offering(database, "b", version())
    assert stored(database) == [(version().sha256, True)]
    with database.transaction() as conn:
        [again] = objectives.versions_of(conn, "mine")
        assert again.announced_at > found.announced_at


def test_the_second_of_two_live_workers_with_different_declarations_is_refused_that_objective_only(database: Database) -> None:
    first, _ = offering(database, "host:1", version())
    other = version(replace(MINE, name="other"))
    _, refused = offering(database, "host:2", version(OTHERWISE), other)
    assert list(refused) == ["mine"]
    assert refused["mine"] == (
        "worker host:1 offers another objective called 'mine', with other parameters, metrics or settings:"
        " give this one another name, or stop that worker"
    )
    assert stored(database) == [(version().sha256, True)], "what was refused is not announced"
    with database.transaction() as conn:
        assert workers.offered(conn, ["mine", "other"]) == {"mine": {version().sha256}, "other": {other.sha256}}
    end(database, first)
    assert offering(database, "host:3", version(OTHERWISE))[1] == {}
    assert stored(database) == [(version(OTHERWISE).sha256, True), (version().sha256, False)]


def test_a_worker_that_is_lost_or_has_set_the_objective_aside_refuses_nobody(database: Database) -> None:
    lost, _ = offering(database, "host:1", version())
    lose(database, lost)
    aside, refused = offering(database, "host:2", version(OTHERWISE))
    assert refused == {}
    database.transact(lambda conn: workers.offer(conn, aside, objectives=[], sha256s={}, set_aside={"mine": "no disk"}))
    assert offering(database, "host:3", version())[1] == {}


def test_another_source_with_the_same_declaration_is_another_version_beside_the_first(database: Database) -> None:
    first, second = version(source=b"1"), version(source=b"2")
    assert offering(database, "host:1", first)[1] == {}
    newer, refused = offering(database, "host:2", second)
    assert refused == {}
    assert stored(database) == [(second.sha256, True), (first.sha256, True)]
    end(database, newer)
    assert stored(database) == [(first.sha256, True), (second.sha256, False)], "first what is offered"


def announce_together(url: str, number: int) -> dict[str, str]:
    database = Database(url)
    wait_for_the_others()
    _, refused = offering(database, f"host:{number}", version(replace(MINE, step_word=f"step {number}")))
    database.close()
    return refused


def test_of_workers_that_announce_different_declarations_at_once_one_may_offer_its_own(
    database: Database, database_url: str
) -> None:
    answers = at_once([(announce_together, (database_url, number)) for number in range(6)])
    assert sorted(map(len, answers)) == [0, 1, 1, 1, 1, 1]
    assert [offered for _, offered in stored(database)] == [True]


def test_a_worker_takes_trials_of_jobs_with_its_version_and_of_those_with_any(database: Database) -> None:
    mine, other = version().sha256, version(source=b"changed").sha256
    job = job_of(database, other)
    assert claimer_of(database, mine).claim(uuid4()) is None
    assert claimer_of(database).claim(uuid4()) is None
    assert claimer_of(database, other, objective="another").claim(uuid4()) is None
    assert claimed(claimer_of(database, mine, other)).job.id == job.id
    of_any = job_of(database, None)
    assert claimed(claimer_of(database, mine)).job.id == of_any.id
    assert claimed(claimer_of(database)).job.id == of_any.id


def test_a_trial_is_taken_over_by_a_worker_with_the_jobs_version_only(database: Database) -> None:
    mine, other = version().sha256, version(source=b"changed").sha256
    job = job_of(database, other)
    claim = claimed(claimer_of(database, other))
    expire(database, claim)
    wrong, right = claimer_of(database, mine), claimer_of(database, other)
    wrong._memory.patience.seconds = right._memory.patience.seconds = 0.0
    assert wrong.claim(uuid4()) is None
    again = claimed(right)
    assert (again.job.id, again.lease.trial_id, again.lease.attempt) == (job.id, claim.lease.trial_id, 2)
    assert again.job.objective_sha256 == other


def test_a_lost_reply_is_asked_for_by_its_token(database: Database) -> None:
    claimer, token = claimer_of(database, version().sha256), uuid4()
    job_of(database, version().sha256)
    claim = claimer.claim(token)
    assert claim is not None
    again = claimer.reclaim(token)
    assert again is not None
    assert (again.lease, again.job.objective_sha256) == (claim.lease, version().sha256)
