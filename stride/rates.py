"""The learning rates that optimizers have applied, noted as they do: a schedule may have gone on when a step is told."""

from collections.abc import Iterable, Mapping
from typing import Any

from stride.metrics import OF_A_GROUP


class AppliedRates:
    """Those of each group of weights in the last update of each optimizer.

    objects: the optimizers among them are watched, by the hooks of torch.optim.Optimizer. Others are noted by `note`.
    """

    def __init__(self, objects: Iterable[Any] = ()) -> None:
        self._groups: dict[int, list[tuple[str | None, Any]]] = {}
        """Names and rates, by optimizer."""
        self._hooks: list[Any] = []
        self.watch(objects)

    def watch(self, objects: Iterable[Any]) -> None:
        """Watch the optimizers among these objects, too."""
        self._hooks += [each.register_step_pre_hook(self._before_step) for each in objects if _is_optimizer(each)]

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        self.note(optimizer)

    def note(self, optimizer: Any) -> None:
        """Note the rates of the update that an optimizer makes now."""
        self._groups[id(optimizer)] = [
            (group.get("name"), _copied(group["lr"])) for group in optimizer.param_groups if group.get("lr") is not None
        ]

    @property
    def learning_rate(self) -> Any:
        """That of the first group of the first optimizer; None: nothing was updated yet."""
        return next((rate for groups in self._groups.values() for _, rate in groups), None)

    def by_group(self) -> Mapping[str, Any]:
        """The rate of each group as a metric, learning_rate/NAME, where they differ; a group without a name has its number."""
        rates = [(name, rate) for groups in self._groups.values() for name, rate in groups]
        if len({float(rate) for _, rate in rates}) < 2:
            return {}
        return {f"{OF_A_GROUP}{place if name is None else name}": rate for place, (name, rate) in enumerate(rates)}

    def close(self) -> None:
        """Watch no longer. What was noted stays."""
        for hook in self._hooks:
            hook.remove()


def _is_optimizer(value: Any) -> bool:
    return hasattr(value, "param_groups") and callable(getattr(value, "register_step_pre_hook", None))


def _copied(rate: Any) -> Any:
    return rate.clone() if hasattr(rate, "clone") else rate  # a tensor is changed in place
