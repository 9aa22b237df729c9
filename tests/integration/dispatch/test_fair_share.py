"""How workers are shared between jobs: no job starves, priorities go first, and max_parallel holds at every moment."""

import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.dispatch import claim as claim_module
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed
from service.domain.job import Job, JobState
from service.store.claims import FoundJob
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import SPACE, claimed, claimer_of, conclude, state_of
from tests.processes import at_once, wait_for_the_others

PROCESSES, THREADS = 4, 3
BIG, SMALL = {"trials": 10_000}, {"trials": 10}


def in_turn(database: Database, workers: int) -> deque[Claim]:
    """So many workers, each with a trial."""
    return deque(claimed(claimer_of(database)) for _ in range(workers))


def next_trial(database: Database, running: deque[Claim]) -> Claim:
    """The worker with the oldest trial finishes it and claims the next, which is returned."""
    conclude(database, running.popleft(), Completed(value=1.0))
    running.append(claimed(claimer_of(database)))
    return running[-1]


def shares(running: deque[Claim], jobs: list[Job]) -> list[int]:
    """How many workers each job has."""
    at = Counter(claim.job.id for claim in running)
    return [at[job.id] for job in jobs]


def test_a_job_of_ten_thousand_trials_does_not_starve_a_later_one_of_ten(database: Database) -> None:
    big = submit_job(database, budget=BIG)
    running = in_turn(database, 8)
    for _ in range(20):
        next_trial(database, running)
    small = submit_job(database, budget=SMALL)
    taken = [next_trial(database, running).job.id for _ in range(8)]
    assert taken == [small.id] * 4 + [big.id] * 4
    assert shares(running, [big, small]) == [4, 4]
    while state_of(database, small) is not JobState.COMPLETED:
        taken.append(next_trial(database, running).job.id)
        assert len(taken) < 40
    assert taken.count(small.id) == 10
    assert state_of(database, big) is JobState.RUNNING
    for _ in range(8):
        next_trial(database, running)
    assert shares(running, [big, small]) == [8, 0]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_jobs_take_turns_though_there_are_as_many_older_ones_as_workers(database: Database, workers: int) -> None:
    older = [submit_job(database, budget=BIG) for _ in range(workers)]
    running = in_turn(database, workers)
    small = submit_job(database, budget=SMALL)
    jobs = [*older, small]
    taken = Counter(next_trial(database, running).job.id for _ in range(6 * len(jobs)))
    assert [taken[job.id] for job in jobs] == [6] * len(jobs)


def test_a_new_job_gets_its_even_share_as_workers_become_free_and_gives_it_back(database: Database) -> None:
    jobs = [submit_job(database, budget=BIG)]
    running = in_turn(database, 6)
    for expected in ([3, 3], [2, 2, 2]):
        jobs.append(submit_job(database, budget=BIG if len(jobs) == 1 else {"trials": 4}))
        for _ in range(6):
            next_trial(database, running)
        assert shares(running, jobs) == expected
    while state_of(database, jobs[2]) is not JobState.COMPLETED:
        next_trial(database, running)
    for _ in range(6):
        next_trial(database, running)
    assert shares(running, jobs) == [3, 3, 0]


def test_a_larger_priority_takes_every_worker_that_becomes_free_and_equal_ones_share_them(database: Database) -> None:
    low = submit_job(database, budget=BIG)
    running = in_turn(database, 6)
    high = [submit_job(database, budget=SMALL, priority=1) for _ in range(2)]
    for finished in range(1, 7):
        assert next_trial(database, running).job.id != low.id
        assert shares(running, [low])[0] == 6 - finished
    assert shares(running, [low, *high]) == [0, 3, 3]
    while any(state_of(database, job) is not JobState.COMPLETED for job in high):
        next_trial(database, running)
    assert shares(running, [low]) >= [5]


def test_what_a_limited_job_of_larger_priority_may_not_use_goes_to_the_others_evenly(database: Database) -> None:
    limited = submit_job(database, budget=BIG, priority=9, max_parallel=2)
    others = [submit_job(database, budget=BIG) for _ in range(2)]
    running = in_turn(database, 8)
    for _ in range(16):
        assert shares(running, [limited, *others]) == [2, 3, 3]
        next_trial(database, running)


def overtaken_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[Claim, Claim]:
    """What two workers claim that find the same job at the same moment: the faster one and the slower one."""
    find_job, faster = claim_module.claims.find_job, list[Claim]()

    def found_but_overtaken(*asked: Any) -> FoundJob | None:
        found = find_job(*asked)
        if not faster:
            monkeypatch.undo()
            faster.append(claimed(claimer_of(database)))
        return found

    monkeypatch.setattr(claim_module.claims, "find_job", found_but_overtaken)
    slower = claimed(claimer_of(database))
    return faster[0], slower


def test_workers_that_look_for_a_job_at_the_same_moment_share_evenly(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the older job free; the slower one must notice that it is not any more."""
    jobs = [submit_job(database, budget=BIG) for _ in range(2)]
    assert shares(deque(overtaken_once(database, monkeypatch)), jobs) == [1, 1]


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
@pytest.mark.parametrize("limit", [{"budget": {"trials": 1}}, {"budget": BIG, "max_parallel": 1}], ids=["budget", "max_parallel"])
def test_the_slower_of_two_at_a_jobs_last_trial_gets_the_next_jobs_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, strategy: str, limit: dict[str, Any]
) -> None:
    jobs = [
        submit_job(database, strategy=strategy, search_space=SPACE, priority=1, **limit),
        submit_job(database, budget=BIG),
    ]
    assert shares(deque(overtaken_once(database, monkeypatch)), jobs) == [1, 1]


# Real processes


def finish_all(url: str, slow_job: UUID) -> int:
    """Claim and finish with three loops until no job is open; how many trials. Those of one job take their time."""
    database = Database(url, pool_size=THREADS)

    def work(_: int) -> int:
        claimer, count = claimer_of(database), 0
        while _open_jobs(database):
            claim = claimer.claim(uuid4())
            if claim is not None:
                if claim.job.id == slow_job:
                    _wait_for_others_at(database, claim.job)
                conclude(database, claim, Completed(value=1.0))
                count += 1
        return count

    wait_for_the_others()
    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(work, range(THREADS)))
    database.close()
    return total


def _wait_for_others_at(database: Database, job: Job) -> None:
    """Until as many trials as may run at once have done so: on a busy machine others take long to sample theirs."""
    time.sleep(0.3)
    deadline = time.monotonic() + 10
    while most_at_once(database, job) < (job.spec.max_parallel or 0) and time.monotonic() < deadline:
        time.sleep(0.02)


def _open_jobs(database: Database) -> int:
    with database.transaction() as conn:
        count: int = conn.exec_driver_sql("SELECT count(*) FROM stride.jobs WHERE finished_at IS NULL").scalar_one()
        return count


def most_at_once(database: Database, job: Job) -> int:
    """How many leases of a job were ever open together, from their recorded starts and ends.

    Both moments are taken under the lock on the job, so their order is that in which leases really began and ended.
    """
    with database.transaction() as conn:
        rows = conn.exec_driver_sql("SELECT started_at, ended_at FROM stride.leases WHERE job_id = %(id)s", {"id": job.id}).all()
    moments = [(row.started_at, 1) for row in rows] + [(row.ended_at, -1) for row in rows if row.ended_at is not None]
    open_now = most = 0
    for _, change in sorted(moments):
        open_now += change
        most = max(most, open_now)
    return most


@pytest.mark.parametrize("limited", ["random", "grid", "bayesian"])
def test_max_parallel_holds_at_every_moment_with_many_claimers_in_several_processes(database: Database, limited: str) -> None:
    """Twelve loops in four processes, and another job for those that the limit turns away."""
    narrow = submit_job(database, strategy=limited, search_space=SPACE, budget={"trials": 18}, max_parallel=3, priority=1)
    wide = submit_job(database, budget={"trials": 100})
    url = database.url.render_as_string(hide_password=False)
    assert sum(at_once([(finish_all, (url, narrow.id))] * PROCESSES)) == 118
    assert most_at_once(database, narrow) == 3
    assert most_at_once(database, wide) > 3, "the claimers did not compete"
