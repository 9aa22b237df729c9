import numpy as np
import pytest

from service.analysis.model.divergence_edge import find_edge

RANDOM = np.random.default_rng(0)


def test_the_edge_of_rates_that_part_lies_between_them() -> None:
    edge = find_edge(np.array([-4.0, -3.0, -2.0, -1.0]), np.array([-0.6, -0.3, 0.0]))
    assert edge is not None
    assert -1.0 < edge.quantile(0.5) < -0.6
    assert -2.0 < edge.quantile(0.05) < -0.9 < -0.65 < edge.quantile(0.95) < -0.3


def test_the_edge_of_rates_that_overlap_is_where_half_of_them_diverge() -> None:
    rates = RANDOM.uniform(-4, 0, 400)
    diverged = RANDOM.random(400) < 1 / (1 + np.exp(-(rates + 1) / 0.2))
    edge = find_edge(rates[~diverged], rates[diverged])
    assert edge is not None
    assert edge.quantile(0.5) == pytest.approx(-1, abs=0.15)
    assert edge.quantile(0.05) < -1 < edge.quantile(0.95)
    low, middle, high = edge.probability(np.array([-2.0, edge.quantile(0.5), 0.0]))
    assert low < 0.05
    assert middle == pytest.approx(0.5, abs=0.05)
    assert high > 0.95


def test_ninety_percent_of_intervals_hold_the_edge() -> None:
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        truth, rates = random.uniform(-3, -0.5), random.uniform(-4, 0, 32)
        diverged = random.random(32) < 1 / (1 + np.exp(-(rates - truth) / 0.08))
        edge = find_edge(rates[~diverged], rates[diverged])
        assert edge is not None
        held += edge.quantile(0.05) <= truth <= edge.quantile(0.95)
    assert held >= 85


@pytest.mark.parametrize("both", [([], [-1.0]), ([-1.0], []), ([], [])])
def test_there_is_no_edge_where_all_trained_or_all_diverged(both: tuple[list[float], list[float]]) -> None:
    assert find_edge(*(np.array(rates) for rates in both)) is None


def test_draws_are_those_of_its_quantiles() -> None:
    edge = find_edge(np.array([-4.0, -3.0, -1.5]), np.array([-1.0, -0.5]))
    assert edge is not None
    drawn = edge.draw(4_000, np.random.default_rng(1))
    assert np.quantile(drawn, 0.5) == pytest.approx(edge.quantile(0.5), abs=0.03)
