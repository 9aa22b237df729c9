import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.analysis.answer.across_jobs import in_brief
from service.analysis.answer.best_lr import answer
from service.domain.answer import AnswerVerdict
from service.domain.objective import Direction
from service.domain.trial import Trial, TrialState
from service.errors import NoLearningRate, NothingFinished
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, diverged, job


def test_the_answer_is_the_complete_trial_with_the_lowest_value() -> None:
    found = answer(job(), [trial(0, 0.1, 0.5), trial(1, 0.01, 0.2), trial(2, 0.02, 0.1, TrialState.PRUNED), diverged(3, 0.9)])
    assert (found.learning_rate, found.verdict, found.at_edge) == (0.01, AnswerVerdict.MORE_TRIALS, None)
    assert found.best_trial is not None
    assert found.best_trial.number == 1
    assert (found.evidence.trials, found.evidence.pruned, found.evidence.infeasible, found.evidence.seeds) == (4, 1, 1, 4)


def test_a_metric_to_be_maximized_has_its_highest_value() -> None:
    assert answer(job(direction="maximize"), [trial(0, 0.1, 0.5), trial(1, 0.01, 0.2)]).learning_rate == 0.1


@pytest.mark.parametrize(
    ("space", "rate", "edge"),
    [
        (LOG, 1e-4, "low"),
        (LOG, 1.5e-4, "low"),  # within a twentieth of the decades
        (LOG, 1.7e-4, None),
        (LOG, 0.6, None),
        (LOG, 0.7, "high"),
        (LOG, 3.0, "high"),  # foreign: beyond the range
        ({"type": "float", "low": 0.0, "high": 1.0}, 0.04, "low"),
        ({"type": "float", "low": 0.0, "high": 1.0}, 0.06, None),
        ({"type": "int", "low": 1, "high": 9}, 9, "high"),
        ({"type": "int", "low": 1, "high": 9}, 5, None),
        ({"type": "categorical", "choices": [0.1, 0.01, 0.001]}, 0.001, "low"),
        ({"type": "categorical", "choices": [0.1, 0.01, 0.001]}, 0.01, None),
        ({"type": "categorical", "choices": [0.1]}, 0.1, None),
        (0.1, 0.1, None),
    ],
)
def test_the_edge_is_the_outermost_twentieth_as_it_was_searched(space: Any, rate: float, edge: str | None) -> None:
    found = answer(job(search_space={"learning_rate": space}), [trial(0, rate, 0.1), trial(1, 0.033, 0.2)])
    assert found.at_edge == edge
    is_fixed = not isinstance(space, dict) or len(space.get("choices", [])) == 1
    assert found.verdict == (AnswerVerdict.RANGE_TOO_NARROW if edge or is_fixed else AnswerVerdict.MORE_TRIALS)
    if edge:
        assert ("lower" if edge == "low" else "higher") in found.because


def test_of_a_single_rate_nobody_can_say_that_others_would_be_better() -> None:
    found = answer(job(), [trial(0, 1e-4, 0.1), trial(1, 1e-4, 0.2)])
    assert (found.at_edge, found.verdict) == (None, AnswerVerdict.MORE_TRIALS)


def test_all_diverged_is_an_answer_without_a_rate() -> None:
    found = answer(job(), [diverged(0, 0.9), diverged(1, 0.5)])
    assert (found.learning_rate, found.best_trial, found.verdict) == (None, None, AnswerVerdict.ALL_DIVERGED)
    assert found.because == "every rate tried diverged, down to 0.5: look below it"
    fixed = answer(job(search_space={"learning_rate": 0.9}), [diverged(0, 0.9)])
    assert fixed.because == "every trial diverged at the job's learning rate, 0.9: look below it"


def test_there_is_no_answer_before_a_trial_has_finished() -> None:
    with pytest.raises(NothingFinished, match="No trial has finished yet"):
        answer(job(), [])


def test_pruned_trials_alone_are_no_answer_and_the_message_says_how_many() -> None:
    with pytest.raises(NothingFinished, match="The only trial that ended has not trained to its end with a finite loss"):
        answer(job(), [trial(0, 0.1, 0.3, TrialState.PRUNED)])


def test_an_objective_without_a_learning_rate_has_no_answer() -> None:
    with pytest.raises(NoLearningRate):
        answer(job(search_space={"momentum": 0.9}), [trial(0, None, 0.1)])


@pytest.mark.parametrize("rate", [None, "fast", True, math.nan, math.inf])
def test_a_foreign_trial_without_a_rate_is_left_out(rate: Any) -> None:
    found = answer(job(), [trial(0, rate, 0.0), trial(1, 0.01, 0.5)])
    assert found.learning_rate == 0.01
    assert found.evidence.trials == 1


@pytest.mark.parametrize("rate", [0, -0.5, 1e308])
def test_a_rate_that_nobody_trains_with_is_not_the_best(rate: float) -> None:
    linear = job(search_space={"learning_rate": {"type": "float", "low": 0.0, "high": 1.0}})
    assert answer(linear, [trial(0, rate, -5.0), trial(1, 0.01, 0.5), trial(2, 0.02, 0.6)]).learning_rate == 0.01
    with pytest.raises(NothingFinished, match="at a rate above zero"):
        answer(linear, [trial(0, rate, 0.5)])


RATES = st.floats(1e-4, 1.0)
TRIALS = st.lists(
    st.tuples(RATES, st.floats(-1e6, 1e6), st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE])),
    max_size=12,
).map(
    lambda drawn: [
        trial(number, rate, math.inf if state is TrialState.INFEASIBLE else value, state)
        for number, (rate, value, state) in enumerate(drawn)
    ]
)


@given(TRIALS, st.sampled_from(["minimize", "maximize"]))
def test_no_complete_trial_is_better_than_the_answer(trials: list[Trial], direction: Direction) -> None:
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    try:
        found = in_brief(job(direction=direction), trials).answer
    except NothingFinished:
        assert not complete
        assert not trials or any(trial.state is TrialState.PRUNED for trial in trials)
        return
    assert found.evidence.trials == len(trials)
    if not complete:
        assert found.verdict == AnswerVerdict.ALL_DIVERGED
        return
    values = [trial.value for trial in complete if trial.value is not None]
    assert found.best_trial is not None
    assert found.best_trial.value == (min(values) if direction == "minimize" else max(values))
    assert found.learning_rate == found.best_trial.params["learning_rate"]
    assert (found.at_edge is None) == (found.verdict == AnswerVerdict.MORE_TRIALS)


@given(TRIALS)
def test_the_order_of_trials_does_not_change_the_value(trials: list[Trial]) -> None:
    def value(of: list[Trial]) -> float | None:
        best = in_brief(job(), of).answer.best_trial
        return best.value if best else None

    try:
        expected = value(trials)
    except NothingFinished:
        return
    assert value(trials[::-1]) == expected
