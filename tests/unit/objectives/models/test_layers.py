from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from objectives.models.layers import ACTIVATIONS, Between, ChannelNorm
from tests.unit.objectives.rounding import roundings

INPUTS = torch.linspace(-5, 5, 101)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "leaky-relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
}


def between(**overrides: Any) -> Between:
    fields: dict[str, Any] = {"activation": "relu", "normalization": "usual", "dropout": 0.0}
    return Between(**fields | overrides)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_the_function_of_its_name(name: str) -> None:
    assert_close(ACTIVATIONS[name]()(INPUTS), FUNCTIONS[name](INPUTS), **roundings(8, of=INPUTS))


@pytest.mark.parametrize(
    ("normalization", "usual", "kind", "expected"),
    [
        ("usual", "none", "units", []),
        ("usual", "none", "channels", []),
        ("usual", "batch", "channels", [nn.BatchNorm2d]),
        ("usual", "layer", "units", [nn.LayerNorm]),
        ("none", "batch", "channels", []),
        ("batch", "none", "units", [nn.BatchNorm1d]),
        ("batch", "none", "channels", [nn.BatchNorm2d]),
        ("layer", "batch", "units", [nn.LayerNorm]),
        ("layer", "batch", "channels", [ChannelNorm]),
    ],
)
def test_normalization_is_the_asked_for_or_else_the_usual_one(
    normalization: str, usual: str, kind: Literal["units", "channels"], expected: list[type]
) -> None:
    assert [type(module) for module in between(normalization=normalization).norm(5, kind, usual)] == expected


@pytest.mark.parametrize(("kind", "shape"), [("units", (16, 5)), ("channels", (16, 5, 4, 3))])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_batch_norm_normalizes_each_feature_over_the_batch_and_layer_norm_each_example(
    normalization: str, kind: Literal["units", "channels"], shape: tuple[int, ...]
) -> None:
    (norm,) = between(normalization=normalization).norm(5, kind)
    inputs = 3 + 2 * torch.randn(shape, generator=generator())
    outputs = norm(inputs)
    kept = 1 if normalization == "batch" else 0
    over = [dimension for dimension in range(outputs.dim()) if dimension != kept]
    variances = inputs.var(over, correction=0)
    off = roundings(inputs.numel() // shape[kept], of=inputs)  # of a sum over so many
    assert_close(outputs.mean(over), torch.zeros(shape[kept]), **off)
    # 1e-5: what PyTorch adds to a variance before it divides by it.
    assert_close(outputs.var(over, correction=0), variances / (variances + 1e-5), **off)


@pytest.mark.parametrize(("kind", "shape"), [("units", (16, 5)), ("channels", (16, 5, 4, 3))])
def test_layer_norm_is_over_all_features_and_has_a_scale_and_a_shift_for_each(
    kind: Literal["units", "channels"], shape: tuple[int, ...]
) -> None:
    (norm,) = between(normalization="layer").norm(5, kind)
    plain = norm(inputs := torch.randn(shape, generator=generator()) + torch.arange(5.0).view(5, *[1] * (len(shape) - 2)))
    # Each is a difference from a mean over so many.
    off = roundings(inputs[0].numel(), of=plain)
    assert_close(plain, functional.layer_norm(inputs, shape[1:]), **off)
    with torch.no_grad():
        norm.get_parameter("weight")[2], norm.get_parameter("bias")[2] = 3.0, 1.0
    expected = plain.clone()
    expected[:, 2] = 3 * expected[:, 2] + 1
    assert_close(norm(inputs), expected, **roundings(inputs[0].numel(), of=expected))


def test_between_layers_stand_normalization_activation_and_dropout_in_this_order() -> None:
    modules = between(normalization="batch", dropout=0.5).modules(5, "units")
    assert [type(module) for module in modules] == [nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert [type(module) for module in between().modules(5, "units")] == [nn.ReLU]
    assert [type(module) for module in between().modules(5, "channels", usual="batch")] == [nn.BatchNorm2d, nn.ReLU]


def test_the_activation_between_layers_is_the_chosen_one() -> None:
    (activation,) = between(activation="tanh").modules(5, "units")
    assert_close(activation(INPUTS), functional.tanh(INPUTS), rtol=0, atol=0)
