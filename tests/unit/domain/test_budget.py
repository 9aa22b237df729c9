from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from service.domain.budget import all_issued, target_reached, verdict
from service.domain.job import Job, JobState
from service.domain.request import Direction
from tests.factories import job_spec


def running_job(next_point: int = 0, *, counts_points: bool = False, **spec: Any) -> Job:
    return Job(
        id=uuid4(),
        name=None,
        state=JobState.RUNNING,
        reason=None,
        spec=job_spec(**spec),
        study_id=1,
        study_name="study",
        next_point=next_point,
        counts_points=counts_points,
        failures_in_a_row=0,
        deadline_at=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        finished_at=None,
    )


def judged(job: Job, **overrides: Any) -> tuple[JobState, str] | None:
    facts: dict[str, Any] = {
        "next_number": 0,
        "open_leases": 0,
        "waiting": False,
        "failures_in_a_row": 0,
        "value": None,
        "error": None,
    }
    return verdict(job, **facts | overrides)


def test_a_budget_of_trials_counts_numbers() -> None:
    job = running_job(budget={"trials": 10})
    assert not all_issued(job, 9)
    assert all_issued(job, 10)
    assert all_issued(job, 11)


def test_a_grid_counts_its_own_points_and_not_the_numbers_that_foreign_trials_took() -> None:
    assert not all_issued(running_job(next_point=9, counts_points=True), next_number=30)
    assert all_issued(running_job(next_point=10, counts_points=True), next_number=10)


def test_a_job_without_a_budget_of_trials_is_never_all_issued() -> None:
    assert not all_issued(running_job(budget={"seconds": 60}), 1_000_000)


@pytest.mark.parametrize(
    ("direction", "value", "reached"),
    [
        ("minimize", 0.2, False),
        ("minimize", 0.1, True),
        ("minimize", float("inf"), False),
        ("maximize", 0.0, False),
        ("maximize", 0.1, True),
        ("maximize", float("-inf"), False),
    ],
)
def test_a_target_is_reached_by_a_value_at_least_as_good(direction: Direction, value: float, reached: bool) -> None:
    assert target_reached(running_job(direction=direction, budget={"target": 0.1}), value) is reached


def test_a_trial_without_a_value_reaches_no_target() -> None:
    assert not target_reached(running_job(budget={"target": 0.1}), None)


def test_a_target_of_zero_is_a_target() -> None:
    assert target_reached(running_job(budget={"target": 0.0}), -1.0)
    assert not target_reached(running_job(budget={"target": 0.0}), 1.0)


def test_a_job_completes_when_everything_is_issued_and_nothing_is_leased_or_waiting() -> None:
    job = running_job(budget={"trials": 10})
    assert judged(job, next_number=9) is None
    assert judged(job, next_number=10, open_leases=1) is None
    assert judged(job, next_number=10, waiting=True) is None
    assert judged(job, next_number=10) == (JobState.COMPLETED, "all trials of the budget have finished")


def test_a_job_whose_trials_all_failed_has_failed_though_they_were_fewer_than_end_a_job() -> None:
    three, one = running_job(budget={"trials": 3}), running_job(budget={"trials": 1})
    assert judged(three, next_number=3, failures_in_a_row=3, error="ValueError: no") == (
        JobState.FAILED,
        "all 3 trials failed; the last error: ValueError: no",
    )
    assert judged(one, next_number=1, failures_in_a_row=1, error="ValueError: no") == (
        JobState.FAILED,
        "its only trial failed: ValueError: no",
    )
    assert judged(three, next_number=3, failures_in_a_row=2, error="ValueError: no") == (
        JobState.COMPLETED,
        "all trials of the budget have finished",
    )


def test_too_many_failures_in_a_row_fail_the_job_and_the_reason_names_the_error() -> None:
    job = running_job(budget={"trials": 10, "failures": 3})
    assert judged(job, failures_in_a_row=2, error="ValueError: no") is None
    assert judged(job, failures_in_a_row=3, error="ValueError: no") == (
        JobState.FAILED,
        "3 trials failed in a row; the last one: ValueError: no",
    )


def test_a_job_that_allows_no_failure_says_so_in_good_english() -> None:
    job = running_job(budget={"trials": 10, "failures": 1})
    assert judged(job, failures_in_a_row=1, error="ValueError: no") == (JobState.FAILED, "a trial failed: ValueError: no")


def test_five_failures_in_a_row_fail_a_job_that_says_nothing_of_failures() -> None:
    assert judged(running_job(budget={"trials": 10}), failures_in_a_row=4, error="E: e") is None
    assert judged(running_job(budget={"trials": 10}), failures_in_a_row=5, error="E: e") is not None


def test_a_job_that_fails_with_its_last_trial_has_failed() -> None:
    job = running_job(budget={"trials": 3, "failures": 3})
    found = judged(job, next_number=3, failures_in_a_row=3, error="E: e")
    assert found is not None
    assert found[0] is JobState.FAILED
