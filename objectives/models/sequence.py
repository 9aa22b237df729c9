"""A network that reads a whole sequence, and gives outputs for its last steps."""

from torch import Tensor, nn


class LastSteps(nn.Module):
    """A linear or an embedding layer, a network over the steps, and a linear layer on the states of the last steps."""

    def __init__(
        self, inputs: nn.Module, states: nn.Module, width: int, n_outputs: int, *, n_last: int, dropout: float = 0.0
    ) -> None:
        """inputs: maps the sequences to (n, steps, width). states: maps these to states of the same shape."""
        super().__init__()
        self.inputs = inputs
        self.states = states
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_outputs)
        self._n_last = n_last

    def forward(self, sequences: Tensor) -> Tensor:
        """The outputs of the last steps, (n, n_outputs, n_last)."""
        states = self.states(self.inputs(sequences))
        outputs: Tensor = self.output(self.dropout(states[:, -self._n_last :]))
        return outputs.transpose(1, 2)
