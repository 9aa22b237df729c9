"""Networks that read texts character by character, and give outputs for each text."""

from collections.abc import Callable

from torch import Tensor, nn

from objectives.data.characters import PADDING
from objectives.models.transformer import Transformer


class TextClassifier(nn.Module):
    """A vector for each character, a network over them, and a linear layer on one state of each text."""

    def __init__(
        self,
        n_tokens: int,
        width: int,
        n_outputs: int,
        encoder: nn.Module,
        pool: Callable[[Tensor, Tensor], Tensor],
        *,
        dropout: float = 0.0,
    ) -> None:
        """encoder: maps (n, steps, width) and lengths (n,) to states (n, steps, width). pool: of states and lengths, (n, width).

        dropout: of the characters' vectors and of the state that the outputs are made of.
        """
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width, padding_idx=PADDING)
        self.dropout = nn.Dropout(dropout)
        self.encoder = encoder
        self._pool = pool
        self.output = nn.Linear(width, n_outputs)

    def forward(self, characters: Tensor) -> Tensor:
        """Maps characters (n, max_length), padded on the right, to outputs (n, n_outputs)."""
        lengths = (characters != PADDING).sum(dim=1)
        states = self.encoder(self.dropout(self.embedding(characters)), lengths)
        outputs: Tensor = self.output(self.dropout(self._pool(states, lengths)))
        return outputs


class LocalTransformer(nn.Module):
    """A convolution over each character and its two neighbours, added to the characters, before a Transformer.

    A character says little by itself, and few texts do not teach attention to find its neighbours: with the task's defaults a
    Transformer alone is right in 0.78 of the validation set, with the convolution in 0.85 (names of the CLDR, fold 0, seed 0).
    """

    def __init__(
        self, width: int, longest: int, *, layers: int, heads: int, activation: Callable[[], nn.Module], dropout: float
    ) -> None:
        """dropout: in the Transformer if it has several layers: of one, it would nearly double the time."""
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel_size=3, padding=1)
        self.activation = activation()
        inside = dropout if layers > 1 else 0.0
        self.transformer = Transformer(width, longest, layers=layers, heads=heads, activation=activation, dropout=inside)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Maps sequences (n, steps, width), zero in the padding, to states (n, steps, width)."""
        local = self.activation(self.convolution(sequences.transpose(1, 2))).transpose(1, 2)
        states: Tensor = self.transformer(sequences + local, lengths)
        return states
