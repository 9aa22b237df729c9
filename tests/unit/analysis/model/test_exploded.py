"""Which finite losses count as lost, and where that says that losses explode."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from service.analysis.model.divergence_edge import find_edge, lost_from
from service.analysis.model.encoding import Array
from service.analysis.model.exploded import explosions_begin, find_lost, guessing_level

AT = np.linspace(-5, 1, 13)
COSTS = np.array([1.1, 1.1, 1.1, 1.1, 1.1, 1.09, 1.05, 0.9, 0.6, 0.3, 0.7, 30.0, 1e4])
"""Level at low rates, best at 10**-0.5, exploded at the two highest rates."""
EXPLODED = [11, 12]


def lost_trials(
    costs: Sequence[float] = tuple(COSTS),
    *,
    at: Sequence[float] = tuple(AT),
    groups: Sequence[int] | None = None,
    lost_at: Sequence[float] = (),
    lost_groups: Sequence[int] | None = None,
    guessing: float | None = None,
) -> list[int]:
    """The indices of the lost trials."""
    found = find_lost(
        np.array(at, dtype=float),
        np.array(costs, dtype=float),
        np.array([0] * len(at) if groups is None else groups, dtype=np.intp),
        np.array(lost_at, dtype=float),
        np.array([0] * len(lost_at) if lost_groups is None else lost_groups, dtype=np.intp),
        guessing,
    )
    return [int(index) for index in np.flatnonzero(found)]


def test_guessing_costs_what_the_lowest_rates_do_where_these_are_level() -> None:
    assert guessing_level(AT, COSTS, None) == pytest.approx(1.1)


def test_the_order_of_trials_says_nothing() -> None:
    order = np.random.default_rng(0).permutation(len(AT))
    assert guessing_level(AT[order], COSTS[order], None) == pytest.approx(1.1)
    found = lost_trials(COSTS[order].tolist(), at=AT[order].tolist())
    assert sorted(int(order[index]) for index in found) == EXPLODED


def test_what_the_objective_declares_of_guessing_wins() -> None:
    assert guessing_level(AT, COSTS, 2.3) == 2.3
    mild = np.where(COSTS > 20, 3.0, COSTS)
    assert lost_trials(mild.tolist()) == EXPLODED
    assert lost_trials(mild.tolist(), guessing=2.3) == []


def test_of_a_few_trials_alone_the_level_is_not_known() -> None:
    assert guessing_level(AT[:3], COSTS[:3], None) is None
    assert guessing_level(AT[[0, 1, 2, 9]], COSTS[[0, 1, 2, 9]], None) == pytest.approx(1.1)


def test_where_costs_still_fall_at_the_lowest_rates_the_level_is_not_known() -> None:
    bowl = 0.1 + (AT + 1.5) ** 2
    assert guessing_level(AT, bowl, None) is None


def test_without_a_level_nothing_is_cut() -> None:
    bowl = 0.1 + (AT + 1.5) ** 2
    bowl[-1] = 1e6
    assert lost_trials(bowl.tolist()) == []
    assert lost_trials(bowl.tolist(), guessing=20.0) == [12]


def test_finite_explosions_above_the_best_rate_are_lost() -> None:
    assert lost_trials() == EXPLODED


def test_a_cost_that_is_worse_than_guessing_by_less_than_guessing_is_than_the_best_is_none() -> None:
    # 1.1 + (1.1 - 0.3) = 1.9
    assert lost_trials([*COSTS[:11], 1.89, 1.91]) == [12]


def test_below_the_best_rate_nothing_explodes() -> None:
    costs = COSTS.copy()
    costs[4] = 500.0
    assert 4 not in lost_trials(costs.tolist())


def test_a_noisy_plateau_is_the_level_of_an_untrained_network() -> None:
    noisy = np.where(AT < -2.5, COSTS + 0.03 * np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1]), COSTS)
    assert guessing_level(AT, noisy, None) == pytest.approx(1.1, abs=0.04)
    assert lost_trials(noisy.tolist()) == EXPLODED


def test_a_plateau_may_be_worse_than_guessing_as_untrained_networks_are() -> None:
    costs = COSTS.copy()
    costs[:5] = [3.0, 3.2, 2.9, 3.1, 3.0]
    costs[11] = 5.0  # above 1.1 + (1.1 - 0.3), yet less above 3 than 3 is above the best
    assert lost_trials(costs.tolist(), guessing=1.1) == [12]


def test_a_plateau_too_noisy_to_be_one_says_nothing() -> None:
    costs = COSTS.copy()
    costs[:3] = [0.9, 1.3, 1.1]
    assert guessing_level(AT, costs, None) is None
    assert lost_trials(costs.tolist()) == []


def test_where_nothing_is_better_than_guessing_and_no_plateau_tells_of_it_nothing_is_cut() -> None:
    assert lost_trials([*np.linspace(9, 2.3, 11), 30.0, 1e4], guessing=1.1) == []


def test_beyond_a_diverging_rate_a_trial_that_hardly_learned_is_lost() -> None:
    # Midway is 0.7 between guessing and the best trial's 0.3.
    fallen_back = [*COSTS[:10], 0.69, 0.71, 1.1]
    assert lost_trials(fallen_back) == []
    assert lost_trials(fallen_back, lost_at=[-0.2]) == [11, 12]
    assert lost_trials(fallen_back, lost_at=[0.7]) == [12]
    assert lost_trials(fallen_back, lost_at=[0.7, -0.2]) == [11, 12], "the lowest counts"


def test_what_diverged_below_the_best_rate_did_so_by_chance() -> None:
    fallen_back = [*COSTS[:10], 0.69, 0.71, 1.1]
    assert lost_trials(fallen_back, lost_at=[-5.0]) == []
    assert lost_trials(fallen_back, lost_at=[-0.6]) == []
    assert lost_trials(fallen_back, lost_at=[-5.0, 0.7]) == [12]


def test_a_group_that_learned_nothing_is_lost_from_its_lowest_diverging_rate_on() -> None:
    groups = [0] * 10 + [1, 1, 1]
    assert lost_trials([*COSTS[:10], 1.1, 1.1, 1.1], groups=groups, lost_at=[-3.0], lost_groups=[1]) == [10, 11, 12]


def test_beyond_a_finite_explosion_a_trial_that_hardly_learned_is_lost_too() -> None:
    assert lost_trials([*COSTS[:11], 30.0, 1.1]) == EXPLODED


def test_without_a_level_beyond_a_diverging_rate_midway_is_that_of_the_trials() -> None:
    bowl = 0.1 + (AT + 1.5) ** 2
    assert 0.1 + 0.5 * (np.quantile(bowl, 0.8) - 0.1) == pytest.approx(3.225)
    assert bowl[10:] == pytest.approx([2.35, 4.1, 6.35])
    assert lost_trials(bowl.tolist(), lost_at=[-0.2]) == [11, 12]


def test_other_groups_are_left_alone() -> None:
    fallen_back = [*COSTS[:10], 1.0, 1.1, 1.1]
    groups = [0] * 10 + [0, 1, 0]
    assert lost_trials(fallen_back, groups=groups, lost_at=[-0.2], lost_groups=[0]) == [10, 12]
    assert lost_trials(fallen_back, groups=groups, lost_at=[-0.2], lost_groups=[1]) == [11]
    assert lost_trials(fallen_back, groups=groups, lost_at=[-0.2], lost_groups=[7]) == []


def test_the_best_trial_is_never_lost() -> None:
    assert lost_trials(lost_at=[-6.0], guessing=1.1).count(int(COSTS.argmin())) == 0


def test_an_accuracy_cannot_explode() -> None:
    """The cost is less it: that of guessing one of ten classes is -0.1, and the worst there is, 0."""
    accuracies = [0.1, 0.1, 0.1, 0.1, 0.12, 0.2, 0.4, 0.7, 0.9, 0.95, 0.8, 0.1, 0.0]
    assert lost_trials([-each for each in accuracies], guessing=-0.1) == []
    assert lost_trials([-each for each in accuracies], guessing=None) == []
    assert lost_trials([-each for each in accuracies], guessing=-0.1, lost_at=[0.2]) == EXPLODED


def power(rates: Array, begin: float = 0.0, exponent: float = 5.0) -> Array:
    """Losses that are those of guessing, 1.1, at the log10 rate `begin`, and grow from there."""
    costs: Array = 1.1 * 10 ** (exponent * (rates - begin))
    return costs


@pytest.mark.parametrize("begin", [-0.5, 0.0, 0.2])
@pytest.mark.parametrize("exponent", [2.5, 5.0, 10.0])
def test_their_growth_leads_back_to_where_explosions_begin(begin: float, exponent: float) -> None:
    rates = np.array([0.9, 0.4, 0.6])
    assert explosions_begin(rates, power(rates, begin, exponent), 1.1) == pytest.approx(begin - 0.3)


def test_the_lowest_explosions_tell() -> None:
    rates = np.array([0.3, 0.5, 0.9])
    costs = power(rates)
    costs[2] = 1e80
    assert explosions_begin(rates, costs, 1.1) == pytest.approx(-0.3)


def test_explosions_next_to_each_other_tell_nothing_of_their_growth() -> None:
    rates = np.array([0.3, 0.31, 0.9])
    noisy = power(rates) * [1.0, 3.0, 1.0]
    assert explosions_begin(rates, noisy, 1.1) == pytest.approx(-0.3, abs=0.05)


@pytest.mark.parametrize(
    ("rates", "costs", "level"),
    [
        ([], [], 1.1),
        ([0.5], [1e3], 1.1),
        ([0.5, 0.55], [1e3, 2e3], 1.1),  # too close
        ([0.3, 0.9], [1e3, 1.5e3], 1.1),  # hardly grows
        ([0.3, 0.9], [1e6, 1e3], 1.1),  # falls
        ([0.3, 0.9], [1e3, 1e6], None),
        ([0.3, 0.9], [1e3, 1e6], 0.0),
        ([0.3, 0.9], [-0.1, -0.2], -0.5),
        ([0.3, 0.9], [0.8, 1.1], 1.1),  # no worse than guessing
    ],
)
def test_where_growth_cannot_be_told_any_rate_may_be_the_first(
    rates: list[float], costs: list[float], level: float | None
) -> None:
    assert explosions_begin(np.array(rates), np.array(costs), level) == -math.inf


def test_what_was_lost_at_the_end_of_the_rates_begins_with_its_lowest() -> None:
    assert lost_from(np.array([-4.0, -3.0, -2.0]), np.array([0.5, -1.0, 0.0])) == -1.0


def test_a_run_that_diverged_by_chance_does_not_end_the_rates() -> None:
    assert lost_from(np.array([-4.0, -3.0, -2.0, -1.5, -1.2]), np.array([-3.5, -1.0, 0.0])) == -1.0


def test_half_of_those_beyond_are_enough_as_far_up_as_one_looks() -> None:
    assert lost_from(np.array([-4.0, -0.8, -0.5]), np.array([-1.0, -0.6])) == -1.0
    assert lost_from(np.array([-4.0, -0.8, -0.7]), np.array([-1.0, -0.6])) == -0.6


def test_a_run_lost_by_chance_ends_nothing_however_many_are_lost_far_above() -> None:
    lost = np.array([-3.0, *np.linspace(-0.1, 3.0, 20)])
    assert lost_from(np.linspace(-5, -0.2, 15), lost) == -0.1


def test_where_nothing_was_lost_no_rate_ends_them() -> None:
    assert lost_from(np.array([-4.0, -3.0]), np.array([])) == math.inf
    assert lost_from(np.array([-4.0, -3.0, -1.0]), np.array([-3.5])) == math.inf


def test_no_edge_is_held_possible_below_the_least_one() -> None:
    trained, lost = np.array([-5.0, -4.0, -3.0, -2.5]), np.array([0.0, 0.5])
    free, bound = find_edge(trained, lost), find_edge(trained, lost, at_least=-1.0)
    assert free is not None
    assert bound is not None
    assert free.quantile(0.05) < -1.5
    assert bound.quantile(1e-9) >= -1.0
    assert bound.weights.sum() == pytest.approx(1.0)
    assert bound.probability(np.array([-1.5]))[0] < free.probability(np.array([-1.5]))[0]


def test_a_least_edge_beyond_all_rates_is_taken_as_the_highest_there_is() -> None:
    edge = find_edge(np.array([-4.0, -3.0]), np.array([0.0]), at_least=9.0)
    assert edge is not None
    assert edge.quantile(0.5) == pytest.approx(0.5)
    assert np.isfinite(edge.weights).all()


def test_explosions_beside_trials_that_learned_nothing_are_cut() -> None:
    level = [0.5] * 11
    assert lost_trials([*level, 7.0, 1e4]) == EXPLODED
    assert lost_trials([*level, 7.0, 1e4], guessing=0.5) == EXPLODED
    assert lost_trials([*level, 0.7, 0.6]) == [], "worse than guessing by less than half of it"


def test_where_no_trial_is_better_than_guessing_the_plateau_tells_its_level() -> None:
    assert guessing_level(AT, COSTS, 0.2) == pytest.approx(1.1)
    assert lost_trials(guessing=0.2) == EXPLODED
