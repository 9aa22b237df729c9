"""How the best rate scales with the batch size, what that predicts, and why it may not be known."""

import math
from collections.abc import Sequence

from service.analysis.words.numbers import counted
from service.domain.answer import BatchSizeView, IntervalView


def because(power: float, interval: IntervalView, *, linear: bool, square_root: bool) -> str:
    """The fitted power in words, without a full stop. linear, square_root: whether these rules lie in the interval."""
    fitted = f"the best rate goes with the batch size to the power of {power:z.2f} ({interval.low:z.2f} to {interval.high:z.2f})"
    match linear, square_root:
        case True, True:
            return f"{fitted}: trials do not tell linear from square-root scaling yet"
        case True, False:
            return f"{fitted}: scale it linearly, twice the batch, twice the rate"
        case False, True:
            return f"{fitted}: scale it with the square root, four times the batch, twice the rate"
        case _:
            return f"{fitted}: neither linear nor square-root scaling describes it"


def tried(trials: int) -> str:
    """Advice on a batch size that was tried."""
    return f"this is the answer for it: {counted(trials, 'trial', 'trials')} trained with this batch size"


def advice(nearest: int, its_rate: float, *, warms_up: bool, epochs: int | None, beyond: int | None) -> str:
    """Advice on a batch size that was not tried.

    nearest: the batch size next to it, with its best rate. epochs: of warm-up; None where steps are not epochs. beyond: the
    largest batch size fitted to, where the one asked for is larger.
    """
    if warms_up:
        first = "tenth of the training" if epochs is None else f"{epochs} epochs, or a tenth of a short training"
        parts = [f"warm up from {its_rate:.2g}, the best rate at batch size {nearest}, over the first {first}"]
    else:
        parts = ["no warm-up is needed for this step"]
    if beyond is not None:
        parts.append(
            f"beyond {beyond}, the largest batch size fitted to, the best rate may grow less: the interval allows for it"
        )
    return "; ".join(parts)


def too_far(batch_size: int, smallest: int, largest: int, *, far: float) -> str:
    """Why nothing is predicted for a batch size more than `far` times beyond those fitted to, and which can be asked for."""
    known = f"Not from these trials: they show the best rate for batch sizes from {smallest} to {largest} only"
    if batch_size > largest:
        return (
            f"{known}, and {batch_size} is more than {far:g} times the largest, where it may long have stopped growing. Ask for a"
            f" batch size of at most {math.floor(far * largest)}, or try batch sizes of {math.ceil(batch_size / far)} and more."
        )
    return (
        f"{known}, and {batch_size} is less than a quarter of the smallest. Ask for a batch size of at least"
        f" {math.ceil(smallest / far)}, or try batch sizes of {math.floor(far * batch_size)} and less."
    )


def not_searched() -> str:
    """Why there is no batch scaling: the job does not search both the rate and the batch size."""
    return "To find how the best learning rate scales with the batch size takes a job that searches both, and this one does not."


def too_few_trials(why: str, *, fewest: int) -> str:
    """Why there is no batch scaling yet. why: there is no answer by batch size yet."""
    return (
        "How the best learning rate scales with the batch size is known once there are enough trials of each of at least"
        f" {fewest} batch sizes. There are too few yet: {why}."
    )


def too_few_sizes(answered: Sequence[BatchSizeView], *, fewest: int, span: float) -> str:
    """Why there is no batch scaling: too few batch sizes have their best rate within the range, or they are too close."""
    sizes = ", ".join(str(each.batch_size) for each in answered)
    return (
        f"It takes at least {fewest} batch sizes that have their best rate within the range searched, the largest at least"
        f" {span:g} times the smallest, and of {sizes} too few are such: search {fewest} or more, farther apart, and more rates."
    )
