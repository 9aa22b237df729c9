import math

import numpy as np
import pytest

from service.report.batch_scaling import BEYOND_THE_CURVES, BatchScaling, fit_power
from service.report.best_lr import answer
from tests.finished_jobs import trial
from tests.unit.report.trials import LOG, bowl, job, trained

SIZES = (16, 32, 64, 128)
RANDOM = np.random.default_rng(0)


def scaling(power: float, sd: float = 0.05, sizes: tuple[int, ...] = SIZES, at_16: float = -2.0) -> BatchScaling:
    rates = at_16 + power * np.log10(np.array(sizes) / 16)
    found = fit_power(sizes, list(rates), rates + sd * RANDOM.standard_normal((2_000, len(sizes))))
    assert found is not None
    return found


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_power_is_found_and_lies_in_its_interval(power: float) -> None:
    found = scaling(power)
    assert found.power == pytest.approx(power, abs=0.02)
    assert found.interval.low < power < found.interval.high


def test_the_interval_is_that_of_least_squares() -> None:
    x = np.log10(SIZES)
    expected = 1.645 * math.hypot(0.05 / math.sqrt(float(((x - x.mean()) ** 2).sum())), BEYOND_THE_CURVES)
    found = scaling(0.7)
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("power", "sd", "linear", "square_root", "says"),
    [
        (1.0, 0.05, True, False, "scale it linearly"),
        (0.5, 0.05, False, True, "scale it with the square root"),
        (0.75, 0.4, True, True, "do not tell linear from square-root"),
        (0.0, 0.05, False, False, "neither linear nor square-root"),
    ],
)
def test_the_usual_rules_are_compared(power: float, sd: float, linear: bool, square_root: bool, says: str) -> None:
    found = scaling(power, sd)
    assert (found.linear, found.square_root) == (linear, square_root)
    assert says in found.because


@pytest.mark.parametrize("differing", [0, 15])
def test_draws_that_are_alike_make_no_power_certain(differing: int) -> None:
    draws = np.tile([-2.0, -1.9, -1.8, -1.7], (500, 1))
    draws[:differing] += [0.0, 0.0, 0.1, 0.3]
    found = fit_power(SIZES, list(draws[-1]), draws)
    assert found is not None
    assert found.interval.low + 0.1 < found.power < found.interval.high - 0.1


def test_rates_that_lie_on_no_line_widen_the_interval() -> None:
    bent = np.array([-2.0, -1.2, -1.9, -1.1])
    found = fit_power(SIZES, list(bent), bent + 0.05 * RANDOM.standard_normal((2_000, 4)))
    straight = scaling(0.7)
    assert found is not None
    assert found.interval.high - found.interval.low > 3 * (straight.interval.high - straight.interval.low)


@pytest.mark.parametrize("sizes", [(), (32,), (16, 128)])
def test_two_batch_sizes_are_no_fit(sizes: tuple[int, ...]) -> None:
    assert fit_power(sizes, [-2.0] * len(sizes), np.zeros((100, len(sizes)))) is None


def test_a_batch_size_that_was_not_tried_is_foretold_with_a_wider_interval_the_farther_it_is() -> None:
    found = scaling(1.0)
    near, far = (found.predict(size, np.random.default_rng(0)) for size in (256, 1024))
    assert near.rate == pytest.approx(-2.0 + math.log10(16), abs=0.05)
    assert far.rate == pytest.approx(-2.0 + math.log10(64), abs=0.08)
    assert far.interval.low < far.rate < far.interval.high
    assert far.interval.high - far.interval.low > near.interval.high - near.interval.low


def test_a_large_step_is_warmed_up_to_and_a_far_one_is_called_a_guess() -> None:
    found = scaling(1.0)
    far = found.predict(1024, np.random.default_rng(0)).advice
    assert "warm up from 0.08, the best rate at batch size 128" in far
    assert "only 16 to 128 were tried" in far
    assert found.predict(64, np.random.default_rng(0)).advice == "no warm-up is needed for this step"


def test_a_job_that_searches_both_is_answered_by_batch_size_and_with_the_power() -> None:
    space = {"learning_rate": LOG, "batch_size": {"type": "categorical", "choices": list(SIZES)}}
    trials = []
    for one in trained(lambda _: 0.0, 64):
        size, rate = SIZES[one.number % 4], float(one.params["learning_rate"])
        trials.append(trial(one.number, rate, bowl(0.004 * size / 16)(rate) + (one.value or 0), batch_size=size))
    found = answer(job(search_space=space), trials)
    assert [each.batch_size for each in found.by_batch_size] == list(SIZES)
    assert [each.trials for each in found.by_batch_size] == [16] * 4
    for each in found.by_batch_size:
        assert each.interval.low <= each.learning_rate <= each.interval.high
        assert each.interval.low * 0.9 < 0.004 * each.batch_size / 16 < each.interval.high * 1.1
        assert each.expected.mean == pytest.approx(0.2, abs=0.05)
    assert found.batch_scaling is not None
    assert found.batch_scaling.power == pytest.approx(1.0, abs=0.15)
    assert found.batch_scaling.linear


def test_batch_sizes_whose_best_rate_is_beyond_the_range_are_left_out_of_the_power() -> None:
    space = {"learning_rate": LOG, "batch_size": {"type": "categorical", "choices": list(SIZES)}}
    trials = []
    for one in trained(lambda _: 0.0, 80):
        size, rate = SIZES[one.number % 4], float(one.params["learning_rate"])
        trials.append(trial(one.number, rate, bowl(0.03 * (size / 16) ** 2)(rate) + (one.value or 0), batch_size=size))
    found = answer(job(search_space=space), trials)
    assert found.batch_scaling is None or 128 not in found.batch_scaling.batch_sizes
