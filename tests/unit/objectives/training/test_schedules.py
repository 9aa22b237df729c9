import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from objectives.catalog import default_params, default_settings
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.training.hyperparameters import picked
from objectives.training.schedules import Policy, Schedule, Span

RATE = 0.1
SPAN = Span(updates=60, updates_per_epoch=6)
EPOCH = SPAN.updates_per_epoch

New = Callable[[torch.optim.Optimizer], LRScheduler]

PYTORCH: dict[str, tuple[dict[str, Any], New]] = {
    "constant": ({}, lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0)),
    "step": ({"step_size": 2, "gamma": 0.5}, lambda optimizer: lr_scheduler.StepLR(optimizer, 2 * EPOCH, 0.5)),
    "multi-step": (
        {"milestones": (0.75, 0.5), "gamma": 0.2},
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [30, 45], 0.2),
    ),
    "exponential": (
        {"decay_per_epoch": 0.8},
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.8 ** (1 / EPOCH)),
    ),
    "polynomial": ({"power": 2.0}, lambda optimizer: lr_scheduler.PolynomialLR(optimizer, 60, 2.0)),
    "cosine": ({"final_fraction": 0.05}, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 60, 0.05 * RATE)),
    "cosine-restarts": (
        {"restart_epochs": 1, "restart_factor": 2, "final_fraction": 0.01},
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, EPOCH, 2, 0.01 * RATE),
    ),
    "one-cycle": ({}, lambda optimizer: lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=60)),
    **{
        f"cyclical, {mode}": (
            {"schedule": "cyclical", "cycle_mode": mode, "rise_epochs": 2, "decay_per_epoch": 0.9},
            lambda optimizer, mode=mode: lr_scheduler.CyclicLR(  # type: ignore[misc]
                optimizer,
                RATE / 4,
                RATE,
                step_size_up=2 * EPOCH,
                mode=mode,
                gamma=0.9 ** (1 / EPOCH),
                base_momentum=0.85,
                max_momentum=0.95,
            ),
        )
        for mode in ("triangular", "triangular2", "exp_range")
    },
}


def policy(**choices: Any) -> Policy:
    defaults = picked(Policy, default_params(IMAGE_CLASSIFICATION) | default_settings(IMAGE_CLASSIFICATION))
    return replace(defaults, **choices)


@pytest.mark.parametrize("name", PYTORCH)
def test_a_policy_gives_update_by_update_what_the_scheduler_of_pytorch_gives(name: str) -> None:
    choices, new = PYTORCH[name]
    schedule = Schedule(policy(**{"schedule": name} | choices), SPAN)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE, momentum=0.9)
    scheduler = new(optimizer)
    for update in range(SPAN.updates):
        group = optimizer.param_groups[0]
        assert RATE * schedule.multiplier(update) == pytest.approx(group["lr"], abs=1e-9), update
        assert schedule.momentum(update) in (None, pytest.approx(group["momentum"], abs=1e-9)), update
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("name", ["one-cycle", "cyclical"])
def test_the_cycling_policies_move_momentum_unless_told_not_to(name: str) -> None:
    assert Schedule(policy(schedule=name), SPAN).momentum(0) == 0.95
    assert Schedule(policy(schedule=name, cycle_momentum=False), SPAN).momentum(0) is None
    assert Schedule(policy(schedule="cosine"), SPAN).momentum(0) is None


def test_plateau_gives_what_reduce_on_plateau_gives() -> None:
    losses = [1.0, 0.9, 0.95, 0.9, 0.89995, 0.8, 0.81, math.nan, 0.8, 0.8, 0.8, 0.7]
    schedule = Schedule(policy(schedule="plateau", plateau_factor=0.5, plateau_patience=1), Span(updates=72, updates_per_epoch=6))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    rates = []
    for epoch, loss in enumerate(losses, start=1):
        rates.append(schedule.multiplier(epoch * 6 - 1) * RATE)
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"])
        schedule.end_epoch(epoch * 6, loss)
        scheduler.step(loss)
    assert len(set(rates)) == 4


@pytest.mark.parametrize("loss", [2.0, 0.0, -500.0])
def test_a_loss_that_stays_what_it_is_has_reached_a_plateau(loss: float) -> None:
    schedule = Schedule(policy(schedule="plateau", plateau_patience=1), SPAN)
    for epoch in range(1, 4):
        assert schedule.multiplier(epoch * EPOCH) == 1.0
        schedule.end_epoch(epoch * EPOCH, loss)
    assert schedule.multiplier(3 * EPOCH) == pytest.approx(0.1)


def test_warmup_stable_decay_is_flat_and_then_falls_as_one_minus_a_root() -> None:
    schedule = Schedule(policy(schedule="warmup-stable-decay", decay_fraction=0.2), SPAN)
    assert [schedule.multiplier(update) for update in range(49)] == [1.0] * 49
    assert [schedule.multiplier(update) for update in (51, 57, 59)] == pytest.approx(
        [0.5, 1 - math.sqrt(9 / 12), 1 - math.sqrt(11 / 12)]
    )


@pytest.mark.parametrize("start", [0.0, 0.25])
@pytest.mark.parametrize("name", [*PYTORCH, "plateau", "warmup-stable-decay"])
def test_warm_up_rises_as_linear_lr_does_and_then_the_policy_runs_in_what_is_left(name: str, start: float) -> None:
    choices = {"schedule": name} | PYTORCH.get(name, ({}, None))[0]
    warmed = Schedule(policy(**choices, warmup_fraction=0.2), SPAN, warmup_start=start)
    plain = Schedule(policy(**choices), replace(SPAN, updates=48))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = lr_scheduler.LinearLR(optimizer, start + (1 - start) / 12, 1.0, 11)
    for update in range(12):
        assert warmed.multiplier(update) == pytest.approx(optimizer.param_groups[0]["lr"])
        assert warmed.is_warmup(update)
        optimizer.step()
        scheduler.step()
    assert warmed.is_warmup(12) == (name == "one-cycle")
    assert [warmed.multiplier(update) for update in range(12, 60)] == [plain.multiplier(update) for update in range(48)]
    assert [warmed.momentum(update) for update in range(12, 60)] == [plain.momentum(update) for update in range(48)]


def test_an_epoch_that_ends_within_warm_up_is_no_plateau() -> None:
    schedule = Schedule(policy(schedule="plateau", plateau_patience=0, warmup_fraction=0.5), SPAN)
    for epoch in range(1, 5):
        schedule.end_epoch(epoch * EPOCH, 1.0)
    assert schedule.multiplier(30) == 1.0
    for epoch in (5, 6):
        schedule.end_epoch(epoch * EPOCH, 1.0)
    assert schedule.multiplier(36) == pytest.approx(0.1)


@pytest.mark.parametrize("name", [*PYTORCH, "plateau", "warmup-stable-decay"])
def test_a_run_of_one_update_has_a_rate(name: str) -> None:
    choices = {"schedule": name} | PYTORCH.get(name, ({}, None))[0]
    schedule = Schedule(policy(**choices, warmup_fraction=0.9), Span(updates=1, updates_per_epoch=1))
    assert 0 <= schedule.multiplier(0) <= 1


def test_the_rise_of_one_cycle_is_warm_up() -> None:
    schedule = Schedule(policy(schedule="one-cycle"), SPAN)
    assert [schedule.is_warmup(updates) for updates in (6, 12, 17, 18, 60)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"schedule": "cyclical", "rise_epochs": 2}, [4, 8]),
        ({"schedule": "cyclical", "rise_epochs": 1, "cycle_mode": "triangular2"}, [2, 4, 6, 8, 10]),
        ({"schedule": "cosine-restarts", "restart_epochs": 2, "restart_factor": 1}, [2, 4, 6, 8, 10]),
        ({"schedule": "cosine-restarts", "restart_epochs": 1, "restart_factor": 2}, [1, 3, 7]),
        # After a warm-up of 9 updates, which ends in the second epoch, cycles end in the sixth and tenth: the step before does.
        ({"schedule": "cyclical", "rise_epochs": 2, "warmup_fraction": 0.15}, [5, 9]),
        ({"schedule": "cosine-restarts", "restart_epochs": 8, "restart_factor": 2, "warmup_fraction": 0.15}, [9]),
        ({"schedule": "cosine-restarts", "restart_epochs": 9, "restart_factor": 2, "warmup_fraction": 0.15}, []),
        ({"schedule": "one-cycle"}, []),
        ({"schedule": "step"}, []),
    ],
)
def test_a_cycle_ends_with_the_last_step_before_its_rate_rises_again(choices: dict[str, Any], expected: list[int]) -> None:
    schedule = Schedule(policy(**choices), SPAN)
    assert [step for step in range(1, 11) if schedule.ends_cycle(step * EPOCH)] == expected
