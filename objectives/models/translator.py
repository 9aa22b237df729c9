"""A Transformer that translates: an encoder reads the text, a decoder writes the translation token by token.

Vaswani et al., "Attention Is All You Need" (2017), section 3, https://arxiv.org/abs/1706.03762. Deviations: layer norm stands
before attention and feed-forward layers, and after the last one, as in `objectives/models/transformer.py`; there is no dropout of
the tokens' vectors, since a single character may be all that is to be copied.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from objectives.data.characters import PADDING, UNKNOWN
from objectives.data.translations import Translations
from objectives.models.beam_search import beam_search
from objectives.models.transformer import FEED_FORWARD, PositionalEncoding, Transformer


class Translated(NamedTuple):
    logits: Tensor
    """Of each token of the given translation, from the text and the tokens before it, (n, n_tokens, n_targets)."""
    tokens: Tensor | None
    """The model's own translation, (n, n_tokens), as `beam_search` has it; None in training."""


class Translator(nn.Module):
    """Predicts each token of a translation from those before it. In evaluation mode it also translates by itself."""

    def __init__(
        self,
        data: Translations,
        width: int,
        *,
        layers: int = 2,
        heads: int = 4,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        beam_width: int = 1,
    ) -> None:
        """data: the numbers of tokens and the longest sequences are theirs."""
        super().__init__()
        (sources, targets) = data.training.inputs
        self._begin, self._end, self._beam_width = data.begin, data.end, beam_width
        self.source = nn.Embedding(data.n_sources, width, padding_idx=PADDING)
        self.encoder = Transformer(width, sources.shape[1], layers=layers, heads=heads, activation=activation, dropout=dropout)
        self.target = nn.Embedding(data.n_targets, width, padding_idx=PADDING)
        self.positions = PositionalEncoding(width, targets.shape[1])
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(
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
        self.output = nn.Linear(width, data.n_targets)

    def forward(self, source: Tensor, target: Tensor) -> Translated:
        """source: (n, longest text), padded on the right. target: (n, n_tokens), the translation behind `begin`."""
        lengths = (source != PADDING).sum(dim=1)
        source = source[:, : int(lengths.max())]
        memory = self.encoder(self.source(source), lengths)
        is_padding = source == PADDING
        logits = self._logits(target, memory, is_padding)
        return Translated(logits, None if self.training else self._decoded(memory, is_padding, target.shape[1]))

    def _decoded(self, memory: Tensor, is_padding: Tensor, n_tokens: int) -> Tensor:
        """Translations of up to n_tokens tokens, (n, n_tokens)."""
        memory_of_beams = memory.repeat_interleave(self._beam_width, dim=0)
        padding_of_beams = is_padding.repeat_interleave(self._beam_width, dim=0)
        return beam_search(
            lambda sequences: self._logits(sequences, memory_of_beams, padding_of_beams)[:, -1],
            len(memory),
            self._beam_width,
            n_tokens,
            begin=self._begin,
            end=self._end,
            padding=PADDING,
            unknown=UNKNOWN,
            device=memory.device,
        )

    def _logits(self, target: Tensor, memory: Tensor, is_padding: Tensor) -> Tensor:
        """Of the token behind each token of `target`, (n, n_tokens, n_targets), from the tokens up to it."""
        n_tokens = target.shape[1]
        later = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=target.device).triu(1)
        states = self.positions(self.target(target))
        for layer in self.decoder:
            states = layer(states, memory, tgt_mask=later, memory_key_padding_mask=is_padding)
        logits: Tensor = self.output(self.norm(states))
        return logits
