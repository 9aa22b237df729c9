from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectives.parameters.choices import SCHEDULES
from objectives.training.optimizers import LayerGroup
from objectives.training.rate_audit import RateAudit, RateMismatch
from objectives.training.schedules import Policy, Schedule, Span
from tests.unit.objectives.training.test_schedules import RATE, policy

GROUPS = [LayerGroup(name="first", multiplier=0.3, parameters=[]), LayerGroup(name="last", multiplier=1.0, parameters=[])]

Applied = list[list[tuple[float, float | None]]]

policies = st.builds(
    policy,
    schedule=st.sampled_from(SCHEDULES),
    warmup_fraction=st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    step_size=st.integers(1, 4),
    gamma=st.floats(0.01, 1),
    milestones=st.lists(st.floats(0.01, 0.99), max_size=4).map(tuple),
    decay_per_epoch=st.floats(0.1, 1),
    power=st.floats(0.3, 3),
    final_fraction=st.floats(0, 1),
    restart_epochs=st.integers(1, 3),
    restart_factor=st.integers(1, 3),
    cycle_mode=st.sampled_from(["triangular", "triangular2", "exp_range"]),
    rise_epochs=st.integers(1, 3),
    base_fraction=st.floats(0, 1),
    pct_start=st.floats(0.01, 0.99),
    div_factor=st.floats(1, 100),
    final_div_factor=st.floats(1, 1e5),
    cycle_momentum=st.booleans(),
    plateau_factor=st.floats(0.01, 0.9),
    plateau_patience=st.integers(0, 3),
    decay_fraction=st.floats(0.01, 1),
)
spans = st.builds(
    lambda epochs, updates: Span(updates=epochs * updates, updates_per_epoch=updates), st.integers(1, 12), st.integers(1, 8)
)


def applied_by(schedule: Schedule, span: Span, epoch: int) -> Applied:
    """What an optimizer with momentum applies in an epoch, from 0, if it does as the schedule says."""
    updates = range(epoch * span.updates_per_epoch, (epoch + 1) * span.updates_per_epoch)
    momenta = [0.9 if (momentum := schedule.momentum(update)) is None else momentum for update in updates]
    return [
        [(RATE * schedule.multiplier(update) * group.multiplier, momentum) for group in GROUPS]
        for update, momentum in zip(updates, momenta, strict=True)
    ]


@settings(max_examples=200, deadline=None)
@given(
    policy=policies,
    span=spans,
    warmup_start=st.sampled_from([0.0, 0.25]),
    losses=st.lists(st.sampled_from([-2.0, -1.9999, -1.0, 0.0, 0.5, 0.50001]) | st.floats(-2, 2), min_size=12),
)
def test_every_policy_applies_what_pytorch_would(policy: Policy, span: Span, warmup_start: float, losses: list[float]) -> None:
    schedule = Schedule(policy, span, warmup_start=warmup_start)
    audit = RateAudit(policy, span, RATE, 0.9, GROUPS, warmup_start=warmup_start)
    for epoch in range(span.updates // span.updates_per_epoch):
        audit.check_epoch(applied_by(schedule, span, epoch), losses[epoch])
        schedule.end_epoch((epoch + 1) * span.updates_per_epoch, losses[epoch])


SPAN = Span(updates=20, updates_per_epoch=5)


@pytest.mark.parametrize(
    ("tampered", "message"),
    [
        (
            {"rate": 0.05},
            "step 3 did not use the learning rate asked for: at its update 2, group 'last' used 0.05 instead of 0.0421782767",
        ),
        ({"momentum": 0.5}, "step 3 did not use the momentum asked for: at its update 2, group 'last' used 0.5 instead of 0.9"),
    ],
)
def test_the_first_step_that_used_another_rate_or_momentum_is_named(tampered: dict[str, float], message: str) -> None:
    cosine = policy(schedule="cosine")
    schedule, audit = Schedule(cosine, SPAN), RateAudit(cosine, SPAN, RATE, 0.9, GROUPS)
    audit.check_epoch(applied_by(schedule, SPAN, 0), 1.0)
    audit.check_epoch(applied_by(schedule, SPAN, 1), 1.0)
    applied = applied_by(schedule, SPAN, 2)
    rate, momentum = applied[1][1]
    applied[1][1] = (tampered.get("rate", rate), tampered.get("momentum", momentum))
    with pytest.raises(RateMismatch) as raised:
        audit.check_epoch(applied, 1.0)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        ([True, False], r"step 2 .* group 'first' used .* instead of 0$"),
        ([True, True, False, True], r"step 4 .* group 'first' used 0 instead of"),
    ],
)
def test_a_frozen_group_must_have_the_rate_zero_and_later_its_own(frozen: list[bool], message: str) -> None:
    cosine = policy(schedule="cosine")
    schedule = Schedule(cosine, SPAN)
    audit = RateAudit(cosine, SPAN, RATE, 0.9, [replace(GROUPS[0], frozen_epochs=2), GROUPS[1]])
    epochs = [
        [[(0.0 if is_frozen else rate, 0.9), last] for (rate, _), last in applied_by(schedule, SPAN, epoch)]
        for epoch, is_frozen in enumerate(frozen)
    ]
    for applied in epochs[:-1]:
        audit.check_epoch(applied, 1.0)
    with pytest.raises(RateMismatch, match=message):
        audit.check_epoch(epochs[-1], 1.0)


def test_a_resumed_audit_goes_on_where_the_run_does() -> None:
    plateau = policy(schedule="plateau", plateau_patience=0, warmup_fraction=0.1)
    schedule, resumed = Schedule(plateau, SPAN), RateAudit(plateau, SPAN, RATE, 0.9, GROUPS)
    losses = [1.0, 1.0, 1.0]
    for epoch, loss in enumerate(losses):
        applied_by(schedule, SPAN, epoch)
        schedule.end_epoch((epoch + 1) * SPAN.updates_per_epoch, loss)
    resumed.skip(losses)
    resumed.check_epoch(applied_by(schedule, SPAN, 3), 1.0)
    assert schedule.multiplier(15) == pytest.approx(0.01)


def test_an_optimizer_without_momentum_is_checked_for_its_rates_alone() -> None:
    one_cycle = policy(schedule="one-cycle")
    schedule, audit = Schedule(one_cycle, SPAN), RateAudit(one_cycle, SPAN, RATE, None, GROUPS)
    without: list[Any] = [[(rate, None) for rate, _ in groups] for groups in applied_by(schedule, SPAN, 0)]
    audit.check_epoch(without, 1.0)
    with pytest.raises(RateMismatch, match="step 2"):
        audit.check_epoch(without, 1.0)


def test_a_rate_within_rounding_is_no_mismatch() -> None:
    constant = replace(policy(), schedule="constant")
    RateAudit(constant, SPAN, RATE, 0.9, GROUPS[1:]).check_epoch([[(RATE * (1 + 1e-9), 0.9)]] * 5, 1.0)


def test_one_cycle_whose_top_is_its_first_update_is_followed() -> None:
    span = Span(updates=3, updates_per_epoch=3)
    one_cycle = policy(schedule="one-cycle", pct_start=1 / 3)
    schedule = Schedule(one_cycle, span)
    RateAudit(one_cycle, span, RATE, 0.9, GROUPS).check_epoch(applied_by(schedule, span, 0), 1.0)
    assert schedule.multiplier(0) == 1.0


def test_thousands_of_halvings_are_followed_by_policy_and_audit_alike() -> None:
    halved = policy(schedule="cyclical", cycle_mode="triangular2", rise_epochs=1, base_fraction=0.0)
    span = Span(updates=4_400, updates_per_epoch=1)
    schedule, audit = Schedule(halved, span), RateAudit(halved, span, RATE, 0.9, GROUPS)
    for epoch in range(4_400):
        audit.check_epoch(applied_by(schedule, span, epoch), 1.0)
    assert (schedule.multiplier(2_001), schedule.multiplier(4_001)) == (0.5**1000, 0.0)
