"""How the end of a trial is stored, and when it ends its job."""

import math
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from service.dispatch.attempt import Claim
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.domain.job import JobState
from service.domain.measurement import Measurement
from service.domain.training_seeds import training_seed
from service.domain.trial import MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS, TrialError
from service.domain.trial import TrialState as State
from service.errors import LeaseLost
from service.store import leases, measurements, trial_reader
from service.store.postgres import Database
from tests.factories import job_spec, measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, current, events, stored

ERROR = Failed(error=TrialError(type="RuntimeError", message="out of luck", traceback="File x\nRuntimeError: out of luck"))
SEED = {"training_seed": training_seed(job_spec(), number=0)}
"""That of the first trial of a job with the seed 0."""


def finished(database: Database, result: Result, **spec: Any) -> FrozenTrial:
    """The only trial of a job, as stock Optuna reads it."""
    job = submit_job(database, **spec)
    conclude(database, claimed(claimer_of(database)), result)
    return stored(database, job)[0]


def test_a_completed_trial_has_its_value_and_is_feasible(database: Database) -> None:
    trial = finished(database, Completed(value=0.5, user_attrs={"test_loss": 0.75}))
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert trial.system_attrs["constraints"] == [-1.0]
    assert trial.user_attrs == SEED | {"test_loss": 0.75}
    assert trial.datetime_complete is not None


@pytest.mark.parametrize(("direction", "worst"), [("minimize", math.inf), ("maximize", -math.inf)])
def test_a_diverged_trial_is_complete_with_the_worst_value(database: Database, direction: Any, worst: float) -> None:
    job = submit_job(database, direction=direction)
    conclude(database, claimed(claimer_of(database)), Infeasible(step=3, fraction=0.75, evidence="loss became inf at update 90"))
    [trial] = stored(database, job)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, worst)
    assert trial.system_attrs["constraints"] == [0.25]
    assert trial.user_attrs == SEED | {"diverged_at_step": 3, "divergence": "loss became inf at update 90"}


def test_a_trial_that_diverged_earlier_violates_more(database: Database) -> None:
    job = submit_job(database)
    claimer = claimer_of(database)
    for fraction in (0.1, 0.5, 1.0):
        conclude(database, claimed(claimer), Infeasible(step=1, fraction=fraction, evidence=""))
    found = [trial.system_attrs["constraints"] for trial in stored(database, job)]
    assert all(len(entry) == 1 and 0 < entry[0] <= 1 for entry in found)
    assert found == sorted(found, reverse=True)


def test_a_pruned_trial_keeps_its_last_value(database: Database) -> None:
    trial = finished(database, Pruned(value=2.5, step=2))
    assert (trial.state, trial.value) == (TrialState.PRUNED, 2.5)
    assert trial.user_attrs == SEED | {"pruned_at_step": 2}


def test_a_pruned_trial_whose_last_value_is_no_number_has_none(database: Database) -> None:
    trial = finished(database, Pruned(value=math.nan, step=2))
    assert (trial.state, trial.value) == (TrialState.PRUNED, None)


def test_a_failed_trial_says_why(database: Database) -> None:
    trial = finished(database, ERROR)
    assert (trial.state, trial.value) == (TrialState.FAIL, None)
    assert trial.user_attrs["error"] == {
        "type": "RuntimeError",
        "message": "out of luck",
        "traceback": "File x\nRuntimeError: out of luck",
    }


@pytest.mark.parametrize("message", ["a NUL \0 inside", "half a character \udcff", "x" * 1_000_000])
def test_whatever_an_objective_says_can_be_stored(database: Database, message: str) -> None:
    job = submit_job(database, budget={"trials": 3, "failures": 1})
    error = TrialError(type="Odd\0Error", message=message, traceback=message)
    conclude(database, claimed(claimer_of(database)), Failed(error=error))
    with database.transaction() as conn:
        trial = trial_reader.get(conn, current(database, job), 0)
    assert trial.error is not None
    assert len(trial.error.message) <= MESSAGE_CHARACTERS
    assert len(trial.error.traceback or "") <= TRACEBACK_CHARACTERS
    trial.error.message.encode()
    reason = current(database, job).reason
    assert reason is not None
    assert message[:6] in reason


@pytest.mark.parametrize(
    ("result", "noted"),
    [
        (Completed(value=1.0, user_attrs={"test_loss": 0.75}), True),
        (Infeasible(step=1, fraction=0.5, evidence=""), True),
        (Pruned(value=1.0, step=1), True),
        (ERROR, False),
    ],
)
def test_what_is_noted_with_a_result_is_an_attribute_of_every_trial_that_did_not_fail(
    database: Database, result: Result, noted: bool
) -> None:
    job = submit_job(database)
    claim, notes = claimed(claimer_of(database)), {"ignored": ["beta1", "momentum"]}
    database.transact(lambda conn: finish(conn, claim.lease, result, lease_s=LEASE_S, notes=notes))
    [trial] = stored(database, job)
    assert trial.user_attrs.get("ignored") == (notes["ignored"] if noted else None)
    if isinstance(result, Completed):
        assert trial.user_attrs == SEED | notes | dict(result.user_attrs), "other attributes are kept beside it"


def test_a_completed_trial_says_which_step_its_value_is_of(database: Database) -> None:
    trial = finished(database, Completed(value=0.5, best_step=7, user_attrs={"test_loss": 0.75}))
    assert (trial.value, trial.user_attrs) == (0.5, SEED | {"test_loss": 0.75, "best_step": 7})


def test_what_was_measured_since_the_last_report_is_stored_with_the_result(database: Database) -> None:
    job = submit_job(database)
    claim = claimed(claimer_of(database))
    curve = [measurement(1, 3.0), measurement(2, math.nan), measurement(3, math.inf), measurement(4, 1.0)]

    def end(conn: Any) -> None:
        finish(conn, claim.lease, Completed(value=1.0), lease_s=LEASE_S, measurements=curve, log_tail="the last line\n")

    database.transact(end)
    [trial] = stored(database, job)
    assert {step: str(value) for step, value in trial.intermediate_values.items()} == {1: "3.0", 2: "nan", 3: "inf", 4: "1.0"}
    with database.transaction() as conn:
        read: list[Measurement] = measurements.of_trial(conn, claim.lease.trial_id)
        assert [item.step for item in read] == [1, 2, 3, 4]
        assert leases.log_tail(conn, claim.lease.trial_id) == "the last line\n"


def test_a_finish_under_a_lost_lease_changes_nothing(database: Database) -> None:
    job = submit_job(database)
    claim = claimed(claimer_of(database))
    conclude(database, claim, Completed(value=1.0))
    before = (stored(database, job), current(database, job), events(database, job))
    with pytest.raises(LeaseLost):
        conclude(database, claim, Infeasible(step=1, fraction=0.5, evidence=""))
    assert (stored(database, job), current(database, job), events(database, job)) == before


# The end of the job


def test_a_job_completes_with_its_last_trial(database: Database) -> None:
    job = submit_job(database, budget={"trials": 2})
    claimer = claimer_of(database)
    first, second = claimed(claimer), claimed(claimer)
    conclude(database, second, Completed(value=1.0))
    assert current(database, job).state is JobState.RUNNING
    conclude(database, first, Completed(value=2.0))
    ended = current(database, job)
    assert (ended.state, ended.reason) == (JobState.COMPLETED, "all trials of the budget have finished")
    assert ended.finished_at is not None
    assert events(database, job) == [
        "job.submitted",
        "job.started",
        "trial.started",
        "trial.started",
        "trial.completed",
        "trial.completed",
        "job.completed",
    ]


@pytest.mark.parametrize(("direction", "values"), [("minimize", [0.5, 0.4]), ("maximize", [0.1, 0.2])])
def test_a_target_completes_the_job_and_stops_its_other_trials(database: Database, direction: Any, values: list[float]) -> None:
    target = {"minimize": 0.45, "maximize": 0.15}[direction]
    job = submit_job(database, direction=direction, budget={"trials": 10, "target": target})
    claimer = claimer_of(database)
    measured, unmeasured = claimed(claimer), claimed(claimer)
    database.transact(lambda conn: leases.report(conn, measured.lease, [measurement(1, 7.0)], "loss", lease_s=LEASE_S))
    conclude(database, claimed(claimer), Completed(value=values[0]))
    assert current(database, job).state is JobState.RUNNING
    conclude(database, claimed(claimer), Completed(value=values[1]))
    ended = current(database, job)
    assert (ended.state, ended.reason) == (JobState.COMPLETED, f"target reached: {values[1]:g}")
    states = [(trial.state, trial.value) for trial in stored(database, job)]
    assert states[:2] == [(TrialState.PRUNED, 7.0), (TrialState.FAIL, None)]
    for stopped in (measured, unmeasured):
        with pytest.raises(LeaseLost):
            conclude(database, stopped, Completed(value=0.0))


def test_a_diverged_trial_reaches_no_target(database: Database) -> None:
    job = submit_job(database, direction="maximize", budget={"trials": 10, "target": -1e9})
    conclude(database, claimed(claimer_of(database)), Infeasible(step=1, fraction=0.5, evidence=""))
    assert current(database, job).state is JobState.RUNNING


def test_too_many_failures_in_a_row_fail_the_job_and_name_the_error(database: Database) -> None:
    job = submit_job(database, budget={"trials": 10, "failures": 3})
    claimer = claimer_of(database)
    for _ in range(3):
        assert current(database, job).state is not JobState.FAILED
        conclude(database, claimed(claimer), ERROR)
    ended = current(database, job)
    assert ended.state is JobState.FAILED
    assert ended.reason == "3 trials failed in a row; the last one: RuntimeError: out of luck"
    assert claimer.claim(ended.id) is None


@pytest.mark.parametrize(
    "success",
    [Completed(value=1.0), Infeasible(step=1, fraction=0.5, evidence=""), Pruned(value=1.0, step=1)],
)
def test_any_success_ends_a_row_of_failures(database: Database, success: Result) -> None:
    job = submit_job(database, budget={"trials": 10, "failures": 2})
    claimer = claimer_of(database)
    for result in (ERROR, success, ERROR):
        conclude(database, claimed(claimer), result)
    assert current(database, job).state is JobState.RUNNING
    conclude(database, claimed(claimer), ERROR)
    assert current(database, job).state is JobState.FAILED


def test_a_job_counts_its_trials_by_their_ends(database: Database) -> None:
    job = submit_job(
        database, budget={"trials": 10}, try_first=[{"learning_rate": rate} for rate in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    )
    claimer = claimer_of(database)
    results: list[Result] = [
        Completed(value=1.0),
        Infeasible(step=1, fraction=0.5, evidence=""),
        Pruned(value=1.0, step=1),
        ERROR,
    ]
    for result in results:
        conclude(database, claimed(claimer), result)
    running: Claim = claimed(claimer)
    with database.transaction() as conn:
        counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
        assert (counts.complete, counts.infeasible, counts.pruned, counts.failed, counts.running, counts.waiting) == (
            1,
            1,
            1,
            1,
            1,
            1,
        )
        assert trial_reader.get(conn, job, running.lease.number).state is State.RUNNING
        assert trial_reader.get(conn, job, 1).state is State.INFEASIBLE
