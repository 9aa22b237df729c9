"""The learning rates that optimizers have applied."""

import torch

from stride.rates import AppliedRates


def test_the_rate_is_that_of_the_last_update_though_the_schedule_has_gone_on() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    rates = AppliedRates([model, optimizer, schedule])
    assert (rates.learning_rate, rates.by_group()) == (None, {})
    optimizer.step()
    schedule.step()
    assert (rates.learning_rate, optimizer.param_groups[0]["lr"]) == (0.5, 0.05)
    rates.close()
    optimizer.step()
    assert rates.learning_rate == 0.5, "it is watched no longer"


def test_groups_with_different_rates_are_told_apart_by_name_or_number() -> None:
    body, head, other = (torch.nn.Linear(2, 1) for _ in range(3))
    groups = [{"params": body.parameters(), "lr": 0.1}, {"params": head.parameters(), "name": "head", "lr": torch.tensor(0.25)}]
    first, second = torch.optim.Adam(groups), torch.optim.SGD(other.parameters(), lr=0.1)
    rates = AppliedRates([first, second])
    first.step()
    first.param_groups[1]["lr"].fill_(9.0)
    second.step()
    assert rates.learning_rate == 0.1
    assert {name: float(rate) for name, rate in rates.by_group().items()} == {
        "learning_rate/0": 0.1,
        "learning_rate/head": 0.25,
        "learning_rate/2": 0.1,
    }
