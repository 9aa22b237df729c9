"""When a run has diverged. Divergence is a result: the last measurement of a run carries the evidence.

Two signs, both looked for after every epoch:

- a loss that is not finite, or
- a mean training loss over the epoch above LIMIT times the loss of guessing, for cross-entropy log(n_classes), or of the
  untrained network where that is higher. A run that learns nothing stays near it and is not diverged; one that blew up
  passes the limit even where its network then dies and falls back to guessing.

LIMIT was measured on 900 runs on digits that trained on for 15 epochs whatever their loss (mlp and cnn, learning rates
0.01 to 100, momentum 0 to 0.99, batches of 16 to 256). Of the 497 that ended at an accuracy of 0.3 or less, 425 passed
it, with every learning rate of 10 and more among them; of the 403 others 4 did, all violently unstable, the best at an
accuracy of 0.64. A limit of 2 would also have ended one that reached 0.96.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import fmean

from objectives.contract import Divergence

LIMIT = 5.0


def find_divergence(
    losses: Sequence[float],
    validation_loss: float,
    *,
    guessing_loss: float,
    epoch: int,
    epochs: int,
    updates_per_epoch: int,
) -> Divergence | None:
    """Return the evidence that a run diverged in its epoch number `epoch`, from 1, or None.

    `losses` are the training losses of the epoch's updates, in order; they may end early, at one that is not finite.
    """

    def seen_at(update: int, reason: str) -> Divergence:
        updates = (epoch - 1) * updates_per_epoch + update
        return Divergence(reason=reason, update=updates, fraction=updates / (epochs * updates_per_epoch))

    for update, loss in enumerate(losses, start=1):
        if not isfinite(loss):
            return seen_at(update, f"training loss became {loss} at update {update} of epoch {epoch}")
    if not isfinite(validation_loss):
        return seen_at(len(losses), f"validation loss became {validation_loss} in epoch {epoch}")
    mean_loss = fmean(losses)
    if mean_loss > LIMIT * guessing_loss:
        return seen_at(
            len(losses),
            f"mean training loss was {mean_loss:.3g} in epoch {epoch}, above {LIMIT:g} times the loss of guessing, "
            f"{guessing_loss:.3g}",
        )
    return None
