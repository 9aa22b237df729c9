"""Checks that the optimizer used the learning rates and the momentum of the schedule.

The applied values are compared with a reference that shares no code with `schedules.py`: PyTorch's own scheduler, stepped on a
dummy optimizer, with LinearLR for the warm-up; for warmup-stable-decay, which PyTorch lacks, the closed form of the paper. This
detects rates that a checkpoint, a search or a bug has changed without the schedule.
"""

import sys
from collections.abc import Sequence
from math import isclose, isfinite

import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

from objectives.training.optimizers import LayerGroup
from objectives.training.schedules import Policy, Span

TOLERANCE = 1e-6
"""Relative to the peak learning rate: PyTorch's schedulers multiply at each update, and accumulate rounding errors."""

PLATEAU_THRESHOLD = 1e-4
"""PyTorch's default: the relative decrease from which a loss counts as a new minimum."""


class RateMismatch(RuntimeError):
    """The optimizer did not use the scheduled rates; the message names the first step."""


class RateAudit:
    """Compares the rates of a run's parameter groups with the reference, update by update."""

    def __init__(
        self,
        policy: Policy,
        span: Span,
        learning_rate: float,
        momentum: float | None,
        groups: Sequence[LayerGroup],
        *,
        warmup_start: float = 0.0,
    ) -> None:
        """momentum: the optimizer's initial momentum; None if it has none."""
        self._groups = groups
        self._learning_rate = learning_rate
        self._reference = _Reference(policy, span, learning_rate, momentum, warmup_start)
        self._updates_per_epoch = span.updates_per_epoch
        self._updates_done = 0

    def check_epoch(self, applied: Sequence[Sequence[tuple[float, float | None]]], validation_loss: float) -> None:
        """Check the (rate, momentum) of each group at each update of an epoch. Raises RateMismatch at the first difference.

        applied: by update and group.
        """
        for of_groups in applied:
            rate, momentum = self._reference.next()
            for group, (applied_rate, applied_momentum) in zip(self._groups, of_groups, strict=True):
                is_frozen = self._updates_done < group.frozen_epochs * self._updates_per_epoch
                multiple = 0.0 if is_frozen else group.multiplier
                tolerance = TOLERANCE * self._learning_rate * multiple
                self._check("learning rate", group.name, rate * multiple, applied_rate, tolerance)
                if momentum is not None and applied_momentum is not None:
                    self._check("momentum", group.name, momentum, applied_momentum, TOLERANCE)
            self._updates_done += 1
        self._reference.end_epoch(validation_loss)

    def skip(self, validation_losses: Sequence[float]) -> None:
        """Advance the reference to where a resumed run continues, by one epoch for each validation loss."""
        for validation_loss in validation_losses:
            for _ in range(self._updates_per_epoch):
                self._reference.next()
                self._updates_done += 1
            self._reference.end_epoch(validation_loss)

    def _check(self, what: str, group: str, asked: float, applied: float, tolerance: float) -> None:
        # At least the smallest normal number: a multiple of a rate near it may be rounded to 0.
        if not isclose(asked, applied, rel_tol=0.0, abs_tol=max(tolerance, sys.float_info.min)):
            step, update = divmod(self._updates_done, self._updates_per_epoch)
            raise RateMismatch(
                f"step {step + 1} did not use the {what} asked for: at its update {update + 1}, group {group!r} used"
                f" {applied:.9g} instead of {asked:.9g}"
            )


class _Reference:
    """The rates that PyTorch would apply to a group with multiple 1, update by update."""

    def __init__(self, policy: Policy, span: Span, learning_rate: float, momentum: float | None, warmup_start: float) -> None:
        self._learning_rate = learning_rate
        self._has_momentum = momentum is not None
        self._momentum = momentum or 0.0
        self._warmup = min(round(policy.warmup_fraction * span.updates), span.updates - 1)
        after_warmup = Span(updates=span.updates - self._warmup, updates_per_epoch=span.updates_per_epoch)
        self._after_warmup = self._dummy()
        self._plateau: ReduceLROnPlateau | None = None
        self._scheduler: LRScheduler | None = None
        if policy.schedule == "plateau":
            self._plateau = ReduceLROnPlateau(
                self._after_warmup,
                factor=policy.plateau_factor,
                patience=policy.plateau_patience,
                threshold_mode="abs",
                eps=0.0,
            )
        elif policy.schedule != "warmup-stable-decay":
            self._scheduler = _scheduler(self._after_warmup, policy, after_warmup, learning_rate)
            self._after_warmup.step()  # PyTorch warns if a scheduler steps before its optimizer has
        self._decay = max(1, round(policy.decay_fraction * after_warmup.updates))
        self._decays_from = after_warmup.updates - self._decay
        self._warmups = self._dummy()
        if self._warmup:
            start = warmup_start + (1 - warmup_start) / self._warmup
            self._warmup_scheduler = LinearLR(self._warmups, start, 1.0, max(1, self._warmup - 1))
            self._warmups.step()
            self._warmups.param_groups[0]["momentum"] = self._after_warmup.param_groups[0]["momentum"]
        self._updates_done = 0

    def next(self) -> tuple[float, float | None]:
        """The learning rate and the momentum of the next update; None: the optimizer has no momentum."""
        update, self._updates_done = self._updates_done, self._updates_done + 1
        in_warmup = update < self._warmup
        if in_warmup and update > 0:
            self._warmup_scheduler.step()
        elif not in_warmup and update > self._warmup and self._scheduler is not None:
            self._scheduler.step()
        group = (self._warmups if in_warmup else self._after_warmup).param_groups[0]
        rate: float = group["lr"]
        if (into_decay := update - self._warmup - self._decays_from) > 0 and self._scheduler is None and self._plateau is None:
            rate = self._learning_rate * (1 - (into_decay / self._decay) ** 0.5)
        return rate, group["momentum"] if self._has_momentum else None

    def end_epoch(self, validation_loss: float) -> None:
        if self._plateau is not None and self._updates_done >= self._warmup:
            # Relative to a negative loss, PyTorch's own threshold would be on the wrong side of it.
            self._plateau.threshold = PLATEAU_THRESHOLD * abs(self._plateau.best) if isfinite(self._plateau.best) else 0.0
            self._plateau.step(validation_loss)

    def _dummy(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([torch.zeros(1)], lr=self._learning_rate, momentum=self._momentum)


def _scheduler(optimizer: torch.optim.Optimizer, policy: Policy, span: Span, learning_rate: float) -> LRScheduler:
    """PyTorch's scheduler for a policy, to be stepped after every update."""
    epoch = span.updates_per_epoch
    match policy.schedule:
        case "constant":
            return ConstantLR(optimizer, factor=1.0)
        case "step":
            return StepLR(optimizer, policy.step_size * epoch, policy.gamma)
        case "multi-step":
            return MultiStepLR(optimizer, [max(1, round(part * span.updates)) for part in policy.milestones], policy.gamma)
        case "exponential":
            return ExponentialLR(optimizer, policy.decay_per_epoch ** (1 / epoch))
        case "polynomial":
            return PolynomialLR(optimizer, span.updates, policy.power)
        case "cosine":
            return CosineAnnealingLR(optimizer, span.updates, policy.final_fraction * learning_rate)
        case "cosine-restarts":
            return CosineAnnealingWarmRestarts(
                optimizer, policy.restart_epochs * epoch, policy.restart_factor, policy.final_fraction * learning_rate
            )
        case "cyclical":
            return CyclicLR(
                optimizer,
                base_lr=policy.base_fraction * learning_rate,
                max_lr=learning_rate,
                step_size_up=policy.rise_epochs * epoch,
                mode=policy.cycle_mode,  # type: ignore[arg-type]
                # PyTorch's own function, 1 / 2.0 ** (cycle - 1), raises OverflowError after a thousand cycles.
                scale_fn=_halved_each_cycle if policy.cycle_mode == "triangular2" else None,
                gamma=policy.decay_per_epoch ** (1 / epoch),
                cycle_momentum=policy.cycle_momentum,
                base_momentum=policy.base_momentum,
                max_momentum=policy.max_momentum,
            )
        case "one-cycle":
            return OneCycleLR(
                optimizer,
                max_lr=learning_rate,
                total_steps=span.updates,
                # If the peak is the first update, PyTorch divides by zero. A slightly smaller value keeps the peak there.
                pct_start=policy.pct_start * (1 - 1e-9) if policy.pct_start * span.updates == 1 else policy.pct_start,
                cycle_momentum=policy.cycle_momentum,
                base_momentum=policy.base_momentum,
                max_momentum=policy.max_momentum,
                div_factor=policy.div_factor,
                final_div_factor=policy.final_div_factor,
            )
    raise ValueError(f"PyTorch has no scheduler for {policy.schedule!r}")


def _halved_each_cycle(cycle: float) -> float:
    """The factor of a triangular2 cycle, counted from 1."""
    height: float = 0.5 ** (cycle - 1)
    return height
