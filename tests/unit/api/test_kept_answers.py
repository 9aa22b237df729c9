"""What is worked out once, and what is worked out again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.api.kept_answers import KEPT, KeptAnswers
from service.domain.trial import Trial
from tests.finished_jobs import a_job, a_trial


def test_what_many_ask_at_once_is_thought_of_once() -> None:
    answers, thoughts, may_think = KeptAnswers(), list[int](), threading.Event()

    def think() -> int:
        assert may_think.wait(60)
        thoughts.append(1)
        return len(thoughts)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(answers.once, "key", think) for _ in range(8)]
        may_think.set()
        assert [one.result(timeout=60) for one in asked] == [1] * 8


def test_one_thinks_at_a_time_and_what_is_known_waits_for_nobody() -> None:
    answers, thinks, may_end = KeptAnswers(), threading.Event(), threading.Event()
    answers.once("known", lambda: 1)

    def slowly() -> int:
        thinks.set()
        assert may_end.wait(60)
        return 2

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(answers.once, "slow", slowly)
        assert thinks.wait(60)
        other = pool.submit(answers.once, "other", lambda: slow.done() or may_end.is_set())
        assert answers.once("known", lambda: pytest.fail("it is known")) == 1
        assert not other.done()
        may_end.set()
        assert (slow.result(timeout=60), other.result(timeout=60)) == (2, True)


def test_an_error_is_raised_and_not_kept() -> None:
    answers = KeptAnswers()
    with pytest.raises(KeyError):
        answers.once("key", lambda: {}["missing"])
    assert answers.once("key", lambda: 2) == 2


def test_the_answers_asked_for_last_are_kept() -> None:
    answers = KeptAnswers()
    for number in range(KEPT):
        answers.once(number, lambda: "first")
    answers.once(0, lambda: "again")
    answers.once(KEPT, lambda: "first")
    assert answers.once(0, lambda: "again") == "first"
    assert answers.once(1, lambda: "again") == "again"


def test_trials_are_read_again_for_a_brief_answer_once_another_has_finished() -> None:
    answers, job, trials, times = KeptAnswers(), a_job(), [a_trial(0, 0.1, 0.5)], list[int]()

    def read() -> list[Trial]:
        times.append(len(trials))
        return list(trials)

    first = answers.brief(job, 1, read)
    assert answers.brief(job, 1, read) is first
    trials.append(a_trial(1, 0.01, 0.2))
    second = answers.brief(job, 2, read)
    assert not isinstance(second, str)
    assert second.answer.learning_rate == 0.01
    assert times == [1, 2]
