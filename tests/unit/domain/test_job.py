import pytest
from pydantic import ValidationError

from service.domain.events import FINAL_EVENTS
from service.domain.job import FINAL, MOVES, OPEN, JobState
from service.domain.request import JobRequest
from service.domain.spec import JobSpec
from tests.factories import MEANING, job_spec


@pytest.mark.parametrize("name", ["search_space", "budget", "metric", "direction", "meaning"])
def test_a_job_that_can_be_run_lacks_nothing(name: str) -> None:
    document = job_spec().model_dump() | {"direction": "minimize", "meaning": MEANING}
    assert JobSpec.model_validate(document) == job_spec()
    for lacking in ({key: value for key, value in document.items() if key != name}, document | {name: None}):
        with pytest.raises(ValidationError, match=name):
            JobSpec.model_validate(lacking)


def test_the_document_of_a_job_that_can_be_run_is_that_of_a_request() -> None:
    text = job_spec(direction="maximize").model_dump_json()
    assert JobRequest.model_validate_json(text).model_dump_json() == text


def test_every_state_says_where_it_may_lead() -> None:
    assert set(MOVES) == set(JobState)


def test_a_final_state_leads_nowhere_and_has_an_event() -> None:
    assert {state for state in JobState if not MOVES[state]} == FINAL == set(FINAL_EVENTS)


def test_every_open_state_can_be_cancelled() -> None:
    assert all(JobState.CANCELLED in MOVES[state] for state in OPEN)


def test_only_a_running_job_completes_or_fails() -> None:
    for outcome in (JobState.COMPLETED, JobState.FAILED):
        assert [state for state in JobState if outcome in MOVES[state]] == [JobState.RUNNING]
