"""Advice in words: what to do, and what the trials show. Every function gives a sentence."""

from collections.abc import Sequence

from service.analysis.words.numbers import counted, number

MOST_NAMED = 6
"""Trials that a sentence names; the advice lists all."""


def nothing_stands_out(n: int) -> str:
    """n: finished trials."""
    return f"Nothing stands out in {counted(n, 'trial', 'trials')}."


def rests_on(n: int) -> str:
    """n: finished trials."""
    return f"By {counted(n, 'finished trial', 'finished trials')}; what matters most comes first."


def nothing_finished(state: str, reason: str | None) -> str:
    """Why there is no advice yet. reason: of the job's end."""
    return f"The job is {state}, and none of its trials has a result{f': {reason}' if reason else ''}".removesuffix(".") + "."


def normalize(kind: str) -> str:
    """kind: of normalization."""
    return f"Normalize the inputs of the layers ({kind}): no learning rate trains a network whose gradients vanish."


def look_at_network() -> str:
    """Where the objective has no normalization."""
    return "Look at the network and its initialization: no learning rate trains a network whose gradients vanish."


def nothing_at_any_rate(low: float, high: float) -> str:
    """The ends of the next range."""
    return f"Try learning rates from {low:g} to {high:g}; if these train nothing either, look at the data and the network."


def much_higher(low: float, high: float) -> str:
    """The ends of the next range."""
    return (
        f"Look at higher learning rates: from {low:g} to {high:g}; if these train nothing either, look at the data and the"
        " network."
    )


def learned_nothing(n: int, metric: str, value: float, vanishing: int, still: bool) -> str:
    """value: of the best trial. vanishing: trials whose gradients vanished. still: the highest rates changed nothing, which looks
    like that, too."""
    none = f"None of the {n} trials that trained to their end learned anything"
    if still:
        return f"{none}: even the highest rates barely changed the network."
    also = f", and in {vanishing} of them the gradients vanish on their way to the first layer" if vanishing else ""
    return f"{none}: the best {metric} is {number(value)}{also}."


def look_lower(low: float, high: float) -> str:
    """The ends of the next range."""
    return f"Look at lower learning rates: from {low:g} to {high:g}."


def look_higher(low: float, high: float) -> str:
    """The ends of the next range."""
    return f"Look at higher learning rates: from {low:g} to {high:g}."


def diverged_everywhere(diverged: int, n: int, lowest: float) -> str:
    """diverged: of n trials. lowest: the lowest rate tried."""
    if n == 1:
        return f"The only trial, with a rate of {lowest:.3g}, diverged."
    if diverged == n:
        return f"All {n} trials diverged; the lowest rate tried is {lowest:.3g}."
    return f"{diverged} of {n} trials diverged and the others learned nothing; the lowest rate tried is {lowest:.3g}."


def at_end(rate: float, end: str, limit: float, metric: str) -> str:
    """end: low or high; limit: of the range."""
    return f"The best {metric} is expected at a rate of {rate:.3g}, at the {end} end of the range, {limit:.3g}."


def search_the_rate(low: float, high: float, trials: int) -> str:
    """The next range, and its trials."""
    return f"Search the learning rate from {low:g} to {high:g} with {trials} trials."


def one_rate(rate: float) -> str:
    """The only rate."""
    return f"All trials have the learning rate {rate:.3g}, so nothing shows whether another is better."


def far_apart(rate: float, times: float, neighbour: float) -> str:
    """rate: the best one. times: how far its next neighbour on one side is, as a factor."""
    return f"The best rate of those tried is {rate:.3g}, and the next one tried is {neighbour:.3g}, {times:.3g} times as far."


def clip_less(norm: float) -> str:
    """norm: of the next job."""
    return f"Clip gradients at a norm of {norm:g}, above the usual one, and search lower learning rates with it."


def clipped(share: float, usual: float | None, limit: float | None, named: str) -> str:
    """share: of the updates clipped. usual: the gradient's norm; limit: the one clipped at. named: the trials."""
    beside = (
        "" if usual is None or limit is None else f": the gradient's norm is usually {usual:.2g}, and is clipped at {limit:g}"
    )
    return f"In the second half of the best trials ({named}) {share:.0%} of the updates were clipped{beside}."


def decay_weights(low: float, high: float) -> str:
    """The range of the next job."""
    return f"Search a weight decay from {low:g} to {high:g}."


def drop_out(high: float) -> str:
    """The range of the next job, from 0."""
    return f"Search a dropout up to {high:g}."


def train_less(steps: int, word: str) -> str:
    """word: for a step."""
    return f"Train for {counted(steps, word, f'{word}s')}: beyond that the metric got worse."


def stop_earlier() -> str:
    """Where the objective has no parameter that would help."""
    return "Stop earlier, or regularize: beyond its best step each run only fits its training data more closely."


def overfits(named: str, metric: str, part: float, trial: int, best: float, last: float) -> str:
    """part: of the run, at which the metric was best. best, last: the metric of one trial at its best step, and at its end."""
    return (
        f"In the best trials ({named}) {metric} was best after {part:.0%} of the run and then got worse, while training loss kept"
        f" falling: in trial {trial} it {_moved(best, last)}."
    )


def prune_later() -> str:
    """The next job looks at half of the schedule."""
    return "Let trials train for half of their schedule before one of them is pruned."


def pruned_early(pruned: int, n: int, part: float) -> str:
    """pruned: of n trials; part: of their schedule, the median."""
    return (
        f"{pruned} of {n} trials were pruned early, after {part:.0%} of their schedule in the middle, where higher learning rates"
        " look better than they end."
    )


def smaller_batches(sizes: Sequence[int]) -> str:
    """sizes: of the next job."""
    return f"Use smaller batches ({', '.join(map(str, sizes))}): as many epochs then make more updates."


def few_updates(named: str, updates: int, batch_size: float | None) -> str:
    """updates: of a run."""
    size = "" if batch_size is None else f" with batches of {batch_size:g}"
    return f"The best trials ({named}) make only {counted(updates, 'update', 'updates')}{size}, and had not come to an end."


def train_longer(steps: int, word: str) -> str:
    """word: for a step."""
    return f"Train longer: for {counted(steps, word, f'{word}s')}."


def train_longer_somehow() -> str:
    """Where the objective has no number of steps."""
    return "Train longer."


def still_improving(named: str, metric: str, trial: int, halfway: float, last: float) -> str:
    """halfway, last: the metric of one trial after half of its run, and at its end."""
    return (
        f"The best trials ({named}) were still improving at their end: over the second half of trial {trial} {metric}"
        f" {_moved(halfway, last)}."
    )


def steadier(by: Sequence[str]) -> str:
    """by: what the next job has."""
    return f"Make training steadier: {', '.join(by)}." if by else "Make training steadier, or stay below the rates that jump."


def stay_below(rate: float) -> str:
    """Where trials near the rate diverge. rate: the high end of the next range."""
    return f"Stay below {rate:g}: near it trials diverge."


def lower_rates_jump_less(rate: float) -> str:
    """Where none diverges. rate: the high end of the next range."""
    return f"Search learning rates below {rate:g}: smaller steps make the metric jump less."


def jumps(named: str, metric: str, trial: int, before: float, after: float) -> str:
    """before, after: the metric of one trial at two steps that follow one another."""
    return (
        f"In the best trials ({named}) {metric} jumps late in the run: in trial {trial} it {_moved(before, after)} from one step"
        " to the next."
    )


def lost_nearby(lost: int, n: int, rate: float) -> str:
    """lost: trials of n within a factor of three of the rate that diverged or swung to the end."""
    return f"{lost} of {n} trials within a factor of three of the answered rate, {rate:.3g}, diverged."


def more_replicates(replicates: int, low: float, high: float) -> str:
    """The next job's seeds for each point, and its range."""
    return f"Train each point with {replicates} seeds, at learning rates from {low:g} to {high:g}."


def seeds_differ(n: int, sd: float, spread: float, metric: str) -> str:
    """n: runs that differ by little but their seeds, with a standard deviation sd; spread: of all trials."""
    return (
        f"{n} runs that differ from one another by little but their seeds have a standard deviation of {sd:.2g} in {metric},"
        f" beside {spread:.2g} between the best trial and the worst fifth."
    )


def _moved(before: float, after: float) -> str:
    """fell from 0.26 to 0.14"""
    return f"{'fell' if after < before else 'rose'} from {before:.3g} to {after:.3g}"


def named(trials: Sequence[int]) -> str:
    """3, 7, 12 and 4 more"""
    shown = ", ".join(map(str, trials[:MOST_NAMED]))
    return shown if len(trials) <= MOST_NAMED else f"{shown} and {len(trials) - MOST_NAMED} more"
