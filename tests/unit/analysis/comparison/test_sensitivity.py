import math

import pytest

from service.analysis.comparison.sensitivity import sensitivity
from service.analysis.comparison.tuned import Finished, Tuned, judge
from service.domain.comparison import SensitivityView
from tests.finished_jobs import RATES, a_job, bowl, curve, finished


def tuned(job: Finished) -> Tuned:
    found = judge(job)
    assert isinstance(found, Tuned)
    return found


def of(job: Finished, level: float = 100.0) -> SensitivityView:
    return sensitivity(tuned(job), level)


@pytest.mark.parametrize("steepness", [0.2, 2.0])
def test_the_excess_of_a_parabola_is_a_twelfth_of_its_steepness(steepness: float) -> None:
    found = of(finished(a_job(), bowl(0.005, steepness=steepness), noise=0.001))
    assert found.excess.low <= found.excess.mean <= found.excess.high
    assert found.excess.mean == pytest.approx(steepness / 12, rel=0.05)  # the mean of s x^2 over x from -1/2 to 1/2
    assert (found.low, found.high) == pytest.approx((0.005 / math.sqrt(10), 0.005 * math.sqrt(10)), rel=0.05)
    assert found.diverging == 0


def test_no_rate_costs_more_than_an_untrained_network() -> None:
    job = finished(a_job(), bowl(0.005, lowest=0.1, steepness=4.0))
    # From x = 1/4 on, 4 x^2 is cut to 1/4: the mean is 2 (4 (1/4)^3 / 3 + 1/4 * 1/4).
    assert of(job, level=0.35).excess.mean == pytest.approx(2 * (4 / 64 / 3 + 1 / 16), rel=0.05)


def test_what_diverges_counts_as_an_untrained_network() -> None:
    edge = 0.01 * 10**0.25

    def cliff(rate: float) -> float:
        return bowl(0.01, lowest=0.1, steepness=0.01)(rate) if rate < edge else math.inf

    found = of(finished(a_job(), cliff, rates=[10 ** (-5 + 5 * (index + 0.5) / 80) for index in range(80)]), level=2.1)
    # The decade is about the answered rate, which keeps away from the edge as far as the bowl is level.
    beyond = math.log10(found.high / edge)
    assert 0.1 < beyond < 0.3
    assert found.diverging == pytest.approx(beyond, abs=0.03)
    assert found.excess.mean == pytest.approx(beyond * 2.0, abs=0.06)


def test_the_decade_ends_where_the_range_does() -> None:
    found = of(finished(a_job(), bowl(0.5), noise=0.001))
    assert found.high == pytest.approx(1.0)
    assert found.low == pytest.approx(0.5 / math.sqrt(10), rel=0.05)


def test_the_untrained_level_is_the_worst_that_low_rates_showed() -> None:
    job = a_job()
    curves = {number: curve(5.0 if rate < 0.01 else 1e6, 1.0) for number, rate in enumerate(RATES)}
    assert tuned(finished(job, bowl(0.01), curves=curves)).untrained_level == pytest.approx(bowl(0.01)(RATES[0]))
    curves = {number: curve(20.0 if rate < 0.01 else 1e6, 1.0) for number, rate in enumerate(RATES)}
    assert tuned(finished(job, bowl(0.01), curves=curves)).untrained_level == pytest.approx(20.0)
