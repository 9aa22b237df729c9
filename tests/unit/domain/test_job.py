from service.domain.events import FINAL_EVENTS
from service.domain.job import FINAL, MOVES, OPEN, JobState


def test_every_state_says_where_it_may_lead() -> None:
    assert set(MOVES) == set(JobState)


def test_a_final_state_leads_nowhere_and_has_an_event() -> None:
    assert {state for state in JobState if not MOVES[state]} == FINAL == set(FINAL_EVENTS)


def test_every_open_state_can_be_cancelled() -> None:
    assert all(JobState.CANCELLED in MOVES[state] for state in OPEN)


def test_only_a_running_job_completes_or_fails() -> None:
    for outcome in (JobState.COMPLETED, JobState.FAILED):
        assert [state for state in JobState if outcome in MOVES[state]] == [JobState.RUNNING]
