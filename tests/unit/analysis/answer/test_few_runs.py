"""What is said of trials that are too few for a curve."""

import math
from dataclasses import replace

import pytest

from service.analysis.answer.best_lr import answer
from service.domain.job import JobState
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import a_job, trial

SPACE = {"momentum": {"type": "float", "low": 0.0, "high": 0.9}}
ENDS = ": about 16 trials at as many rates would give an interval"


def command(further: int) -> str:
    """That of the finished job of these tests."""
    return f" (stride extend 00000001 --trials {further})"


def of_seed(number: int, rate: float, seed: int, value: float = 0.5) -> Trial:
    return trial(number, rate, value, user_attrs={"training_seed": seed})


def test_repeats_are_no_further_runs() -> None:
    trials = [of_seed(number, rate, 0) for number, rate in enumerate([0.001, 0.01, 0.001, 0.01, 0.001])]
    found = answer(a_job(training_seed="shared"), trials)
    told = "only 2 trials have trained to the end, at 2 different rates (others: 3 repeat runs)"
    assert found.because == told + ENDS + "; all of it with training seed 0 alone" + command(14)


def test_trials_without_a_searched_parameter_are_named() -> None:
    trials = [trial(0, 0.01, 0.5, momentum=0.1), trial(1, 0.02, 0.6), trial(2, 0.03, 0.6, momentum="much")]
    found = answer(a_job(space=SPACE), trials)
    told = "only 1 trial has trained to the end, at 1 rate (others: 2 lack parameters that the job searches, or a value below"
    assert found.because == f"{told} 1e+100){ENDS}{command(15)}"


def test_one_of_each_kind() -> None:
    trials = [trial(0, 0.01, 0.5, momentum=0.1), trial(1, 0.02, 0.6), trial(2, 0.03, 1e200, momentum=0.1)]
    found = answer(a_job(space=SPACE), trials)
    told = "(others: 2 lack parameters that the job searches, or a value below 1e+100)"
    assert told in found.because


def test_seeds_of_their_own_leave_nothing_to_explain() -> None:
    found = answer(a_job(), [of_seed(number, 0.01 if number % 2 else 0.1, number) for number in range(6)])
    assert found.because == "the 6 trials that have trained to the end did so at 2 different rates" + ENDS + command(14)


@pytest.mark.parametrize("value", [1e101, 1e300, 1.7e308])
def test_values_too_large_to_be_squared_are_left_out_and_that_is_said(value: float) -> None:
    found = answer(a_job(), [trial(number, 10.0**-number, value) for number in range(1, 5)])
    assert found.interval is None
    assert "a loss that is no larger than 1e+100" in found.because


def test_of_explosions_alone_nothing_is_told() -> None:
    trials = [trial(0, 0.1, math.inf, TrialState.INFEASIBLE), *(trial(number, 0.2, 1e300) for number in range(1, 4))]
    assert answer(a_job(), trials).interval is None


def test_the_command_that_adds_trials_is_named_where_it_would_add_some() -> None:
    trials = [of_seed(number, 0.01 if number % 2 else 0.1, number) for number in range(6)]
    finished = a_job()
    assert finished.can_run_on
    grid = replace(finished, phases=(replace(finished.phase, counts_points=True),))
    others = [replace(finished, state=state) for state in JobState if state not in (JobState.COMPLETED, JobState.CANCELLED)]
    for job in [grid, *others]:
        assert "stride extend" not in answer(job, trials).because
    assert answer(replace(finished, state=JobState.CANCELLED), trials).because.endswith(command(14))
