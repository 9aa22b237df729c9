"""Trials as people ask for them."""

import math
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.domain.job import JobState
from service.domain.objective import Direction
from service.domain.training_seeds import training_seed
from service.domain.trial import TrialCounts, TrialError, TrialState
from service.errors import TrialNotFound
from service.store import jobs, leases, trial_reader
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.stock_optuna import stock


@pytest.fixture(name="stock")
def _stock(database_url: str) -> Iterator[RDBStorage]:
    with stock(database_url) as storage:
        yield storage


def run(database: Database, *results: Result | None) -> None:
    """One trial per result; None leaves it running."""
    claimer = Claimer(database, uuid4(), ["quadratic"], lease_s=30)
    for result in results:
        claim = claimer.claim(uuid4())
        assert claim is not None
        with database.transaction() as conn:
            leases.report(conn, claim.lease, [measurement(1)], "loss", lease_s=30)
            if result is not None:
                finish(conn, claim.lease, result, lease_s=30)


INFEASIBLE = Infeasible(step=1, fraction=0.25, evidence="loss became inf")
FAILED = Failed(error=TrialError(type="ValueError", message="no", traceback="line 1"))


def test_counts_are_the_six_states_of_every_study_asked_for(database: Database) -> None:
    job = submit_job(database, try_first=[{"learning_rate": 0.1}] * 7, budget={"trials": 20})
    run(database, Completed(value=1.0), Completed(value=2.0), INFEASIBLE, Pruned(value=3.0, step=1), FAILED, None)
    empty = submit_job(database)
    with database.transaction() as conn:
        counts = trial_reader.counts(conn, [job.study_id, empty.study_id])
        assert trial_reader.counts(conn, []) == {}
        listed = trial_reader.page(conn, job, limit=100)
    assert counts == {
        job.study_id: TrialCounts(waiting=1, running=1, complete=2, infeasible=1, pruned=1, failed=1),
        empty.study_id: TrialCounts(),
    }
    assert counts[job.study_id].total == 7 == len(listed)
    assert [trial.state for trial in listed] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.INFEASIBLE,
        TrialState.PRUNED,
        TrialState.FAILED,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]


def test_counts_and_pages_agree_on_foreign_results_whatever_they_carry(database: Database, stock: RDBStorage) -> None:
    job = submit_job(database)
    study = optuna.load_study(study_name=job.study_name, storage=stock)
    violated: list[Any] = [[1.0], [-1.0, 2.0], [5], [math.inf]]
    fine: list[Any] = [[-1.0], [0], [-math.inf], []]
    odd: list[Any] = [None, {}, {"a": 1}, "high", "NUL \0", "half \ud800", 5, [None], ["x"], [math.nan], [[1]], True]
    for constraints in (*violated, *fine, *odd):
        study.add_trial(create_trial(value=1.0, system_attrs={"constraints": constraints}))
    with database.transaction() as conn:
        counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
        listed = trial_reader.page(conn, job, limit=100)
    assert counts == TrialCounts(infeasible=len(violated), complete=len(fine) + len(odd))
    states = [TrialState.INFEASIBLE] * counts.infeasible + [TrialState.COMPLETE] * counts.complete
    assert [trial.state for trial in listed] == states


def test_what_foreign_scripts_keep_under_our_names_does_no_harm(database: Database, stock: RDBStorage) -> None:
    job = submit_job(database)
    study = optuna.load_study(study_name=job.study_name, storage=stock)
    readable = {"type": "E", "message": "m", "traceback": 1}
    errors: list[Any] = ["text", {"type": 1}, {"type": None, "message": {}}, ["list"], None, readable]
    for error, step in zip(errors, ["never", {"a": 1}, [1], None, 1.5, "1"], strict=True):
        study.add_trial(create_trial(value=1.0, user_attrs={"error": error, "diverged_at_step": step}))
    with database.transaction() as conn:
        found = trial_reader.page(conn, job, limit=100)
    assert [trial.diverged_at_step for trial in found] == [None] * len(errors)
    assert [trial.error for trial in found] == [None] * 5 + [TrialError(type="E", message="m")]


@pytest.mark.parametrize(("direction", "best", "worst"), [("minimize", 0.5, 2.0), ("maximize", 2.0, 0.5)])
def test_the_best_trial_is_the_complete_one_with_the_best_finite_value(
    database: Database, direction: Direction, best: float, worst: float
) -> None:
    job = submit_job(database, direction=direction)
    with database.transaction() as conn:
        assert trial_reader.best(conn, job) is None
    run(database, INFEASIBLE, FAILED, None, Pruned(value=-100.0 if direction == "minimize" else 100.0, step=1))
    with database.transaction() as conn:
        assert trial_reader.best(conn, job) is None
    run(database, Completed(value=worst), Completed(value=best), Completed(value=best), Completed(value=1.0))
    with database.transaction() as conn:
        found = trial_reader.best(conn, job)
    assert found is not None
    assert (found.number, found.value, found.state) == (5, best, TrialState.COMPLETE)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_a_foreign_infinite_value_is_never_the_best(database: Database, stock: RDBStorage, value: float) -> None:
    job = submit_job(database)
    study = optuna.load_study(study_name=job.study_name, storage=stock)
    study.add_trial(create_trial(value=value))
    study.add_trial(create_trial(value=7.0))
    with database.transaction() as conn:
        found = trial_reader.best(conn, job)
    assert found is not None
    assert found.value == 7.0


def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    job = submit_job(database)
    run(database, *[Completed(value=1.0)] * 5)
    with database.transaction() as conn:
        first = trial_reader.page(conn, job, limit=2)
        second = trial_reader.page(conn, job, limit=2, after=first[-1].number)
        third = trial_reader.page(conn, job, limit=2, after=second[-1].number)
        fourth = trial_reader.page(conn, job, limit=2, after=third[-1].number)
    assert [[trial.number for trial in page] for page in (first, second, third, fourth)] == [[0, 1], [2, 3], [4], []]
    assert [len(trial.attempts) for trial in (*first, *second, *third)] == [1] * 5


def test_one_trial_is_told_in_full(database: Database) -> None:
    job = submit_job(database)
    run(database, Completed(value=1.5, user_attrs={"test_loss": 1.6}), INFEASIBLE, FAILED)
    with database.transaction() as conn:
        complete, diverged, failed = (trial_reader.get(conn, job, number) for number in range(3))
        with pytest.raises(TrialNotFound, match="no trial 3"):
            trial_reader.get(conn, job, 3)
        assert [trial.number for trial in trial_reader.finished(conn, job)] == [0, 1]
    seeds = [{"training_seed": training_seed(job.spec, number=number)} for number in range(3)]
    assert (complete.value, complete.user_attrs) == (1.5, seeds[0] | {"test_loss": 1.6})
    assert set(complete.params) == {"learning_rate", "epochs", "momentum"}
    assert (complete.params["epochs"], complete.params["momentum"]) == (4, 0.9)
    assert complete.started_at is not None
    assert complete.finished_at is not None
    assert complete.attempts[0].started_at <= complete.finished_at
    assert (diverged.value, diverged.diverged_at_step) == (math.inf, 1)
    assert failed.error == FAILED.error
    assert failed.user_attrs == seeds[2]


def test_an_error_message_of_any_text_fails_the_trial_and_the_job(database: Database) -> None:
    job = submit_job(database, budget={"trials": 5, "failures": 1})
    message = "NUL \0 half a pair \ud800 Größe 🎛"
    run(database, Failed(error=TrialError(type="ValueError", message=message)))
    with database.transaction() as conn:
        failed = jobs.get(conn, job.id)
        trial = trial_reader.get(conn, job, 0)
    assert failed.state is JobState.FAILED
    assert failed.reason is not None
    assert trial.error is not None
    assert trial.error.message in failed.reason
    assert "Größe 🎛" in trial.error.message


def test_a_foreign_enqueued_value_of_any_text_does_not_stop_the_job(database: Database, stock: RDBStorage) -> None:
    space = {"mode": {"type": "categorical", "choices": ["plain", "fancy"]}, "learning_rate": 0.1, "epochs": 4}
    job = submit_job(database, search_space=space)
    study = optuna.load_study(study_name=job.study_name, storage=stock)
    study.enqueue_trial({"mode": "NUL \0 half a pair \ud800"})
    run(database, Completed(value=1.0), Completed(value=1.0))
    assert [trial.state for trial in study.trials] == [OptunaState.COMPLETE] * 2
