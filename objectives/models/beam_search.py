"""Beam search: the most probable of the sequences that are not dropped on the way. With a width of 1 it is greedy decoding."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, pad


def beam_search(
    next_logits: Callable[[Tensor], Tensor],
    n: int,
    width: int,
    n_tokens: int,
    *,
    begin: int,
    end: int,
    padding: int,
    unknown: int,
    device: torch.device,
) -> Tensor:
    """The best sequence that was found for each of n examples, (n, n_tokens): with `end`, if it has ended, and padding behind it.

    next_logits: maps sequences so far, (n * width, n_so_far), those of an example one after another and the first token of each
    `begin`, to logits of the next token, (n * width, n_classes). Sequences are compared by the sum of log-probabilities, without
    a bonus for length; `begin`, `padding` and `unknown` are no tokens of a sequence.
    """
    sequences = torch.full((n * width, 1), begin, device=device)
    scores = torch.full((n, width), -torch.inf, device=device)
    scores[:, 0] = 0.0  # at first all sequences of an example are the same one
    first = torch.arange(n, device=device).unsqueeze(1) * width
    for _ in range(n_tokens):
        logits = next_logits(sequences).float()
        logits[:, [begin, padding, unknown]] = -torch.inf
        steps = log_softmax(logits, dim=1)
        has_ended = (sequences[:, -1] == end) | (sequences[:, -1] == padding)
        steps[has_ended] = -torch.inf
        steps[has_ended, padding] = 0.0
        n_classes = steps.shape[1]
        scores, best = (scores.unsqueeze(2) + steps.view(n, width, n_classes)).flatten(1).topk(width, dim=1)
        continued = (first + best // n_classes).flatten()
        sequences = torch.cat([sequences[continued], (best % n_classes).view(-1, 1)], dim=1)
        if ((sequences[:, -1] == end) | (sequences[:, -1] == padding)).all():
            break
    found = sequences[(first + scores.argmax(dim=1, keepdim=True)).squeeze(1), 1:]
    return pad(found, (0, n_tokens - found.shape[1]), value=padding)
