"""Decides whether a run has diverged. Divergence is a result: the last measurement of a run carries the evidence.

A run has diverged if, after an epoch, there is

- a loss that is not finite,
- a number that is too large for the next update, such as a learning rate above 3.4e38, or
- a mean training loss of the epoch above LIMIT times the loss of guessing (the same prediction for every example; log(n_classes)
  for cross-entropy), or LIMIT times the loss of the untrained network where that is higher. A run that learns nothing stays near
  this loss and has not diverged. A run that blew up exceeds the limit, even if all its units die and it ends up guessing.

LIMIT was chosen from 900 runs on digits that trained for 15 epochs whatever their loss (mlp and cnn, learning rates 0.01 to 100,
momentum 0 to 0.99, batch sizes 16 to 256). 497 runs ended at an accuracy of 0.3 or less; 425 of them exceeded the limit, among
them all runs with learning rates of 10 and more. Of the other 403 runs, 4 exceeded it; all were very unstable, and the best had
an accuracy of 0.64. A limit of 2 would also have ended a run that reached 0.96.

An objective that does not watch its losses gets a coarser rule, by the minimized metric of its job (`find_blow_up`): that may
be a loss, a cost or a regret, may start near zero or be negative, and rises where a model overfits. FAR and FAR_FROM_FIRST were
chosen from 200 runs of 12 epochs on wine, breast cancer, diabetes and digits that trained whatever their loss (mlp, learning
rates 0.001 to 100, momentum 0 and 0.9). In the 93 that learned, the validation loss never exceeded 15 times that of guessing,
nor 11 times its first value or one; in two it exceeded 5 times that of guessing. Of 14 others that ended with a finite loss
above that, five exceeded either limit. The rest, which began far off, is told by comparison with other rates, in the answer.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean

from objectives.contract import Divergence
from stride.metrics import TRAINING_LOSS

LIMIT = 5.0
"""The mean training loss of an epoch, in multiples of the loss of guessing, above which a run has diverged."""

FAR = 1e3
"""A minimized metric that ends above this multiple of its value for guessing has blown up."""
FAR_FROM_FIRST = 1e6
"""The same of its first value, or of one if that is smaller, at any step."""


def find_blow_up(first: float, last: float, *, guessing: float | None) -> str | None:
    """Say how a minimized metric has blown up, by its values at a run's first and last step; None: it has not.

    guessing: its value for a constant prediction, where that is known.
    """
    if guessing is not None and guessing > 0 and last > FAR * guessing:
        return f"{last:.3g}, above {FAR:,.0f} times that of guessing, {guessing:.3g}"
    if isfinite(first) and last > FAR_FROM_FIRST * max(1.0, abs(first)):
        return f"{last:.3g}, above {FAR_FROM_FIRST:,.0f} times its first value, {first:.3g}"
    return None


def find_no_number(metrics: Mapping[str, float], metric: str, *, step: int, fraction: float) -> Divergence | None:
    """Return the evidence that a run of which only its metrics are known has diverged at a step, or None.

    Its metric, or its training loss, is not finite: an accuracy stays a number where the loss is none.
    """
    for name in (metric, TRAINING_LOSS):
        if not isfinite(value := metrics.get(name, 0.0)):
            return Divergence(reason=f"{name} was {value} at step {step}", update=step, fraction=fraction)
    return None


def find_divergence(
    losses: Sequence[float],
    validation_loss: float,
    *,
    guessing_loss: float,
    epoch: int,
    epochs: int,
    updates_per_epoch: int,
    overflow: str | None = None,
    step_word: str = "epoch",
    loss_name: str = "training loss",
    observed_name: str = "validation loss",
) -> Divergence | None:
    """Return the evidence that a run diverged in epoch `epoch`, counted from 1, or None.

    losses: the training losses of the epoch's updates, in order. They may end early, at one that is not finite, or at the update
    that could not be made. overflow: why it could not, in words. step_word, loss_name, observed_name: what messages call an
    epoch, losses, and validation_loss.
    """

    def seen_at(update: int, reason: str) -> Divergence:
        updates = (epoch - 1) * updates_per_epoch + update
        return Divergence(reason=reason, update=updates, fraction=updates / (epochs * updates_per_epoch))

    for update, loss in enumerate(losses, start=1):
        if not isfinite(loss):
            return seen_at(update, f"{loss_name} became {loss} at update {update} of {step_word} {epoch}")
    if overflow is not None:
        return seen_at(len(losses), f"{overflow} at update {len(losses)} of {step_word} {epoch}")
    if not isfinite(validation_loss):
        return seen_at(len(losses), f"{observed_name} became {validation_loss} in {step_word} {epoch}")
    mean_loss = fmean(losses)
    if mean_loss > LIMIT * guessing_loss:
        return seen_at(
            len(losses),
            f"mean {loss_name} was {mean_loss:.3g} in {step_word} {epoch}, above {LIMIT:g} times the loss of guessing, "
            f"{guessing_loss:.3g}",
        )
    return None
