from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.testing import assert_close

from objectives.models.cnn import cnn
from objectives.models.layers import ACTIVATIONS, Between, ChannelNorm
from objectives.models.mlp import mlp
from objectives.models.resnet import ResidualBlock, resnet
from objectives.training.activations import ACTIVATIONS as KNOWN
from tests.unit.objectives.rounding import roundings

NewModel = Callable[[tuple[int, ...], int, Between], nn.Sequential]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, ChannelNorm)

each_model = pytest.mark.parametrize("new_model", [mlp, cnn, resnet])
each_shape = pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 9, 7)], ids=str)


def between(**overrides: Any) -> Between:
    fields: dict[str, Any] = {"activation": "relu", "normalization": "usual", "dropout": 0.0}
    return Between(**fields | overrides)


def images(shape: tuple[int, ...], n: int = 5) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def of_type(model: nn.Module, *types: type) -> list[type]:
    return [type(module) for module in model.modules() if isinstance(module, types)]


@each_model
@each_shape
@pytest.mark.parametrize("normalization", ["usual", "none", "batch", "layer"])
def test_a_model_maps_images_of_any_shape_to_its_outputs(new_model: NewModel, shape: tuple[int, ...], normalization: str) -> None:
    model = new_model(shape, 3, between(normalization=normalization, dropout=0.2))
    assert model(images(shape)).shape == (5, 3)
    assert model.eval()(images(shape, 1)).shape == (1, 3)


def test_the_mlp_maps_rows_of_a_table_to_its_outputs() -> None:
    assert mlp((13,), 1, between())(images((13,))).shape == (5, 1)


def test_the_mlp_has_as_many_hidden_layers_as_asked_for() -> None:
    model = mlp((13,), 1, between(), hidden_layers=3, width=20)
    shapes = [weights.shape for weights in model.parameters() if weights.dim() == 2]
    assert shapes == [(20, 13), (20, 20), (20, 20), (1, 20)]


@each_model
@each_shape
def test_the_last_module_is_the_output_layer(new_model: NewModel, shape: tuple[int, ...]) -> None:
    output = new_model(shape, 3, between())[-1]
    assert isinstance(output, nn.Linear)
    assert output.out_features == 3


@each_model
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_of_a_model_is_the_chosen_one(new_model: NewModel, activation: str) -> None:
    model = new_model((1, 8, 8), 3, between(activation=activation))
    activations = [module for module in model.modules() if isinstance(module, KNOWN)]
    assert len(activations) == (7 if new_model is resnet else 2)
    assert {type(module) for module in activations} == {type(ACTIVATIONS[activation]())}


@pytest.mark.parametrize(
    ("new_model", "normalization", "expected"),
    [
        (mlp, "usual", []),
        (cnn, "usual", []),
        (resnet, "usual", [nn.BatchNorm2d] * 9),  # after each of the seven 3x3 convolutions and the two of shortcuts
        (mlp, "batch", [nn.BatchNorm1d] * 2),
        (cnn, "batch", [nn.BatchNorm2d] * 2),
        (resnet, "batch", [nn.BatchNorm2d] * 9),
        (mlp, "layer", [nn.LayerNorm] * 2),
        (cnn, "layer", [ChannelNorm] * 2),
        (resnet, "layer", [ChannelNorm] * 9),
        (mlp, "none", []),
        (cnn, "none", []),
        (resnet, "none", []),
    ],
)
def test_every_hidden_layer_is_normalized_as_asked_for(new_model: NewModel, normalization: str, expected: list[type]) -> None:
    model = new_model((1, 8, 8), 3, between(normalization=normalization))
    assert of_type(model, *NORMS) == expected


@each_model
def test_normalization_follows_its_layer_at_once(new_model: NewModel) -> None:
    for before, module in pairwise(new_model((1, 8, 8), 3, between(normalization="batch")).modules()):
        if isinstance(module, NORMS):
            assert isinstance(before, nn.Linear | nn.Conv2d)


@each_model
def test_dropout_is_in_a_model_when_asked_for_and_off_in_evaluation(new_model: NewModel) -> None:
    assert of_type(new_model((1, 8, 8), 3, between()), nn.Dropout) == []
    model = new_model((1, 8, 8), 3, between(dropout=0.3, normalization="none"))
    assert len(of_type(model, nn.Dropout)) == (4 if new_model is resnet else 2)
    inputs = images((1, 8, 8))
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@each_model
def test_one_example_does_not_look_at_another_without_batch_norm(new_model: NewModel) -> None:
    model = new_model((1, 8, 8), 3, between(normalization="layer"))
    inputs = images((1, 8, 8))
    beside_others = -2 * inputs
    beside_others[2] = inputs[2]
    # As many of them: of one alone, other kernels would make the products.
    assert torch.equal(model(inputs)[2], model(beside_others)[2])
    assert not torch.equal(model(inputs)[1], model(beside_others)[1])


def block(channels: int, n_channels: int, stride: int) -> ResidualBlock:
    """One whose residual is zero: its shortcut alone is seen."""
    made = ResidualBlock(channels, n_channels, stride, between(normalization="none", activation="tanh"))
    for weights in made.residual[-1].parameters():
        nn.init.zeros_(weights)
    return made


def test_the_shortcut_of_a_block_that_keeps_the_shape_changes_nothing() -> None:
    inputs = images((4, 9, 7))
    assert torch.equal(block(4, 4, 1)(inputs), torch.tanh(inputs))


@pytest.mark.parametrize(("n_channels", "stride", "size"), [(6, 2, (5, 4)), (6, 1, (9, 7)), (4, 2, (5, 4))])
def test_the_shortcut_of_a_block_that_changes_the_shape_is_a_1x1_convolution(
    n_channels: int, stride: int, size: tuple[int, int]
) -> None:
    made, inputs = block(4, n_channels, stride), images((4, 9, 7))
    weight, bias = made.shortcut.parameters()
    assert weight.shape == (n_channels, 4, 1, 1)
    assert made(inputs).shape == (5, n_channels, *size)
    # Sums of four products and a bias, of weights that are at most a half.
    expected = torch.tanh(conv2d(inputs[:, :, ::stride, ::stride], weight, bias))
    assert_close(made(inputs), expected, **roundings(8, of=inputs))


def test_a_block_adds_the_residual_before_its_activation() -> None:
    made = block(4, 4, 1)
    nn.init.constant_(made.residual.get_parameter("2.bias"), 2.0)
    assert torch.equal(made(images((4, 9, 7))), torch.tanh(images((4, 9, 7)) + 2))
