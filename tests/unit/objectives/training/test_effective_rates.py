from typing import Any

import pytest
import torch
from torch import nn

from objectives.parameters.choices import OPTIMIZERS
from objectives.training import effective_rates
from objectives.training.effective_rates import EffectiveRates
from objectives.training.optimizers import OptimizerChoice, layer_groups, new_optimizer, training_weights
from tests.unit.objectives.runs import begin, train


def one_update(optimizer: type[torch.optim.Optimizer], gradients: list[list[float]], **arguments: Any) -> dict[str, float]:
    """The metrics of an update of weights that have these gradients, a group for each list."""
    weights = [torch.zeros(len(each)) for each in gradients]
    for part, each in zip(weights, gradients, strict=True):
        part.grad = torch.tensor(each)
    described = [{"params": [part], "name": f"group {place}"} for place, part in enumerate(weights)]
    updating = optimizer(described, **arguments)
    measured = EffectiveRates(updating)
    updating.step()
    return measured.metrics()


def test_gradient_descent_moves_every_weight_at_the_learning_rate() -> None:
    found = one_update(torch.optim.SGD, [[1.0, -4.0, 0.0, 0.01]], lr=0.1)
    assert found == pytest.approx(dict.fromkeys(("effective_rate_low", "effective_rate", "effective_rate_high"), 0.1))


def test_rates_too_low_for_the_rounding_of_weights_are_measured() -> None:
    *_, last = train(begin(momentum=0.0, learning_rate=1e-6), 1)
    found = [last.metrics[name] for name in effective_rates.QUANTILES]
    assert found == pytest.approx([1e-6] * 3, rel=1e-3)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_measured_is_what_moves_the_weights(optimizer: str, weight_decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At rates that are high enough for the rounding of weights, after some updates, under every optimizer."""
    monkeypatch.setattr(effective_rates, "SAMPLE", 10_000)  # all weights
    numbers = {"momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "alpha": 0.99, "eps": 1e-8, "d_coef": 1.0, "interpolation": 0.9}
    choice = OptimizerChoice(optimizer=optimizer, nesterov=False, weight_decay=weight_decay, hypergradient_rate=0.02, **numbers)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(90, 100), nn.Tanh(), nn.Linear(100, 1))
    inputs = torch.randn(32, 90)
    updating = new_optimizer(choice, layer_groups(model, 1.0, {}), 1.0 if optimizer == "prodigy" else 0.01)
    with training_weights(updating):
        for _ in range(20):
            updating.zero_grad()
            (model(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
            before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
            measured = EffectiveRates(updating)
            updating.step()
            change = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    gradients = torch.cat([weights.grad.flatten() for weights in model.parameters() if weights.grad is not None])
    rates = (change / gradients).abs().quantile(torch.tensor(list(effective_rates.QUANTILES.values())))
    assert list(measured.metrics().values()) == pytest.approx(rates.tolist(), rel=0.01)


def test_an_adaptive_method_moves_each_at_its_own() -> None:
    """Adam's first step is lr whatever the gradient, so the rates are lr / |gradient|."""
    found = one_update(torch.optim.Adam, [[1 / n for n in range(1, 12)]], lr=0.1)
    assert found == pytest.approx({"effective_rate_low": 0.2, "effective_rate": 0.6, "effective_rate_high": 1.0}, rel=1e-5)


def test_groups_are_told_apart_and_one_without_gradients_has_no_rate() -> None:
    found = one_update(torch.optim.Adam, [[0.5, -0.5], [0.0, 0.0], [2.0]], lr=0.1)
    assert {name: value for name, value in found.items() if "low" not in name and "high" not in name} == pytest.approx(
        {"effective_rate/group 0": 0.2, "effective_rate/group 2": 0.05}, rel=1e-5
    )


@pytest.mark.parametrize("every", [2, 3])
def test_of_many_weights_evenly_spaced_ones_are_looked_at(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third, also where every second would do."""
    monkeypatch.setattr(effective_rates, "SAMPLE", -(-90 // every))
    found = one_update(torch.optim.Adam, [[1.0, 0.001, 0.001] * 30], lr=0.1)
    assert found["effective_rate_high"] == pytest.approx(0.1, rel=1e-5)


def test_the_decay_of_adagrads_rates_is_seen_where_the_learning_rate_stays() -> None:
    measured = train(begin(optimizer="adagrad", learning_rate=0.01))
    rates = [each.metrics["effective_rate"] for each in measured]
    assert {each.learning_rate for each in measured} == {0.01}
    assert rates[-1] < 0.7 * rates[0]


def test_a_run_with_rates_by_layer_tells_those_of_each() -> None:
    *_, last = train(begin(layer_decay=0.5, momentum=0.0, learning_rate=0.1, clip_norm=0.1))
    rates = {name: value for name, value in last.metrics.items() if name.startswith("effective_rate/")}
    assert rates == pytest.approx({"effective_rate/1": 0.025, "effective_rate/3": 0.05, "effective_rate/5": 0.1}, rel=0.01)
