"""Networks over sequences of different length, padded on the right."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from objectives.models.padding import is_padding, last_step, mean_step
from objectives.models.recurrent import Recurrent
from objectives.models.transformer import PositionalEncoding, Transformer
from tests.unit.objectives.rounding import roundings

WIDTH = 8
LENGTHS = torch.tensor([5, 1, 3])


def model(name: str) -> Recurrent | Transformer:
    torch.manual_seed(0)
    if name == "transformer":
        return Transformer(WIDTH, longest=9, heads=2)
    if name == "causal":
        return Transformer(WIDTH, longest=9, heads=2, is_causal=True)
    return Recurrent(name, WIDTH, WIDTH, layers=2)


def sequences() -> Tensor:
    return torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(1))


each_model = pytest.mark.parametrize("name", ["gru", "lstm", "transformer", "causal"])


@each_model
def test_a_model_has_a_state_for_every_step(name: str) -> None:
    assert model(name)(sequences(), LENGTHS).shape == (3, 5, WIDTH)
    assert model(name)(sequences()).shape == (3, 5, WIDTH)


@each_model
@pytest.mark.parametrize("is_training", [True, False])
def test_what_stands_in_the_padding_changes_no_state_before_it(name: str, is_training: bool) -> None:
    padding = is_padding(LENGTHS, 5)
    network = model(name).train(is_training)
    states = network(sequences(), LENGTHS)
    others = network(sequences().masked_fill(padding.unsqueeze(2), 9.0), LENGTHS)
    assert_close(others[~padding], states[~padding], **roundings(16, of=states))


@each_model
def test_the_states_of_a_shorter_batch_are_those_of_a_longer_one(name: str) -> None:
    states = model(name)(sequences(), LENGTHS)
    alone = model(name)(sequences()[2:, :3])
    assert_close(alone[0], states[2, :3], **roundings(64, of=states))


@pytest.mark.parametrize(("name", "sees_later"), [("gru", False), ("lstm", False), ("causal", False), ("transformer", True)])
def test_only_a_transformer_that_is_not_causal_sees_later_steps(name: str, sees_later: bool) -> None:
    inputs = sequences().requires_grad_()
    model(name)(inputs)[:, 2, 0].sum().backward()
    assert inputs.grad is not None
    assert bool(inputs.grad[:, :3].any(dim=2).all())
    assert bool(inputs.grad[:, 3:].any()) is sees_later


def test_every_layer_of_a_transformer_begins_with_weights_of_its_own() -> None:
    network = model("transformer")
    first, second = (layer.get_parameter("linear1.weight") for layer in network.layers)
    assert not torch.equal(first, second)


def test_positions_are_encoded_as_in_the_paper() -> None:
    encoded = PositionalEncoding(WIDTH, longest=9)(torch.zeros(1, 9, WIDTH))[0]
    for position, i in [(0, 0), (1, 0), (8, 1), (5, 3)]:
        angle = position / 10_000 ** (2 * i / WIDTH)
        expected = torch.tensor([math.sin(angle), math.cos(angle)])
        assert_close(encoded[position, 2 * i : 2 * i + 2], expected, **roundings(16, of=1.0))


def test_a_model_keeps_no_positions_in_its_state() -> None:
    assert not any("encoding" in name for name in model("transformer").state_dict())


def test_last_and_mean_are_of_the_steps_that_are_no_padding() -> None:
    states = torch.arange(15.0).view(3, 5, 1)
    assert last_step(states, LENGTHS).flatten().tolist() == [4.0, 5.0, 12.0]
    assert mean_step(states, LENGTHS).flatten().tolist() == [2.0, 5.0, 11.0]
    states[1, 1:] = math.nan
    assert mean_step(states, LENGTHS).flatten().tolist() == [2.0, 5.0, 11.0]


def test_padding_is_what_stands_behind_the_last_step() -> None:
    assert is_padding(torch.tensor([2, 3]), 3).tolist() == [[False, False, True], [False, False, False]]


def test_dropout_is_between_layers_without_a_warning() -> None:
    assert isinstance(Recurrent("lstm", WIDTH, WIDTH, dropout=0.5).layers, nn.LSTM)
    assert Recurrent("gru", WIDTH, WIDTH, layers=2, dropout=0.5).layers.dropout == 0.5
