import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree, SGDScheduleFree
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.testing import assert_close

from objectives.contract import DataProblem
from objectives.models.layers import Between
from objectives.models.mlp import mlp
from objectives.models.resnet import resnet
from objectives.parameters.choices import SCHEDULE_FREE
from objectives.training.hypergradient import HypergradientAdam, HypergradientSGD
from objectives.training.optimizers import (
    OptimizerChoice,
    layer_groups,
    momentum_of,
    new_optimizer,
    set_rates,
    training_weights,
)
from tests.unit.objectives.runs import begin, train

ARGUMENTS: dict[str, tuple[Callable[..., Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"momentum": 0.7, "nesterov": True, "fused": True}),
    "adagrad": (Adagrad, {"eps": 0.01, "fused": True}),
    "rmsprop": (RMSprop, {"alpha": 0.6, "eps": 0.01, "momentum": 0.7}),
    "adam": (Adam, {"betas": (0.5, 0.8), "eps": 0.01, "fused": True}),
    "adamw": (AdamW, {"betas": (0.5, 0.8), "eps": 0.01, "fused": True}),
    "prodigy": (Prodigy, {"betas": (0.5, 0.8), "eps": 0.01, "d_coef": 2.0}),
    "schedule-free-sgd": (SGDScheduleFree, {"momentum": 0.6}),
    "schedule-free-adamw": (AdamWScheduleFree, {"betas": (0.6, 0.8), "eps": 0.01}),
    "hypergradient-sgd": (HypergradientSGD, {"momentum": 0.7, "hypergradient_rate": 0.1}),
    "hypergradient-adam": (HypergradientAdam, {"betas": (0.5, 0.8), "eps": 0.01, "hypergradient_rate": 0.1}),
}
"""The class of each, and those of the choices below that it takes; fused, where it can be: plain ones round otherwise."""
MOMENTUM = dict.fromkeys(ARGUMENTS, 0.5) | {"sgd": 0.7, "rmsprop": 0.7, "hypergradient-sgd": 0.7}
MOMENTUM |= dict.fromkeys(("adagrad", *SCHEDULE_FREE))
ONE_RATE = {"prodigy"}
"""Without rates that differ between layers."""
NewModel = Callable[..., nn.Sequential]

each_optimizer = pytest.mark.parametrize("optimizer", ARGUMENTS)


def choice(optimizer: str, **overrides: Any) -> OptimizerChoice:
    fields: dict[str, Any] = {"momentum": 0.7, "nesterov": True, "beta1": 0.5, "beta2": 0.8, "alpha": 0.6}
    fields |= {"d_coef": 2.0, "interpolation": 0.6, "hypergradient_rate": 0.1}
    return OptimizerChoice(optimizer=optimizer, **fields | {"eps": 0.01, "weight_decay": 0.1} | overrides)


def build(new_model: NewModel = mlp, normalization: str = "usual") -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    model = new_model((1, 4, 4), 3, Between(activation="relu", normalization=normalization, dropout=0.0))
    for weights in model.parameters():
        nn.init.normal_(weights, 0, 0.1, generator=generator)
    return model


def step(model: nn.Sequential, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    with training_weights(optimizer):
        model(torch.linspace(-1, 1, 128).view(8, 1, 4, 4)).square().sum().backward()
        optimizer.step()


def layer_decay_of(optimizer: str) -> float:
    return 1.0 if optimizer in ONE_RATE else 0.5


def test_a_model_that_learns_at_one_rate_has_one_group() -> None:
    (group,) = layer_groups(model := build(), 1.0, {})
    assert (group.name, group.multiplier) == ("all", 1.0)
    assert list(map(id, group.parameters)) == list(map(id, model.parameters()))


@pytest.mark.parametrize(
    ("new_model", "normalization", "layers"),
    [
        (mlp, "usual", ["1", "3", "5"]),
        (mlp, "batch", ["1", "4", "7"]),
        (resnet, "none", ["0", "2", "3", "4", "7"]),
        (resnet, "usual", ["0", "3", "4", "5", "8"]),
    ],
)
def test_with_decay_each_layer_has_a_part_of_the_rate_of_the_next(
    new_model: NewModel, normalization: str, layers: list[str]
) -> None:
    groups = layer_groups(build(new_model, normalization), 0.5, {})
    assert [group.name for group in groups] == layers
    assert [group.multiplier for group in groups] == [0.5 ** (len(groups) - 1 - depth) for depth in range(len(groups))]


@pytest.mark.parametrize(
    ("multipliers", "layer_decay", "expected"),
    [
        ({"3.*": 0.0}, 1.0, [1, 1, 0, 0, 1, 1]),
        ({"?.bias": 2.0}, 1.0, [1, 2, 1, 2, 1, 2]),
        ({"*": 0.5, "1.*": 2.0, "*.bias": 0.0}, 1.0, [2, 0, 0.5, 0, 0.5, 0]),
        ({"*.bias": 0.0, "1.*": 2.0, "*": 0.5}, 1.0, [2, 0, 0.5, 0, 0.5, 0]),
        ({"1.*": 8.0, "5.bias": 3.0}, 0.5, [2, 2, 0.5, 0.5, 1, 3]),
    ],
)
def test_the_longest_pattern_that_fits_counts(multipliers: dict[str, float], layer_decay: float, expected: list[float]) -> None:
    groups = layer_groups(model := build(), layer_decay, multipliers)
    rates = {id(weights): group.multiplier for group in groups for weights in group.parameters}
    assert [rates[id(weights)] for weights in model.parameters()] == expected


@pytest.mark.parametrize(("layer_decay", "multipliers"), [(1.0, {}), (0.5, {}), (0.5, {"*.bias": 2.0})])
def test_the_earlier_a_layer_the_longer_it_is_frozen_with_all_its_weights(
    layer_decay: float, multipliers: dict[str, float]
) -> None:
    groups = layer_groups(model := build(), layer_decay, multipliers, unfreeze_every=3)
    frozen = {id(weights): group.frozen_epochs for group in groups for weights in group.parameters}
    assert [frozen[id(weights)] for weights in model.parameters()] == [6, 6, 3, 3, 0, 0]


@pytest.mark.parametrize("pattern", ["head.*", "1.Weight", "weight"])
def test_a_pattern_that_fits_no_weight_is_refused_in_a_sentence_with_the_names(pattern: str) -> None:
    with pytest.raises(DataProblem) as caught:
        layer_groups(build(), 1.0, {"*": 1.0, pattern: 0.0})
    names = ", ".join(name for name, _ in build().named_parameters())
    assert str(caught.value) == f"learning_rate_multipliers: no weight is called {pattern!r}; the model has {names}."


@pytest.mark.parametrize("new_model", [mlp, resnet])
@pytest.mark.parametrize("multipliers", [{}, {"*.bias": 2.0}, {"*.bias": 2.0, "*.weight": 3.0}, {"1.*": 0.0, "*": 1.0}])
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_every_weight_is_in_one_group_and_no_two_groups_share_a_name(
    new_model: NewModel, multipliers: dict[str, float], layer_decay: float
) -> None:
    groups = layer_groups(model := build(new_model), layer_decay, multipliers)
    assert sorted(id(weights) for group in groups for weights in group.parameters) == sorted(map(id, model.parameters()))
    assert len({group.name for group in groups}) == len(groups)


@each_optimizer
def test_a_multiplier_of_zero_freezes_weights_bit_for_bit(optimizer: str) -> None:
    model, before = build(), dict(build().named_parameters())
    stepping = new_optimizer(choice(optimizer), layer_groups(model, layer_decay_of(optimizer), {"1.*": 0.0, "3.bias": 0.0}), 0.1)
    step(model, stepping)
    set_rates(stepping, 0.2, 0.9)
    step(model, stepping)
    frozen = {name for name, weights in model.named_parameters() if torch.equal(weights, before[name])}
    assert frozen == {"1.weight", "1.bias", "3.bias"}


@each_optimizer
def test_an_optimizer_is_that_of_its_package_with_the_same_arguments_fused_where_it_can_be(optimizer: str) -> None:
    (kind, arguments), ours, theirs = ARGUMENTS[optimizer], build(), build()
    decay = layer_decay_of(optimizer)
    stepping = new_optimizer(choice(optimizer), layer_groups(ours, decay, {}), 0.02)
    rates = [0.02 * decay**depth for depth in (2, 1, 0)]
    described = [{"params": theirs[layer].parameters(), "lr": rate} for layer, rate in zip((1, 3, 5), rates, strict=True)]
    expected = kind(described, lr=0.02, weight_decay=0.1, **arguments)
    for _ in range(3):
        step(ours, stepping)
        step(theirs, expected)
    assert type(stepping) is kind
    assert stepping.defaults.get("fused") is (True if optimizer in ("sgd", "adagrad", "adam", "adamw") else None)
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", sorted(ARGUMENTS.keys() - ONE_RATE))
def test_groups_carry_their_names_multipliers_and_rates_into_the_optimizer(optimizer: str) -> None:
    groups = new_optimizer(choice(optimizer), layer_groups(build(), 0.5, {"5.bias": 3.0}), 0.2).param_groups
    described = [(group["name"], group["multiplier"], group["lr"]) for group in groups]
    assert described == [("1", 0.25, 0.05), ("3", 0.5, 0.1), ("5", 1.0, 0.2), ("5.bias", 3.0, pytest.approx(0.6))]


def test_without_momentum_nesterov_means_nothing() -> None:
    (group,) = new_optimizer(choice("sgd", momentum=0.0), layer_groups(build(), 1.0, {}), 0.1).param_groups
    assert (group["momentum"], group["nesterov"]) == (0.0, False)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no optimizer 'lion'"):
        new_optimizer(choice("lion"), layer_groups(build(), 1.0, {}), 0.1)


@pytest.mark.parametrize("optimizer", sorted(ARGUMENTS.keys() - ONE_RATE))
def test_rates_are_set_by_group_and_momentum_where_there_is_any(optimizer: str) -> None:
    stepping = new_optimizer(choice(optimizer), layer_groups(build(), 0.5, {}), 0.2)
    groups = stepping.param_groups
    for rate, momentum in ((0.4, None), (0.8, 0.6)):
        set_rates(stepping, rate, momentum)
        assert [group["lr"] for group in groups] == [rate / 4, rate / 2, rate]
        expected = MOMENTUM[optimizer] and (momentum or MOMENTUM[optimizer])
        assert [momentum_of(group) for group in groups] == [expected] * 3
        interpolation = [dict(group, betas=group.get("betas", ())) for group in groups if optimizer in SCHEDULE_FREE]
        assert all(group.get("momentum", group["betas"][:1]) in (0.6, (0.6,)) for group in interpolation)
        assert all(group["betas"][1] == 0.8 for group in groups if "betas" in group)


@pytest.mark.parametrize(("layer_decay", "multipliers"), [(0.5, {}), (1.0, {"*.bias": 2.0})])
def test_prodigy_refuses_rates_that_differ_by_layer(layer_decay: float, multipliers: dict[str, float]) -> None:
    with pytest.raises(DataProblem, match=r"^prodigy estimates one step size for all weights, and these have \d different"):
        new_optimizer(choice("prodigy"), layer_groups(build(), layer_decay, multipliers), 1.0)


def test_prodigy_has_one_rate_where_other_optimizers_of_a_job_have_one_by_layer() -> None:
    (measured,) = train(begin(optimizer="prodigy", layer_decay=0.5, learning_rate=1.0), 1)
    assert [each.group for each in measured.group_rates] == ["all"]


def test_a_warmup_does_not_raise_prodigys_estimate() -> None:
    estimates = []
    for warmup_fraction in (0.0, 0.3):
        run = begin(optimizer="prodigy", learning_rate=1.0, epochs=10, batch_size=32, warmup_fraction=warmup_fraction)
        train(run)
        estimates.append(run.state_dict()["optimizer"]["param_groups"][0]["d"])
    usual, warmed_up = estimates
    assert 0 < warmed_up < 1.2 * usual


@pytest.mark.parametrize(("schedule", "is_safeguarded"), [("one-cycle", True), ("cosine", False)])
def test_prodigys_safeguard_is_for_schedules_that_begin_with_a_warmup(schedule: str, is_safeguarded: bool) -> None:
    """Without one, it would make the estimate proportional to the rate."""
    (group,) = begin(optimizer="prodigy", schedule=schedule).state_dict()["optimizer"]["param_groups"]
    assert group["safeguard_warmup"] is is_safeguarded


def test_prodigy_with_weight_decay_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    new_optimizer(choice("prodigy", weight_decay=0.1), layer_groups(build(), 1.0, {}), 1.0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("optimizer", "package"), [("prodigy", "prodigyopt"), ("schedule-free-sgd", "schedulefree")])
def test_a_package_that_is_missing_is_named_with_its_extra(optimizer: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataProblem, match=rf"needs {package}: pip install 'stride-lr\[optimizers\]'$") as caught:
        new_optimizer(choice(optimizer), layer_groups(build(), 1.0, {}), 1.0)
    assert caught.value.for_every_trial
