import math

import numpy as np
import pytest

from service.analysis.answer.batch_scaling import BEYOND_THE_CURVES, USUAL_POWER, BatchScaling, fit_power
from service.analysis.answer.best_lr import answered
from service.domain.answer import PredictionView
from service.errors import NoBatchScaling
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, bowl, job, trained

SIZES = (16, 32, 64, 128)
RANDOM = np.random.default_rng(0)


def scaling(power: float, sd: float = 0.05, sizes: tuple[int, ...] = SIZES, at_16: float = -2.0) -> BatchScaling:
    rates = at_16 + power * np.log10(np.array(sizes) / 16)
    found = fit_power(sizes, list(rates), rates + sd * RANDOM.standard_normal((2_000, len(sizes))))
    assert found is not None
    return found


def rate(prediction: PredictionView) -> float:
    """log10."""
    return math.log10(prediction.learning_rate)


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


def test_within_what_was_tried_the_line_is_followed() -> None:
    found = scaling(0.5).predict(48, np.random.default_rng(0))
    assert rate(found) == pytest.approx(-2.0 + 0.5 * math.log10(3), abs=0.03)
    assert found.interval.low < found.learning_rate < found.interval.high
    assert found.advice == "no warm-up is needed for this step"


def test_beyond_the_largest_batch_size_the_interval_widens_towards_low_rates() -> None:
    found = scaling(1.0)
    at_largest, near, far = (found.predict(size, np.random.default_rng(0)) for size in (128, 256, 512))
    widths = [math.log10(each.interval.high / each.interval.low) for each in (at_largest, near, far)]
    assert widths[0] < widths[1] < widths[2]
    linear = -2.0 + math.log10(512 / 16)
    assert found.power == pytest.approx(1.0, abs=0.02)
    low, high = math.log10(far.interval.low), math.log10(far.interval.high)
    assert high - linear < (linear - low) / 2
    assert low < rate(at_largest) + 0.25 * math.log10(4)  # a quarter of the growth may be left
    assert rate(at_largest) < rate(near) < rate(far) < linear


def test_below_the_smallest_batch_size_the_power_stays() -> None:
    found = scaling(0.5)
    at_smallest, far = (found.predict(size, np.random.default_rng(0)) for size in (16, 4))
    assert rate(at_smallest) - rate(far) == pytest.approx(0.5 * math.log10(4), abs=0.03)


def test_what_trials_do_not_show_of_the_power_is_completed_by_what_is_usual() -> None:
    vague, sharp = scaling(1.5, sd=0.8), scaling(1.5, sd=0.01)
    smallest, largest = (vague.predict(size, np.random.default_rng(0)) for size in (16, 128))
    assert (rate(largest) - rate(smallest)) / math.log10(8) == pytest.approx(USUAL_POWER, abs=0.15)
    smallest, largest = (sharp.predict(size, np.random.default_rng(0)) for size in (16, 128))
    assert (rate(largest) - rate(smallest)) / math.log10(8) > 1.1
    assert vague.power == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(
    ("too_far", "just_allowed", "says"),
    [
        (513, 512, "Not from these trials: they show the best rate for batch sizes from 16 to 128 only, and 513 is more than 4"),
        (3, 4, "and 3 is less than a quarter of the smallest. Ask for a batch size of at least 4, or try batch sizes of 12"),
    ],
)
def test_nothing_is_predicted_far_from_what_was_tried(too_far: int, just_allowed: int, says: str) -> None:
    found = scaling(0.5)
    assert found.predict(just_allowed, np.random.default_rng(0)).batch_size == just_allowed
    with pytest.raises(NoBatchScaling) as refused:
        found.predict(too_far, np.random.default_rng(0))
    assert says in str(refused.value)


def test_the_refusal_names_batch_sizes_that_would_do() -> None:
    with pytest.raises(NoBatchScaling, match=r"at most 512, or try batch sizes of 1025 and more\.$"):
        scaling(0.5).predict(4_100, np.random.default_rng(0))


def test_a_large_step_is_warmed_up_to_and_beyond_the_largest_the_rate_may_grow_less() -> None:
    advice = scaling(1.0).predict(512, np.random.default_rng(0)).advice
    assert "warm up from 0.08, the best rate at batch size 128" in advice
    assert "beyond 128, the largest batch size fitted to, the best rate may grow less" in advice


def test_a_job_that_searches_both_is_answered_by_batch_size_and_with_the_power() -> None:
    space = {"learning_rate": LOG, "batch_size": {"type": "categorical", "choices": list(SIZES)}}
    trials = []
    for one in trained(lambda _: 0.0, 64):
        size, rate = SIZES[one.number % 4], float(one.params["learning_rate"])
        trials.append(trial(one.number, rate, bowl(0.004 * size / 16)(rate) + (one.value or 0), batch_size=size))
    found = answered(job(search_space=space), trials)
    rows = found.answer.by_batch_size
    assert [each.batch_size for each in rows] == list(SIZES)
    assert [each.trials for each in rows] == [16] * 4
    for each in rows:
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
    found = answered(job(search_space=space), trials)
    assert found.batch_scaling is None or 128 not in found.batch_scaling.batch_sizes
