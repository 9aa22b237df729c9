from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from objectives.models.cnn import cnn
from objectives.models.layers import ACTIVATIONS, Between
from objectives.models.mlp import mlp
from objectives.models.resnet import resnet
from objectives.training.dead_units import watched
from objectives.training.initialization import initialize

INPUTS = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def filled(layer: nn.Linear | nn.Conv2d, *biases: float) -> nn.Linear | nn.Conv2d:
    """The layer with small positive weights; units whose biases are not given have small positive ones."""
    assert layer.bias is not None
    nn.init.constant_(layer.weight, 0.5)
    nn.init.constant_(layer.bias, 0.1)
    with torch.no_grad():
        layer.bias[: len(biases)] = torch.tensor(biases)
    return layer


def layer_with(biases: list[float], activation: str) -> nn.Sequential:
    return nn.Sequential(filled(nn.Linear(4, 10), *biases), ACTIVATIONS[activation]())


def share(model: nn.Module, *chunks: Tensor) -> float:
    with watched(model) as dead, torch.inference_mode():
        for chunk in chunks:
            model(chunk)
    return dead.share().item()


@pytest.mark.parametrize(
    ("activation", "biases", "expected"),
    [
        pytest.param("relu", [-100.0] * 3, 0.3, id="relu below zero"),
        pytest.param("relu", [100.0] * 3, 0.0, id="relu far above zero"),
        pytest.param("leaky-relu", [-100.0] * 3, 0.0, id="leaky relu below zero"),
        pytest.param("gelu", [-100.0] * 3, 0.3, id="gelu far below zero"),
        pytest.param("tanh", [100.0, -100.0, 0.0], 0.2, id="tanh at both ends"),
        pytest.param("sigmoid", [100.0, -100.0, 0.0], 0.2, id="sigmoid at both ends"),
        pytest.param("relu", [-100.0] * 10, 1.0, id="all"),
    ],
)
def test_units_whose_output_is_the_same_for_every_example_are_dead(activation: str, biases: list[float], expected: float) -> None:
    assert share(layer_with(biases, activation), INPUTS) == pytest.approx(expected)


def test_a_unit_that_answers_to_one_example_alone_lives() -> None:
    inputs = torch.zeros(16, 4)
    inputs[11] = 1.0
    assert share(layer_with([-1.0], "relu"), inputs) == 0.0
    assert share(layer_with([-3.0], "relu"), inputs) == pytest.approx(0.1)


def test_units_are_counted_over_all_layers_whatever_the_size_of_each() -> None:
    model = nn.Sequential(*layer_with([-100.0] * 5, "relu"), filled(nn.Linear(10, 40)), nn.ReLU(), nn.Linear(40, 2))
    assert share(model, INPUTS) == pytest.approx(5 / 50)


def test_a_channel_lives_if_it_differs_anywhere_in_the_images() -> None:
    model = nn.Sequential(filled(nn.Conv2d(1, 8, 3), -100.0, -100.0), nn.ReLU())
    assert share(model, IMAGES) == pytest.approx(2 / 8)
    one_place = torch.zeros(16, 1, 8, 8)
    one_place[3, 0, 6, 1] = 1.0
    assert share(model, one_place) == pytest.approx(2 / 8)
    assert share(model, torch.zeros(16, 1, 8, 8)) == 1.0


def test_a_unit_that_differs_between_chunks_alone_lives() -> None:
    model = layer_with([-100.0], "relu")
    assert share(model, torch.ones(8, 4)) == 1.0
    assert share(model, torch.ones(8, 4), torch.full((5, 4), 2.0)) == pytest.approx(0.1)
    assert share(model, torch.full((5, 4), 2.0), torch.ones(8, 4)) == pytest.approx(0.1)


@pytest.mark.parametrize("differing", [0, 1, 2])
def test_a_unit_that_differs_in_any_chunk_lives(differing: int) -> None:
    chunks = [torch.ones(8, 4), torch.ones(8, 4), torch.ones(3, 4)]
    chunks[differing] = INPUTS
    assert share(layer_with([-100.0], "relu"), *chunks) == pytest.approx(0.1)


@pytest.mark.parametrize("n_chunks", [1, 4])
def test_chunks_do_not_matter(n_chunks: int) -> None:
    assert share(layer_with([-100.0, -100.0], "relu"), *INPUTS.chunk(n_chunks)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("new_model", "first_layer", "n_units"),
    [(mlp, 1, 128 + 128), (cnn, 0, 16 + 32), (resnet, 0, 16 + 2 * (16 + 32 + 64))],
    ids=["mlp", "cnn", "resnet"],
)
def test_every_hidden_unit_of_a_model_counts_once(
    new_model: Callable[..., nn.Sequential], first_layer: int, n_units: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    model = new_model((1, 8, 8), 10, Between(activation="tanh", normalization="none", dropout=0.0))
    initialize(model, "he-normal", generator)
    assert share(model, IMAGES) == 0.0
    with torch.no_grad():
        model.get_parameter(f"{first_layer}.bias")[0] = 1000.0
    assert share(model, IMAGES) == pytest.approx(1 / n_units)


def test_nobody_watches_after_the_block() -> None:
    model = layer_with([], "relu")
    with watched(model) as dead:
        model(torch.ones(8, 4))
    model(INPUTS)
    assert dead.share().item() == 1.0


def test_nobody_watches_after_an_exception_in_the_block() -> None:
    model = layer_with([], "relu")
    with pytest.raises(RuntimeError, match="shape"), watched(model) as dead:
        model(torch.ones(8, 4))
        model(torch.ones(8, 5))
    model(INPUTS)
    assert dead.share().item() == 1.0


def test_one_look_knows_nothing_of_another() -> None:
    model = layer_with([], "relu")
    assert [share(model, chunk) for chunk in (INPUTS, torch.ones(8, 4))] == [0.0, 1.0]
