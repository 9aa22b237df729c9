"""Batches of sequences of different length: padding stands on the right, behind each sequence's last step."""

import torch
from torch import Tensor


def is_padding(lengths: Tensor, n_steps: int) -> Tensor:
    """Where padding stands, (n, n_steps), for sequences of `lengths` (n,) steps each."""
    return torch.arange(n_steps, device=lengths.device) >= lengths.unsqueeze(1)


def last_step(states: Tensor, lengths: Tensor) -> Tensor:
    """The state of each sequence's last step, (n, width), of states (n, steps, width). Lengths are 1 or more."""
    return states[torch.arange(len(states), device=states.device), lengths - 1]


def mean_step(states: Tensor, lengths: Tensor) -> Tensor:
    """The mean over each sequence's steps, (n, width), of states (n, steps, width). Lengths are 1 or more."""
    outside = is_padding(lengths, states.shape[1]).unsqueeze(2)
    return states.masked_fill(outside, 0.0).sum(dim=1) / lengths.unsqueeze(1)
