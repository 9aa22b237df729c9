"""Learning-rate schedules: pure functions of the update, as PyTorch and the papers define them.

A schedule gives the multiple of the learning rate at an update, and the momentum if it cycles that, too. Update 0 is the first.
PyTorch's schedulers of the same name, stepped once per update, give the same rates (`rate_audit.py`).

Sources: step, multi-step, exponential, polynomial: torch.optim.lr_scheduler. cosine, cosine-restarts: Loshchilov and Hutter,
"SGDR" (2017), eq. 5, https://arxiv.org/abs/1608.03983. cyclical: Smith, "Cyclical Learning Rates" (2017),
https://arxiv.org/abs/1506.01186. one-cycle: Smith, "A disciplined approach" (2018), https://arxiv.org/abs/1803.09820, in
PyTorch's form with cosines. warmup-stable-decay: Hägele et al. (2024), https://arxiv.org/abs/2405.18392, its (1 - sqrt)
cooldown. Warm-up: Goyal et al. (2017), section 2.2, https://arxiv.org/abs/1706.02677.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, isfinite, pi, pow, sqrt
from typing import Any

THRESHOLD = 1e-4
"""Decrease from which a validation loss counts as a new minimum, as a fraction of its amount: ReduceLROnPlateau's default.

That one takes an equal loss for a new minimum where it is negative, such as the negative of the highest return there is.
"""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A schedule and its parameters; the catalog describes each field."""

    schedule: str
    warmup_fraction: float
    step_size: int
    gamma: float
    milestones: tuple[float, ...]
    decay_per_epoch: float
    power: float
    final_fraction: float
    restart_epochs: int
    restart_factor: int
    cycle_mode: str
    rise_epochs: int
    base_fraction: float
    pct_start: float
    div_factor: float
    final_div_factor: float
    cycle_momentum: bool
    base_momentum: float
    max_momentum: float
    plateau_factor: float
    plateau_patience: int
    decay_fraction: float


@dataclass(frozen=True, kw_only=True)
class Span:
    """How long a schedule lasts, in updates."""

    updates: int
    updates_per_epoch: int


class Schedule:
    """A policy applied to a run. Only `plateau` has a state, since it depends on the validation loss.

    warmup_start: the multiple that the warm-up rises from: 0, or that of the rate before it was scaled up with the batch size.
    """

    def __init__(self, policy: Policy, span: Span, *, warmup_start: float = 0.0) -> None:
        self._policy = policy
        self._span = span
        self._warmup_start = warmup_start
        # At least one update follows the warm-up.
        self._warmup = min(round(policy.warmup_fraction * span.updates), span.updates - 1)
        self._after_warmup = Span(updates=span.updates - self._warmup, updates_per_epoch=span.updates_per_epoch)
        self._multiplier = _MULTIPLIERS[policy.schedule]
        self._plateau = Plateau(policy.plateau_factor, policy.plateau_patience)

    def is_warmup(self, updates_done: int) -> bool:
        """Whether the run is still in the warm-up after this many updates; the rise of one-cycle counts as warm-up, too."""
        if self._policy.schedule == "one-cycle":
            return updates_done < self._warmup + self._policy.pct_start * self._after_warmup.updates
        return updates_done < self._warmup

    def ends_cycle(self, updates_done: int) -> bool:
        """Whether the step that ends here is the last of a cycle of cyclical or cosine-restarts: the next begins another one."""
        if self._policy.schedule not in _CYCLES or updates_done <= self._warmup:
            return False
        cycle = _CYCLES[self._policy.schedule]
        last = updates_done - self._warmup - 1
        ahead = self._span.updates_per_epoch if updates_done < self._span.updates else 1
        return cycle(self._policy, last + ahead, self._after_warmup) > cycle(self._policy, last, self._after_warmup)

    def multiplier(self, update: int) -> float:
        """The multiple of the learning rate at an update."""
        if update < self._warmup:
            return self._warmup_start + (1 - self._warmup_start) * (update + 1) / self._warmup
        if self._policy.schedule == "plateau":
            return self._plateau.multiplier
        return self._multiplier(self._policy, update - self._warmup, self._after_warmup)

    def momentum(self, update: int) -> float | None:
        """The momentum at an update; during warm-up, that at its end. None: the optimizer's own."""
        policy = self._policy
        if policy.schedule not in _HEIGHTS or not policy.cycle_momentum:
            return None
        height = _HEIGHTS[policy.schedule](policy, max(0, update - self._warmup), self._after_warmup)
        return policy.max_momentum - (policy.max_momentum - policy.base_momentum) * height

    def end_epoch(self, updates_done: int, validation_loss: float) -> None:
        """Report the validation loss of an epoch; it is ignored during warm-up."""
        if self._policy.schedule == "plateau" and not self.is_warmup(updates_done):
            self._plateau.observe(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        return {"plateau": vars(self._plateau).copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self._plateau).update(state["plateau"])


class Plateau:
    """Multiplies the rate by `factor` when the validation loss had no new minimum for more than `patience` epochs."""

    def __init__(self, factor: float, patience: int) -> None:
        self.factor = factor
        self.patience = patience
        self.multiplier = 1.0
        self.lowest = inf
        self.waited = 0

    def observe(self, validation_loss: float) -> None:
        margin = THRESHOLD * abs(self.lowest) if isfinite(self.lowest) else 0.0
        if validation_loss < self.lowest - margin:
            self.lowest, self.waited = validation_loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.multiplier *= self.factor
            self.waited = 0


def _constant(policy: Policy, update: int, span: Span) -> float:
    return 1.0


def _step(policy: Policy, update: int, span: Span) -> float:
    drops: int = update // (policy.step_size * span.updates_per_epoch)
    return pow(policy.gamma, drops)


def _multi_step(policy: Policy, update: int, span: Span) -> float:
    return pow(policy.gamma, sum(update >= max(1, round(milestone * span.updates)) for milestone in policy.milestones))


def _exponential(policy: Policy, update: int, span: Span) -> float:
    return pow(policy.decay_per_epoch, update / span.updates_per_epoch)


def _polynomial(policy: Policy, update: int, span: Span) -> float:
    return pow(1 - update / span.updates, policy.power)


def _cosine(policy: Policy, update: int, span: Span) -> float:
    return _cosine_from_one(update / span.updates, policy.final_fraction)


def _cosine_restarts(policy: Policy, update: int, span: Span) -> float:
    _, done = _restart(policy, update, span)
    return _cosine_from_one(done, policy.final_fraction)


def _restart(policy: Policy, update: int, span: Span) -> tuple[int, float]:
    """The number of the cycle that an update belongs to, from 0, and the fraction of it that is done."""
    length, cycle = policy.restart_epochs * span.updates_per_epoch, 0
    if policy.restart_factor == 1:
        cycle, update = divmod(update, length)
    while update >= length:
        update -= length
        length *= policy.restart_factor
        cycle += 1
    return cycle, update / length


def _cosine_from_one(done: float, end: float) -> float:
    return end + (1 - end) * (1 + cos(pi * done)) / 2


def _cyclical(policy: Policy, update: int, span: Span) -> float:
    return policy.base_fraction + (1 - policy.base_fraction) * _triangle(policy, update, span)


def _triangle(policy: Policy, update: int, span: Span) -> float:
    """The height of the cycle at an update: 0 at its base, and at most 1 at its peak."""
    rise = policy.rise_epochs * span.updates_per_epoch
    height = 1 - abs(update % (2 * rise) / rise - 1)
    match policy.cycle_mode:
        case "triangular2":
            cycles_done: int = update // (2 * rise)
            return height * pow(0.5, cycles_done)  # underflows to 0, where 1 / 2**n would overflow
        case "exp_range":
            return height * pow(policy.decay_per_epoch, update / span.updates_per_epoch)
    return height


def _one_cycle(policy: Policy, update: int, span: Span) -> float:
    start = 1 / policy.div_factor
    top = policy.pct_start * span.updates - 1
    if update <= top:
        return start + (1 - start) * _one_cycle_height(policy, update, span)
    end = start / policy.final_div_factor
    return end + (1 - end) * _one_cycle_height(policy, update, span)


def _one_cycle_height(policy: Policy, update: int, span: Span) -> float:
    """The height of the cycle at an update: 0 at its start and end, 1 at its peak, cosines in between."""
    top = policy.pct_start * span.updates - 1
    if update <= top:
        return 1.0 if top == 0 else (1 - cos(pi * update / top)) / 2
    return (1 + cos(pi * (update - top) / (span.updates - 1 - top))) / 2


def _warmup_stable_decay(policy: Policy, update: int, span: Span) -> float:
    decay = max(1, round(policy.decay_fraction * span.updates))
    into_decay = update - (span.updates - decay)
    return 1.0 if into_decay <= 0 else 1 - sqrt(into_decay / decay)


_MULTIPLIERS: dict[str, Callable[[Policy, int, Span], float]] = {
    "constant": _constant,
    "step": _step,
    "multi-step": _multi_step,
    "exponential": _exponential,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "cosine-restarts": _cosine_restarts,
    "cyclical": _cyclical,
    "one-cycle": _one_cycle,
    "plateau": _constant,
    "warmup-stable-decay": _warmup_stable_decay,
}

_HEIGHTS: dict[str, Callable[[Policy, int, Span], float]] = {"cyclical": _triangle, "one-cycle": _one_cycle_height}
"""The height of the cycle, from 0 to 1, for the schedules that cycle momentum inversely to the rate."""

_CYCLES: dict[str, Callable[[Policy, int, Span], int]] = {
    "cosine-restarts": lambda policy, update, span: _restart(policy, update, span)[0],
    "cyclical": lambda policy, update, span: update // (2 * policy.rise_epochs * span.updates_per_epoch),
}
"""The number of the cycle that an update belongs to, for the schedules that end several."""
