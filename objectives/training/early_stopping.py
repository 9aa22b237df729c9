"""Early stopping, with the best weights restored.

See Prechelt, "Early Stopping - But When?" (1998). Here a run stops when the validation loss has had no new minimum for `patience`
epochs.
"""

import copy
from math import inf
from typing import Any

from torch import nn


class EarlyStopping:
    """Keeps the weights of the epoch with the lowest validation loss. With patience 0 it keeps none, and never stops."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._lowest = inf
        self._weights: dict[str, Any] | None = None
        self.best_step: int | None = None
        """The step whose weights are kept; None if none are."""
        self.has_stopped = False

    def observe(self, step: int, validation_loss: float, model: nn.Module) -> None:
        """Call at the end of an epoch: keeps its weights if they are the best so far, else checks the patience."""
        if self._patience == 0:
            return
        if validation_loss < self._lowest:
            self._lowest, self.best_step = validation_loss, step
            self._weights = copy.deepcopy(model.state_dict())
        elif self.best_step is not None and step - self.best_step >= self._patience:
            self.has_stopped = True

    def restore(self, model: nn.Module) -> None:
        """Load the best weights into the model, if any are kept."""
        if self._weights is not None:
            model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "lowest": self._lowest,
            "weights": self._weights,
            "best_step": self.best_step,
            "has_stopped": self.has_stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._lowest, self._weights = state["lowest"], state["weights"]
        self.best_step, self.has_stopped = state["best_step"], state["has_stopped"]
