"""Learning-rate policies: pure functions of the update, as PyTorch and the papers define them.

A policy gives the multiple of the learning rate to apply at an update, and the momentum where it cycles that too. Update 0 is the
first. PyTorch's schedulers of the same name, stepped once per update, give the same rates (`rate_audit.py`).

Sources: step, multi-step, exponential, polynomial: torch.optim.lr_scheduler. cosine, cosine-restarts: Loshchilov and Hutter,
"SGDR" (2017), eq. 5, https://arxiv.org/abs/1608.03983. cyclical: Smith, "Cyclical Learning Rates" (2017),
https://arxiv.org/abs/1506.01186. one-cycle: Smith, "A disciplined approach" (2018), https://arxiv.org/abs/1803.09820, in
PyTorch's form with cosines. warmup-stable-decay: Hägele et al. (2024), https://arxiv.org/abs/2405.18392, its (1 - sqrt)
cooldown. Warm-up: Goyal et al. (2017), section 2.2, https://arxiv.org/abs/1706.02677.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, pi, pow, sqrt
from typing import Any

THRESHOLD = 1e-4
"""How much lower, relatively, a validation loss must be to count as a new lowest: ReduceLROnPlateau's default."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A learning-rate policy; the catalog describes each field."""

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
    """A policy over a run. It has a state under `plateau` alone, which looks at the validation loss.

    warmup_start: the multiple from which warm-up rises: 0, or what it was before scaling by batch size.
    """

    def __init__(self, policy: Policy, span: Span, *, warmup_start: float = 0.0) -> None:
        self._policy = policy
        self._span = span
        self._warmup_start = warmup_start
        # The schedule has one update at least.
        self._warmup = min(round(policy.warmup_fraction * span.updates), span.updates - 1)
        self._after_warmup = Span(updates=span.updates - self._warmup, updates_per_epoch=span.updates_per_epoch)
        self._multiplier = _MULTIPLIERS[policy.schedule]
        self._plateau = Plateau(policy.plateau_factor, policy.plateau_patience)

    def is_warmup(self, updates_done: int) -> bool:
        """Whether so many updates end within warm-up, or within the rise of one-cycle, which is one too."""
        if self._policy.schedule == "one-cycle":
            return updates_done < self._warmup + self._policy.pct_start * self._after_warmup.updates
        return updates_done < self._warmup

    def multiplier(self, update: int) -> float:
        """What to multiply the learning rate by."""
        if update < self._warmup:
            return self._warmup_start + (1 - self._warmup_start) * (update + 1) / self._warmup
        if self._policy.schedule == "plateau":
            return self._plateau.multiplier
        return self._multiplier(self._policy, update - self._warmup, self._after_warmup)

    def momentum(self, update: int) -> float | None:
        """The momentum to apply, during warm-up that of its end; None: the optimizer's own."""
        policy = self._policy
        if policy.schedule not in _HEIGHTS or not policy.cycle_momentum:
            return None
        height = _HEIGHTS[policy.schedule](policy, max(0, update - self._warmup), self._after_warmup)
        return policy.max_momentum - (policy.max_momentum - policy.base_momentum) * height

    def end_epoch(self, updates_done: int, validation_loss: float) -> None:
        """Tell what an epoch ended with; one that ended inside warm-up does not count."""
        if self._policy.schedule == "plateau" and not self.is_warmup(updates_done):
            self._plateau.observe(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        return {"plateau": vars(self._plateau).copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self._plateau).update(state["plateau"])


class Plateau:
    """Multiply the rate by `factor` when the validation loss has not been a new lowest for more than `patience` epochs."""

    def __init__(self, factor: float, patience: int) -> None:
        self.factor = factor
        self.patience = patience
        self.multiplier = 1.0
        self.lowest = inf
        self.waited = 0

    def observe(self, validation_loss: float) -> None:
        if validation_loss < self.lowest * (1 - THRESHOLD):
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
    length = policy.restart_epochs * span.updates_per_epoch
    if policy.restart_factor == 1:
        update %= length
    while update >= length:
        update -= length
        length *= policy.restart_factor
    return _cosine_from_one(update / length, policy.final_fraction)


def _cosine_from_one(done: float, end: float) -> float:
    return end + (1 - end) * (1 + cos(pi * done)) / 2


def _cyclical(policy: Policy, update: int, span: Span) -> float:
    return policy.base_fraction + (1 - policy.base_fraction) * _triangle(policy, update, span)


def _triangle(policy: Policy, update: int, span: Span) -> float:
    """How high a cycle stands at an update: 0 at its foot, and at most 1."""
    rise = policy.rise_epochs * span.updates_per_epoch
    height = 1 - abs(update % (2 * rise) / rise - 1)
    match policy.cycle_mode:
        case "triangular2":
            cycles_done: int = update // (2 * rise)
            return height * pow(0.5, cycles_done)  # which becomes 0, where its inverse would overflow
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
    """0 where the cycle begins and ends, 1 at its top, cosines in between."""
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
"""Where the cycles of the policies that move momentum against the rate stand, from 0 to 1."""
