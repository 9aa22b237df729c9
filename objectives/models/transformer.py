"""A Transformer encoder over sequences.

Vaswani et al., "Attention Is All You Need" (2017), sections 3.1 to 3.5, https://arxiv.org/abs/1706.03762. Deviation: layer norm
stands before attention and feed-forward layers, and after the last one (Xiong et al. 2020, https://arxiv.org/abs/2002.04745), so
that training needs no warm-up.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from objectives.models.padding import is_padding

FEED_FORWARD = 4
"""Units of the feed-forward layers, as a multiple of the width."""


class PositionalEncoding(nn.Module):
    """Adds sines and cosines of the position, of wavelengths from 2 pi to 10,000 * 2 pi (section 3.5). Width is even."""

    encoding: Tensor

    def __init__(self, width: int, longest: int) -> None:
        """longest: the largest number of steps."""
        super().__init__()
        positions = torch.arange(longest, dtype=torch.float32).unsqueeze(1)
        frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
        angles = positions * frequencies
        encoding = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
        self.register_buffer("encoding", encoding, persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Sequences are (n, steps, width)."""
        return sequences + self.encoding[: sequences.shape[1]]


class Transformer(nn.Module):
    """Layers of self-attention and of feed-forward networks, over steps with their positions."""

    def __init__(
        self,
        width: int,
        longest: int,
        *,
        layers: int = 2,
        heads: int = 4,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        is_causal: bool = False,
    ) -> None:
        """longest: the largest number of steps. is_causal: a step attends to itself and to earlier ones only."""
        super().__init__()
        self.positions = PositionalEncoding(width, longest)
        # Not nn.TransformerEncoder, whose layers are copies with the same initial weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                dim_feedforward=FEED_FORWARD * width,
                dropout=dropout,
                activation=activation(),
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self._is_causal = is_causal

    def forward(self, sequences: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Maps sequences (n, steps, width) to a state for each step, (n, steps, width).

        lengths: (n,), the steps of each sequence, behind which stands padding; None: there is none. The states of padding mean
        nothing.
        """
        n_steps = sequences.shape[1]
        padding = None if lengths is None else is_padding(lengths, n_steps)
        later = torch.ones(n_steps, n_steps, dtype=torch.bool, device=sequences.device).triu(1) if self._is_causal else None
        states = self.positions(sequences)
        for layer in self.layers:
            states = layer(states, src_mask=later, src_key_padding_mask=padding)
        outputs: Tensor = self.norm(states)
        return outputs
