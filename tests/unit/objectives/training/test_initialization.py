import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from objectives.models.cnn import cnn
from objectives.models.layers import ACTIVATIONS, Between
from objectives.models.mlp import mlp
from objectives.models.resnet import resnet
from objectives.training.initialization import gain, initialize
from tests.unit.objectives.rounding import EPS, roundings

GAINS = {
    "relu": math.sqrt(2),
    "leaky-relu": math.sqrt(2 / (1 + 0.01**2)),
    "gelu": math.sqrt(2),
    "tanh": 5 / 3,
    "sigmoid": 1.0,
}
DRAWN = ("xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal")
NewLayer = Callable[[], nn.Linear | nn.Conv2d]
LARGE: dict[str, tuple[NewLayer, int, int]] = {
    "linear": (lambda: nn.Linear(400, 600), 400, 600),
    "convolution": (lambda: nn.Conv2d(40, 60, 3), 360, 540),
}
"""Each with its fan in and fan out."""
SMALL: tuple[NewLayer, ...] = (lambda: nn.Linear(30, 20), lambda: nn.Conv2d(3, 8, 3), lambda: nn.Linear(5, 4, bias=False))

each_drawn = pytest.mark.parametrize("how", DRAWN)
each_model = pytest.mark.parametrize("new_model", [mlp, cnn, resnet])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hidden(layer: nn.Linear | nn.Conv2d, how: str, activation: str = "relu", seed: int = 0) -> Tensor:
    """The weights of a hidden layer, in two dimensions, (outputs, inputs)."""
    initialize(nn.Sequential(layer, ACTIVATIONS[activation](), nn.Linear(1, 1)), how, generator(seed))
    return layer.weight.detach().flatten(1)


def build(new_model: Callable[..., nn.Sequential], normalization: str = "usual") -> nn.Sequential:
    return new_model((1, 8, 8), 10, Between(activation="relu", normalization=normalization, dropout=0.0))


def layers(model: nn.Sequential) -> list[nn.Linear | nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


@pytest.mark.parametrize("layer", LARGE)
@pytest.mark.parametrize("activation", GAINS)
@pytest.mark.parametrize("how", ["xavier-uniform", "xavier-normal", "he-uniform", "he-normal"])
def test_weights_have_the_published_variance_times_the_gain(how: str, activation: str, layer: str) -> None:
    new_layer, fan_in, fan_out = LARGE[layer]
    weights = hidden(new_layer(), how, activation)
    deviation = GAINS[activation] * math.sqrt(2 / (fan_in + fan_out) if "xavier" in how else 1 / fan_in)
    assert weights.std().item() == pytest.approx(deviation, rel=0.01)
    assert weights.mean().item() == pytest.approx(0, abs=4 * deviation / math.sqrt(weights.numel()))
    if "uniform" in how:
        assert weights.abs().max().item() == pytest.approx(math.sqrt(3) * deviation, rel=1e-3)
    else:  # of the fourth power of a normal variable the mean is 3
        assert (weights / deviation).pow(4).mean().item() == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("new_layer", SMALL)
@pytest.mark.parametrize(("how", "theirs"), [("he-uniform", nn.init.kaiming_uniform_), ("he-normal", nn.init.kaiming_normal_)])
def test_he_draws_what_pytorch_draws_for_relu(how: str, theirs: Callable[..., Tensor], new_layer: NewLayer) -> None:
    expected = theirs(torch.empty_like(new_layer().weight), nonlinearity="relu", generator=generator(3))
    # The bounds of a uniform draw come out of other divisions: each number is a product of it, and rounded.
    assert_close(hidden(new_layer(), how, seed=3), expected.flatten(1), rtol=4 * EPS, atol=0)


@pytest.mark.parametrize("activation", GAINS)
@pytest.mark.parametrize("layer", [nn.Linear(40, 30), nn.Linear(30, 40), nn.Conv2d(4, 20, 3), nn.Conv2d(2, 20, 3)])
def test_orthogonal_weights_are_orthogonal_and_as_long_as_the_gain(layer: nn.Linear | nn.Conv2d, activation: str) -> None:
    weights = hidden(layer, "orthogonal", activation)
    shorter = weights if weights.shape[0] <= weights.shape[1] else weights.T
    squared = GAINS[activation] ** 2
    assert_close(shorter @ shorter.T, squared * torch.eye(len(shorter)), **roundings(shorter.shape[1], of=squared))


def test_the_gain_of_each_activation_is_the_published_one() -> None:
    found = {name: gain(nn.Sequential(nn.Linear(1, 1), new()), "orthogonal") for name, new in ACTIVATIONS.items()}
    assert found == pytest.approx(GAINS, rel=1e-12)


def test_without_an_activation_module_the_gain_is_that_of_relu_for_he_and_else_one() -> None:
    assert [gain(nn.Linear(1, 1), how) for how in ("he-normal", "xavier-normal")] == pytest.approx([math.sqrt(2), 1.0])


@each_model
def test_default_leaves_the_weights_as_the_models_code_has_left_them(new_model: Callable[..., nn.Sequential]) -> None:
    model = build(new_model)
    before = [weights.clone() for weights in model.parameters()]
    initialize(model, "default", generator(3))
    assert_close(list(model.parameters()), before, rtol=0, atol=0)


@each_model
@each_drawn
def test_every_linear_and_convolutional_layer_is_drawn_anew(how: str, new_model: Callable[..., nn.Sequential]) -> None:
    for weights in (model := build(new_model)).parameters():
        nn.init.constant_(weights, 7.0)
    initialize(model, how, generator())
    assert all((weights != 7).all() for layer in layers(model) for weights in layer.parameters())


@each_model
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalization_stays_as_it_was(new_model: Callable[..., nn.Sequential], normalization: str) -> None:
    model = build(new_model, normalization)
    drawn = {id(weights) for layer in layers(model) for weights in layer.parameters()}
    others = [weights for weights in model.parameters() if id(weights) not in drawn]
    before = [weights.clone() for weights in others]
    initialize(model, "he-normal", generator())
    assert before
    assert_close(others, before, rtol=0, atol=0)


@each_model
@each_drawn
@pytest.mark.parametrize("zero_output", [True, False])
def test_biases_start_at_zero_and_of_the_weights_the_output_layers_if_asked_for(
    how: str, new_model: Callable[..., nn.Sequential], zero_output: bool
) -> None:
    model = build(new_model)
    initialize(model, how, generator(), zero_output=zero_output)
    *others, output = layers(model)
    assert not any(layer.bias.any() for layer in (*others, output) if layer.bias is not None)
    assert all(layer.weight.all() for layer in others)
    assert output.weight.any().item() is not zero_output


@each_drawn
def test_the_output_layer_has_no_activation_and_so_a_gain_of_one(how: str) -> None:
    model = nn.Sequential(nn.Linear(40, 30))
    initialize(model, how, generator(), zero_output=False)
    assert_close(model.get_parameter("0.weight").detach(), hidden(nn.Linear(40, 30), how, "sigmoid"), rtol=0, atol=0)


@each_model
@each_drawn
def test_only_the_given_generator_is_drawn_from(how: str, new_model: Callable[..., nn.Sequential]) -> None:
    model, same, other = build(new_model), build(new_model), build(new_model)
    global_state = torch.get_rng_state()
    for each, seed in ((model, 0), (same, 0), (other, 1)):
        initialize(each, how, generator(seed), zero_output=False)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert_close(same.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert all(not torch.equal(one.weight, another.weight) for one, another in zip(layers(model), layers(other), strict=True))


@each_drawn
@pytest.mark.parametrize(
    "layer",
    [nn.GRU(3, 4, num_layers=2), nn.LSTMCell(3, 4), nn.Conv1d(2, 3, 3), nn.ConvTranspose2d(2, 3, 2), nn.MultiheadAttention(4, 2)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_of_other_kinds_are_drawn_from_the_given_generator_too(how: str, layer: nn.Module) -> None:
    for weights in layer.parameters():
        nn.init.constant_(weights, 7.0)
    initialize(nn.Sequential(layer, nn.Linear(1, 1)), how, generator())
    once = [weights.clone() for weights in layer.parameters()]
    assert all((weights != 7).all() for weights in once)
    initialize(nn.Sequential(layer, nn.Linear(1, 1)), how, generator())
    assert_close(list(layer.parameters()), once, rtol=0, atol=0)


@each_drawn
def test_embeddings_frozen_weights_and_weights_tied_to_an_embedding_stay_as_they_were(how: str) -> None:
    embedding, frozen, output = nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 5, bias=False)
    output.weight = embedding.weight
    frozen.requires_grad_(requires_grad=False)
    model = nn.Sequential(embedding, frozen, output)
    before = [weights.clone() for weights in model.parameters()]
    initialize(model, how, generator())
    assert_close(list(model.parameters()), before, rtol=0, atol=0)
