"""Beam search among so few sequences that all can be compared."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from objectives.models.beam_search import beam_search

PADDING, BEGIN, UNKNOWN, END, A, B = range(6)
N_CLASSES = 6
N_TOKENS = 4
N = 6
CPU = torch.device("cpu")


def drawn_model(seed: int) -> Callable[[Tensor], Tensor]:
    """The logits of the next token for each of N examples: a table by the example, the number of tokens, and the last one."""
    table = 2 * torch.randn(N, N_TOKENS, N_CLASSES, N_CLASSES, generator=torch.Generator().manual_seed(seed))

    def next_logits(sequences: Tensor) -> Tensor:
        example = torch.arange(len(sequences)) // (len(sequences) // N)
        return table[example, sequences.shape[1] - 1, sequences[:, -1]]

    return next_logits


def search(next_logits: Callable[[Tensor], Tensor], width: int) -> Tensor:
    return beam_search(next_logits, N, width, N_TOKENS, begin=BEGIN, end=END, padding=PADDING, unknown=UNKNOWN, device=CPU)


def log_probability(next_logits: Callable[[Tensor], Tensor], example: int, tokens: tuple[int, ...]) -> float:
    """Of a sequence of an example, until its end."""
    total, so_far = 0.0, [BEGIN]
    for token in tokens:
        logits = next_logits(torch.tensor([so_far] * N))[example]
        logits = logits.index_fill(0, torch.tensor([PADDING, BEGIN, UNKNOWN]), -torch.inf)
        total += logits.log_softmax(dim=0)[token].item()
        so_far.append(token)
    return total


def sequences() -> list[tuple[int, ...]]:
    """All of N_TOKENS tokens, and shorter ones that end."""
    found = [(*tokens, END) for n in range(N_TOKENS) for tokens in product((A, B), repeat=n)]
    return [*found, *product((A, B), repeat=N_TOKENS)]


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_as_wide_as_there_are_sequences_finds_the_most_probable_one(seed: int) -> None:
    next_logits = drawn_model(seed)
    best = [max(sequences(), key=lambda tokens, row=row: log_probability(next_logits, row, tokens)) for row in range(N)]
    padded = [[*tokens, *[PADDING] * (N_TOKENS - len(tokens))] for tokens in best]
    assert search(next_logits, width=len(sequences())).tolist() == padded
    assert len({len(tokens) for tokens in best}) > 1


def test_a_beam_of_one_takes_the_most_probable_token_each_time_until_the_end() -> None:
    next_logits = drawn_model(0)
    expected = torch.full((N, 1), BEGIN)
    for _ in range(N_TOKENS):
        tokens = next_logits(expected)[:, END:].argmax(dim=1) + END
        tokens[(expected[:, -1] == END) | (expected[:, -1] == PADDING)] = PADDING
        expected = torch.cat([expected, tokens.unsqueeze(1)], dim=1)
    greedy = search(next_logits, width=1)
    assert greedy.tolist() == expected[:, 1:].tolist()
    assert greedy.tolist() != search(next_logits, width=4).tolist()


def test_no_token_is_asked_for_once_all_sequences_have_ended() -> None:
    asked = []

    def ending(sequences: Tensor) -> Tensor:
        asked.append(sequences.shape[1])
        return torch.nn.functional.one_hot(torch.full((len(sequences),), END), N_CLASSES) * 9.0

    assert search(ending, width=1).tolist() == [[END, PADDING, PADDING, PADDING]] * N
    assert asked == [1]
