"""Recurrent networks over sequences: GRU (Cho et al. 2014, https://arxiv.org/abs/1406.1078) and LSTM (Hochreiter and Schmidhuber
1997, with the forget gate of Gers et al. 2000).
"""

from collections.abc import Mapping

from torch import Tensor, nn

CELLS: Mapping[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """One or more recurrent layers from the first step to the last, with dropout between the layers."""

    def __init__(self, cell: str, n_inputs: int, width: int, *, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        # PyTorch warns of dropout where there is nothing between layers.
        self.layers = CELLS[cell](n_inputs, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)

    def forward(self, sequences: Tensor, _lengths: Tensor | None = None) -> Tensor:
        """Maps sequences (n, steps, n_inputs) to the last layer's state after each step, (n, steps, width).

        Padding is on the right (`objectives/models/padding.py`): no earlier state depends on it, so that lengths are not needed,
        and the states of padding mean nothing.
        """
        states: Tensor = self.layers(sequences)[0]
        return states
