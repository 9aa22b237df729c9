"""The objects that training changes, each with state_dict and load_state_dict: their states, saved and restored together."""

from collections.abc import Mapping, Sequence
from typing import Any


class Objects:
    """Some of them, in an order that stays. called: the function they were given to, in messages. Raises TypeError."""

    def __init__(self, objects: Sequence[Any], called: str) -> None:
        for each in objects:
            if not all(callable(getattr(each, method, None)) for method in ("state_dict", "load_state_dict")):
                raise TypeError(f"{called} was given a {type(each).__name__}, which has no state_dict and load_state_dict")
        self._objects = objects
        self._called = called

    def __bool__(self) -> bool:
        return bool(self._objects)

    def state(self) -> dict[str, Any]:
        """Their states. The weights of the first module that has any stand under "model", where the best model is looked for."""
        model = next((place for place, each in enumerate(self._objects) if _has_weights(each)), None)
        states = [each.state_dict() for each in self._objects]
        if model is None:
            return {"model_at": model, "states": states}
        return {"model_at": model, "model": states[model], "states": [*states[:model], None, *states[model + 1 :]]}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Have each go on from its state. Raises RuntimeError where there are others."""
        if len(saved["states"]) != len(self._objects):
            raise RuntimeError(
                f"{self._called} was given {len(self._objects)} objects to go on with, and {len(saved['states'])} when they were"
                " saved: it must be given the same ones each time"
            )
        for place, (each, state) in enumerate(zip(self._objects, saved["states"], strict=True)):
            each.load_state_dict(saved["model"] if place == saved["model_at"] else state)


def _has_weights(value: Any) -> bool:
    parameters = getattr(value, "parameters", None)
    return callable(parameters) and any(True for _ in parameters())
