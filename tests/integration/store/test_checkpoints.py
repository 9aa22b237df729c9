"""Checkpoints as rows: which are kept, which go, and when a file may go."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.sweeper import tidy_up
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.job import Job
from service.domain.objective import Direction
from service.domain.trial import TrialError
from service.settings import Settings
from service.store import checkpoint_files, checkpoints, leases, trial_reader
from service.store.postgres import Database
from service.worker.loop import Worker
from tests.factories import submit_job
from tests.integration.dispatch.training import claimed, claimer_of, conclude

OLD_S = checkpoint_files.LEFTOVER_S + 60


def checkpoint(claim: Claim, step: int = 1, kind: Kind = Kind.STATE, *, in_folder: bool = False) -> Checkpoint:
    content = f"{claim.lease.id} {kind} {step}".encode()
    path = f"{claim.job.id}/{claim.lease.number}-{claim.lease.id}-{step}.{'safetensors' if kind is Kind.MODEL else 'checkpoint'}"
    return Checkpoint(
        kind=kind,
        step=step,
        size=len(content),
        sha256=hashlib.sha256(content).digest(),
        content=None if in_folder else content,
        path=path if in_folder else None,
    )


def keep(database: Database, claim: Claim, step: int = 1, kind: Kind = Kind.STATE, *, in_folder: bool = False) -> list[str]:
    """Store a checkpoint; returns the paths of the files that may go."""
    return database.transact(
        lambda conn: checkpoints.insert(conn, claim.lease, checkpoint(claim, step, kind, in_folder=in_folder))
    )


def stored(database: Database) -> list[tuple[int, str, int]]:
    """Trial number, kind and step of every checkpoint."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql(
            "SELECT number, kind, step FROM stride.checkpoints JOIN optuna.trials USING (trial_id) ORDER BY checkpoints.id"
        )
        return [(row.number, row.kind, row.step) for row in rows]


def age_job(database: Database, job: Job, hours: float) -> None:
    with database.transaction() as conn:
        query = "UPDATE stride.jobs SET finished_at = finished_at - make_interval(secs => %(s)s) WHERE id = %(id)s"
        conn.exec_driver_sql(query, {"s": hours * 3600, "id": job.id})


# The two newest.


def test_the_newest_and_the_one_before_it_are_kept(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    gone = [keep(database, claim, step, in_folder=True) for step in (1, 2, 5)]
    assert gone == [[], [], [checkpoint(claim, 1, in_folder=True).path]]
    assert stored(database) == [(0, "state", 2), (0, "state", 5)]
    with database.transaction() as conn:
        newest = checkpoints.newest(conn, claim.lease.trial_id)
    assert newest is not None
    assert newest.step == 5


def test_the_newest_is_the_one_taken_last_though_an_attempt_before_it_had_come_further(database: Database) -> None:
    """An attempt that started over, since its checkpoints were damaged or out of its reach, is what goes on."""
    submit_job(database, budget={"trials": 1})
    first = claimed(claimer_of(database))
    keep(database, first, 8)
    keep(database, first, 9)
    database.transact(lambda conn: leases.release(conn, first.lease, "stopping"))
    second = claimed(claimer_of(database))
    keep(database, second, 1)
    with database.transaction() as conn:
        newest = checkpoints.newest(conn, second.lease.trial_id)
    assert newest is not None
    assert newest.step == 1
    assert stored(database) == [(0, "state", 9), (0, "state", 1)]


def test_storing_twice_is_storing_once(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    for step in (1, 2, 2, 3, 3):
        keep(database, claim, step)
    assert stored(database) == [(0, "state", 2), (0, "state", 3)]


def test_states_and_models_and_trials_do_not_count_against_each_other(database: Database) -> None:
    submit_job(database)
    one, two = claimed(claimer_of(database)), claimed(claimer_of(database))
    for claim in (one, two):
        for step in (1, 2, 3):
            keep(database, claim, step)
        keep(database, claim, 3, Kind.MODEL)
    assert sorted(stored(database)) == [
        (n, kind, step) for n in (0, 1) for kind, step in (("model", 3), ("state", 2), ("state", 3))
    ]


def test_after_one_was_discarded_the_one_before_is_the_newest(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    keep(database, claim, 1)
    keep(database, claim, 2)
    for step in (2, 1):
        with database.transaction() as conn:
            newest = checkpoints.newest(conn, claim.lease.trial_id)
            assert newest is not None
            assert newest.step == step
            assert checkpoints.content(conn, newest.id) == checkpoint(claim, step).content
            checkpoints.discard(conn, newest.id)
    with database.transaction() as conn:
        assert checkpoints.newest(conn, claim.lease.trial_id) is None


# The end of trials: of a job the best model stays.


RESULTS: list[Result] = [
    Completed(value=0.5),
    Completed(value=0.2),
    Infeasible(step=1, fraction=0.5, evidence="inf"),
    Pruned(value=0.1, step=1),
    Failed(error=TrialError(type="ValueError", message="no")),
    Completed(value=0.2),
    Completed(value=0.9),
]


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1), ("maximize", 6)])
def test_of_a_job_only_the_model_of_its_best_trial_stays(database: Database, direction: Direction, best: int) -> None:
    job = submit_job(database, direction=direction, budget={"trials": len(RESULTS), "failures": 5})
    for result in RESULTS:
        claim = claimed(claimer_of(database))
        keep(database, claim, 1)
        keep(database, claim, 1, Kind.MODEL, in_folder=True)
        conclude(database, claim, result)
        gone = tidy_up(database)
        assert all(path.endswith(".safetensors") for path in gone)
        assert len(stored(database)) == 1
    assert stored(database) == [(best, "model", 1)]
    with database.transaction() as conn:
        found = trial_reader.best(conn, job)
    assert found is not None
    assert found.number == best, "the best model is that of the best trial, of equal ones of the first"


def test_a_running_trials_checkpoints_stay_and_its_model_too_until_its_value_is_known(database: Database) -> None:
    submit_job(database)
    good, running = claimed(claimer_of(database)), claimed(claimer_of(database))
    keep(database, good, 4, Kind.MODEL)
    conclude(database, good, Completed(value=0.5))
    keep(database, running, 3)
    keep(database, running, 4)
    keep(database, running, 4, Kind.MODEL)
    assert tidy_up(database) == []
    assert stored(database) == [(0, "model", 4), (1, "state", 3), (1, "state", 4), (1, "model", 4)]
    conclude(database, running, Completed(value=0.4))
    tidy_up(database)
    assert stored(database) == [(1, "model", 4)]


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_paused_jobs_checkpoints_stay_and_a_cancelled_ones_go(database: Database, state: str) -> None:
    job = submit_job(database)
    claim = claimed(claimer_of(database))
    keep(database, claim, 3)
    with database.transaction() as conn:
        (lifecycle.pause if state == "paused" else lifecycle.cancel)(conn, job.id)
    tidy_up(database)
    assert stored(database) == ([(0, "state", 3)] if state == "paused" else [])


def test_the_best_models_of_other_jobs_are_left_alone(database: Database) -> None:
    for value in (0.9, 0.1):
        submit_job(database, budget={"trials": 1})
        claim = claimed(claimer_of(database))
        keep(database, claim, 4, Kind.MODEL)
        conclude(database, claim, Completed(value=value))
    tidy_up(database)
    assert stored(database) == [(0, "model", 4)] * 2


def test_what_nobody_needs_goes_though_nobody_swept_for_hours_after_the_end_of_the_job(database: Database) -> None:
    job = submit_job(database, budget={"trials": 2})
    for value in (0.9, 0.1):
        claim = claimed(claimer_of(database))
        keep(database, claim, 1)
        keep(database, claim, 4, Kind.MODEL)
        conclude(database, claim, Completed(value=value))
    age_job(database, job, hours=5)
    Worker(database, Settings(objective_modules=("tests.quadratic",)))._clean_up()
    assert stored(database) == [(1, "model", 4)]


def test_workers_and_sweepers_at_once_keep_exactly_one_model_of_the_best(database: Database) -> None:
    job = submit_job(database, budget={"trials": 40})
    values = [0.1 + (7 * n % 40) / 40 for n in range(40)]

    def work() -> None:
        claimer: Claimer = claimer_of(database)
        while (claim := claimer.claim(uuid4())) is not None:
            keep(database, claim, 1)
            keep(database, claim, 4, Kind.MODEL)
            conclude(database, claim, Completed(value=values[claim.lease.number]))

    def sweep() -> None:
        for _ in range(30):
            tidy_up(database)

    with ThreadPoolExecutor(6) as pool:
        for done in [*(pool.submit(work) for _ in range(4)), *(pool.submit(sweep) for _ in range(2))]:
            done.result(60)
    tidy_up(database)
    assert stored(database) == [(values.index(min(values)), "model", 4)]
    with database.transaction() as conn:
        best = trial_reader.best(conn, job)
    assert best is not None
    assert best.number == 0


def test_deleting_a_job_removes_its_checkpoints(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    keep(database, claim, 4, Kind.MODEL)
    keep(database, claim, 4)
    conclude(database, claim, Completed(value=1.0))
    with database.transaction() as conn:
        lifecycle.delete(conn, job.id)
    assert stored(database) == []


def test_a_checkpoint_is_in_the_database_or_in_a_folder_and_never_both(database: Database) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    for content, path in ((b"x", "y"), (None, None)):
        wrong = Checkpoint(kind=Kind.STATE, step=1, size=1, sha256=b"", content=content, path=path)
        with pytest.raises(sa.exc.IntegrityError):
            database.transact(lambda conn, wrong=wrong: checkpoints.insert(conn, claim.lease, wrong))  # type: ignore[misc]


# Files.


def file(folder: Path, path: str, age_s: float = 0.0) -> Path:
    found = folder / path
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_bytes(b"x")
    os.utime(found, (time.time() - age_s,) * 2)
    return found


def test_files_that_belong_to_nothing_go_after_their_age_and_no_others(database: Database, tmp_path: Path) -> None:
    submit_job(database)
    claim = claimed(claimer_of(database))
    keep(database, claim, 4, in_folder=True)
    job = claim.job.id
    known = file(tmp_path, str(checkpoint(claim, 4, in_folder=True).path), OLD_S)
    young = [file(tmp_path, f"{job}/0-9-1.checkpoint"), file(tmp_path, f"{job}/.0-9-2.checkpoint.part")]
    users = [
        file(tmp_path, "notes.txt", OLD_S),
        file(tmp_path, f"{job}/notes.txt", OLD_S),
        file(tmp_path, "a/b/c.checkpoint", OLD_S),
    ]
    old = [
        file(tmp_path, f"{job}/0-8-1.checkpoint", OLD_S),
        file(tmp_path, f"{job}/0-8-1.safetensors", OLD_S),
        file(tmp_path, f"{job}/.0-8-2.checkpoint.part", OLD_S),
        file(tmp_path, f"{uuid4()}/0-1-2.checkpoint", OLD_S),
    ]
    checkpoint_files.delete_leftovers(database, tmp_path)
    assert all(path.exists() for path in (known, *young, *users))
    assert not any(path.exists() for path in old)


def test_empty_folders_of_jobs_go_too_after_their_age(database: Database, tmp_path: Path) -> None:
    old, young, users = tmp_path / str(uuid4()), tmp_path / str(uuid4()), tmp_path / "mine"
    for folder in (old, young, users):
        folder.mkdir()
    for folder in (old, users):
        os.utime(folder, (time.time() - OLD_S,) * 2)
    checkpoint_files.delete_leftovers(database, tmp_path)
    assert (old.exists(), young.exists(), users.exists()) == (False, True, True)


def test_a_folder_that_is_not_there_has_no_leftovers(database: Database, tmp_path: Path) -> None:
    checkpoint_files.delete_leftovers(database, tmp_path / "none")
    checkpoint_files.delete(None, ["x"])
    checkpoint_files.delete(tmp_path, ["none/x.checkpoint"])
