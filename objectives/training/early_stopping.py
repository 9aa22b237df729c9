"""When a run ends early, and with which weights.

Prechelt, "Early Stopping - But When?" (1998): here, once the validation loss has had no new lowest for `patience` epochs.
"""

import copy
from math import inf
from typing import Any

from torch import nn


class EarlyStopping:
    """Keeps the weights of the epoch with the lowest validation loss; patience 0 keeps none, and never stops."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._lowest = inf
        self._weights: dict[str, Any] | None = None
        self.best_step: int | None = None
        """The step of the weights kept; None while none are."""
        self.has_stopped = False

    def observe(self, step: int, validation_loss: float, model: nn.Module) -> None:
        """Look at an epoch's end, and keep its weights if they are the best so far."""
        if self._patience == 0:
            return
        if validation_loss < self._lowest:
            self._lowest, self.best_step = validation_loss, step
            self._weights = copy.deepcopy(model.state_dict())
        elif self.best_step is not None and step - self.best_step >= self._patience:
            self.has_stopped = True

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights kept, if there are any."""
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
