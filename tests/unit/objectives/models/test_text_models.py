import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from objectives.models.bag import BASE, MODULUS, BagOfNgrams
from objectives.models.padding import last_step, mean_step
from objectives.models.recurrent import Recurrent
from objectives.models.text import LocalTransformer, TextClassifier
from tests.unit.objectives.rounding import roundings

TEXTS = ([2, 3, 2, 5], [4], [2, 3])


def padded(max_length: int) -> Tensor:
    return torch.tensor([[*text, *[0] * (max_length - len(text))] for text in TEXTS], dtype=torch.int32)


def model(name: str, max_length: int = 9) -> nn.Module:
    torch.manual_seed(0)
    if name == "bag":
        return BagOfNgrams(8, 3, longest=3, buckets=50)
    if name == "transformer":
        encoder = LocalTransformer(8, max_length, layers=1, heads=2, activation=nn.GELU, dropout=0.0)
        return TextClassifier(6, 8, 3, encoder, mean_step)
    return TextClassifier(6, 8, 3, Recurrent(name, 8, 8), last_step)


each_model = pytest.mark.parametrize("name", ["bag", "gru", "lstm", "transformer"])


@each_model
def test_how_much_padding_stands_behind_a_text_changes_no_output(name: str) -> None:
    network = model(name).eval()
    outputs = network(padded(4))
    assert outputs.shape == (3, 3)
    assert_close(network(padded(9)), outputs, **roundings(32, of=outputs))


@each_model
def test_every_text_is_read_by_itself(name: str) -> None:
    network = model(name).eval()
    outputs = network(padded(9))
    assert_close(network(padded(9)[1:2]), outputs[1:2], **roundings(32, of=outputs))


def test_every_character_of_a_text_is_read() -> None:
    for name in ("bag", "gru", "lstm", "transformer"):
        network = model(name).eval()
        others = padded(4)
        others[0, 0] = 5
        assert not torch.equal(network(others)[0], network(padded(4))[0]), name


def hashed(ngram: list[int]) -> int:
    found = 0
    for size, character in enumerate(ngram, start=1):
        found = (found * BASE + character + size) % MODULUS
    return found


def test_the_bag_holds_every_ngram_with_the_ends_of_the_text_marked() -> None:
    bag = BagOfNgrams(8, 3, longest=3, buckets=1_000)
    for text, found in zip(TEXTS, bag.ngrams(padded(6)), strict=True):
        marked = [0, *text, 0]
        ngrams = [marked[first : first + n] for n in (1, 2, 3) for first in range(len(marked) - n + 1)]
        assert sorted(found[found > 0].tolist()) == sorted(1 + hashed(ngram) % 1_000 for ngram in ngrams)


def test_ngrams_longer_than_the_longest_text_are_none() -> None:
    assert BagOfNgrams(8, 3, longest=9, buckets=50)(padded(4)).isfinite().all()


def test_an_update_of_the_bag_changes_the_vectors_of_its_ngrams_only() -> None:
    bag = BagOfNgrams(8, 3, longest=2, buckets=1_000)
    bag(padded(4)).square().sum().backward()
    gradient = bag.embedding.weight.grad
    assert gradient is not None
    assert set(gradient.any(dim=1).nonzero().flatten().tolist()) == set(bag.ngrams(padded(4)).unique().tolist()) - {0}
