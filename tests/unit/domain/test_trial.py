import math

from hypothesis import given
from hypothesis import strategies as st

from service.domain.trial import FEASIBLE, TrialCounts, violation, worst_value
from tests.factories import job_spec

FRACTION = st.floats(0, 1)


@given(FRACTION)
def test_a_violation_lies_above_zero_and_is_at_most_one(fraction: float) -> None:
    assert 0 < violation(fraction) <= 1
    assert FEASIBLE < 0


@given(FRACTION, FRACTION)
def test_a_violation_is_the_larger_the_earlier_the_run_diverged(one: float, other: float) -> None:
    assert violation(min(one, other)) >= violation(max(one, other))


def test_a_diverged_trial_gets_the_worst_value_of_its_direction() -> None:
    assert worst_value(job_spec(direction="minimize")) == math.inf
    assert worst_value(job_spec(direction="maximize")) == -math.inf


def test_the_total_is_the_sum_of_the_six_counts() -> None:
    assert TrialCounts(waiting=1, running=2, complete=4, infeasible=8, pruned=16, failed=32).total == 63
