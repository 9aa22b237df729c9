import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.analysis.comparison.trade_off import trade_off
from service.analysis.comparison.tuned import Finished
from service.domain.comparison import ConfigurationView, TradeOffView
from service.errors import NothingFinished
from tests.finished_jobs import a_job, a_trial, curve

CURVES = {
    0: curve(0.5, 0.4, 0.38),  # soon there, ends high
    1: curve(0.8, 0.4, 0.2),  # a step later, ends lower
    2: curve(0.9, 0.4, 0.3),  # no sooner than that, and ends higher
    3: curve(0.9, 0.5, 0.1),  # ends lowest; last at 0.4
    4: curve(0.9, 0.9, 0.9),  # never
}
SECONDS = {number: {step: 1.0 for step in (1, 2, 3)} for number in CURVES} | {3: {1: 0.1, 2: 0.1, 3: 0.1}}


def five() -> Finished:
    """Rates 1, 2, ... 5 thousandths."""
    trials = [a_trial(number, (number + 1) / 1000, points[-1].value) for number, points in CURVES.items()]
    return Finished(job=a_job(), trials=trials, curves=CURVES, seconds=SECONDS)


def rates(configurations: Sequence[ConfigurationView]) -> list[float | None]:
    return [each.learning_rate for each in configurations]


def test_on_the_front_is_what_no_other_beats_on_both() -> None:
    found = trade_off(five(), target=0.5)
    assert [(each.learning_rate, each.steps) for each in found.front] == [(0.001, 1.0), (0.004, 2.0)]
    assert found.why_this_target == "as asked for"


def test_who_ends_as_low_later_is_beaten_and_equals_are_not() -> None:
    curves = {0: curve(0.5, 0.2), 1: curve(0.9, 0.2), 2: curve(0.4, 0.2)}
    trials = [a_trial(number, 0.1 + number, 0.2) for number in curves]
    found = trade_off(Finished(job=a_job(), trials=trials, curves=curves), target=0.5)
    assert (rates(found.front), rates(found.others)) == ([0.1, 2.1], [1.1])


def test_speed_may_be_steps_or_seconds() -> None:
    by_steps = trade_off(five(), target=0.4)
    assert [(each.learning_rate, each.steps) for each in by_steps.front] == [(0.002, 2.0), (0.004, 3.0)]
    assert rates(by_steps.others) == [0.003, 0.001, 0.005]
    by_seconds = trade_off(five(), target=0.4, by="seconds")
    assert [(each.learning_rate, each.seconds) for each in by_seconds.front] == [(0.004, pytest.approx(0.3))]


def test_a_configuration_that_never_reaches_the_target_has_no_speed() -> None:
    found = trade_off(five(), target=0.4)
    never = found.others[-1]
    assert (never.learning_rate, never.reached, never.steps, never.seconds) == (0.005, 0, None, None)
    assert trade_off(five(), target=0.01).front == ()


@pytest.mark.parametrize("first", [0, 2, 40_000_000])
def test_steps_that_a_foreign_script_numbers_as_it_likes_have_no_seconds(first: int) -> None:
    points = tuple(replace(point, step=first + index) for index, point in enumerate(curve(0.3, 0.2)))
    trials = [a_trial(0, 0.01, 0.2), a_trial(1, 0.02, 0.2)]
    both = Finished(job=a_job(), trials=trials, curves={0: points, 1: curve(0.3, 0.2)}, seconds={1: {1: 1.0, 2: 1.0}})
    found = trade_off(both, target=0.3, by="seconds")
    assert [(each.learning_rate, each.seconds) for each in found.front] == [(0.02, 1.0)]
    assert [(each.learning_rate, each.steps, each.seconds) for each in found.others] == [(0.01, first, None)]


def test_without_a_target_it_is_a_tenth_from_the_best() -> None:
    found = trade_off(five())
    assert found.target == pytest.approx(0.11)
    assert found.why_this_target == "the best mean final value, 0.1, and a tenth of it worse"
    assert rates(found.front) == [0.004]


def replicated(*values: tuple[float, int, float]) -> TradeOffView:
    """Trials of (rate, replicate, value), each there at its second step."""
    trials = [a_trial(number, rate, value, replicate) for number, (rate, replicate, value) in enumerate(values)]
    curves = {number: curve(9.0, value) for number, (*_, value) in enumerate(values)}
    return trade_off(Finished(job=a_job(replicates=3), trials=trials, curves=curves), target=1.0)


def test_seeds_of_a_point_are_one_configuration_with_its_spread() -> None:
    [found] = replicated((0.1, 0, 0.4), (0.1, 1, 0.6), (0.1, 2, 0.5)).front
    assert (found.trials, found.reached, found.steps, found.seconds) == ((0, 1, 2), 3, 2.0, None)
    assert (found.final.mean, found.final.low, found.final.high) == pytest.approx((0.5, 0.4, 0.6))
    assert found.final.sd == pytest.approx(0.1)


def test_the_same_seed_again_is_no_second_seed() -> None:
    [found] = replicated((0.1, 0, 0.4), (0.1, 0, 0.6)).front
    assert (found.trials, found.final.sd) == ((0,), None)


def test_a_configuration_that_diverges_with_a_seed_is_not_on_the_front() -> None:
    found = replicated((0.1, 0, 0.4), (0.1, 1, math.inf), (0.01, 0, 0.5))
    assert rates(found.front) == [0.01]
    assert [(each.learning_rate, each.diverged) for each in found.others] == [(0.1, 1)]


def test_where_seeds_spread_wider_than_a_tenth_the_target_does_too() -> None:
    trials = [a_trial(number, 0.1, value, number) for number, value in enumerate((0.4, 0.6, 0.5))]
    found = trade_off(Finished(job=a_job(replicates=3), trials=trials, curves={}))
    assert found.target == pytest.approx(0.6)
    assert found.why_this_target.endswith("and the standard deviation over seeds worse")


def test_a_metric_to_be_maximized_is_reached_from_below() -> None:
    curves = {0: curve(0.2, 0.7, 0.8), 1: curve(0.7, 0.72, 0.75)}
    trials = [a_trial(number, 0.1 + number, points[-1].value) for number, points in curves.items()]
    found = trade_off(Finished(job=a_job(0, direction="maximize"), trials=trials, curves=curves), target=0.7)
    assert [(each.learning_rate, each.steps) for each in found.front] == [(1.1, 1.0), (0.1, 2.0)]


def test_without_a_finished_trial_there_is_nothing_to_weigh() -> None:
    with pytest.raises(NothingFinished, match="None of the job's trials has trained to its end with a finite loss"):
        trade_off(Finished(job=a_job(), trials=[a_trial(0, 0.1, math.inf)], curves={}))
