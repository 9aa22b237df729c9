"""Stock Optuna and our workers write into one study at once, each in processes of its own."""

from collections.abc import Callable
from itertools import chain
from uuid import uuid4

import optuna
import pytest
import sqlalchemy as sa

from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.store import trials
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.processes import at_once, wait_for_the_others
from tests.stock_optuna import stock


def ask_and_tell(url: str, study_name: str, n_trials: int) -> list[int]:
    """A user's own script. Returns the numbers it got."""
    numbers = []
    with stock(url) as storage:
        study = optuna.load_study(study_name=study_name, storage=storage)
        wait_for_the_others()
        for _ in range(n_trials):
            trial = study.ask()
            trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
            trial.report(1.0, 1)
            study.tell(trial, trial.params["learning_rate"])
            numbers.append(trial.number)
    return numbers


def enqueue(url: str, study_name: str, n_trials: int) -> list[int]:
    """A user who adds points of their own by hand while all others are at work. They get no number here."""
    with stock(url) as storage:
        study = optuna.load_study(study_name=study_name, storage=storage)
        wait_for_the_others()
        for number in range(n_trials):
            study.enqueue_trial({"learning_rate": 10.0 ** -(1 + number % 4)})
    return []


def claim_and_finish(url: str, study_name: str, n_trials: int) -> list[int]:
    """A worker of ours, with a no-op objective. No number of its is taken by others, not even once and then tried again."""
    database = Database(url)
    refused: list[str] = []
    sa.event.listen(database._engine, "handle_error", lambda context: refused.append(str(context.original_exception)))
    claimer = Claimer(database, uuid4(), ["quadratic"], lease_s=30)
    wait_for_the_others()
    numbers = []
    while len(numbers) < n_trials:
        claim = claimer.claim(uuid4())
        if claim is None:  # outrun ten times in a row; a worker asks again
            continue
        lease = claim.lease
        with database.transaction() as conn:
            report(conn, claim.job, lease, [measurement(1)], lease_s=30)
        database.transact(lambda conn, lease=lease: finish(conn, lease, Completed(value=1.0), lease_s=30))
        numbers.append(lease.number)
    database.close()
    assert refused == []
    return numbers


@pytest.mark.parametrize("strategy", ["random", {"type": "bayesian", "sampler": "tpe"}])
def test_numbers_have_no_gap_and_no_double_when_stock_optuna_and_workers_write_at_once(
    database: Database, database_url: str, strategy: object
) -> None:
    job = submit_job(database, strategy=strategy, budget={"trials": 10_000})
    roles: list[tuple[Callable[[str, str, int], list[int]], int]] = [
        (ask_and_tell, 8),
        (ask_and_tell, 8),
        (enqueue, 6),
        (claim_and_finish, 15),
        (claim_and_finish, 15),
    ]
    numbers = list(chain.from_iterable(at_once([(role, (database_url, job.study_name, n_trials)) for role, n_trials in roles])))
    with database.transaction() as conn:
        stored = list(trials.trials_since(conn, job.study_id))
    assert [record.number for record in stored] == list(range(len(stored)))  # by id: the order of ids is that of numbers
    assert len(numbers) == len(set(numbers)) == 8 + 8 + 15 + 15
    finished = {record.number for record in stored if record.state == "COMPLETE"}
    assert finished == set(numbers)
    assert {record.state for record in stored} <= {"COMPLETE", "WAITING"}
    # Every enqueued trial is there: taken by one of them, or still waiting.
    assert sum("fixed_params" in record.system_attrs for record in stored) == 6
    assert {record.number for record in stored if record.leased}.isdisjoint(numbers[:16])
