"""Why an answer has its verdict, and why there is none yet: reasons without a full stop."""

from uuid import UUID

from service.analysis.words.numbers import counted, with_article
from service.domain.answer import IntervalView


def of_seed(seed: int | None, sentence: str) -> str:
    """The sentence; where all trials share a training seed, it says that it holds for that seed alone."""
    return sentence if seed is None else f"{sentence}; all of it with training seed {seed} alone"


def extended(sentence: str, job: UUID, trials: int) -> str:
    """The sentence, with the command that gives the job so many further trials."""
    return f"{sentence} (stride extend {str(job)[:8]} --trials {trials})"


def nothing_learned(n: int) -> str:
    """n: trials."""
    return f"none of the {n} trials that trained to their end learned anything: look at their diagnosis, and at the data"


def no_better_than_guessing(n: int, metric: str, value: float) -> str:
    """n: trials. value: of guessing."""
    return (
        f"none of the {n} trials that trained to their end has a better {metric} than guessing, {value:.4g}: train"
        " longer, or search other parameters"
    )


def any_rate(tolerance: float, metric: str) -> str:
    """The curve is flat except for noise."""
    return f"no rate of the range loses more than {tolerance:.2g} of {metric} to another"


def all_the_same(n: int, metric: str, value: float) -> str:
    """All values are the same."""
    return f"all {n} trials came to {with_article(metric)} of {value:.4g}, whatever their learning rate"


def few_runs(interval: IntervalView, n: int, n_parameters: int) -> str:
    """Too few trials for the coefficients of the curve."""
    parameters = counted(n_parameters, "parameter", "parameters")
    return f"{_sure(interval)}: {counted(n, 'run is', 'different runs are')} few for {parameters}"


def at_edge(edge: str) -> str:
    """edge: low or high."""
    further = "lower" if edge == "low" else "higher"
    return f"the best rate lies at the {edge} end of the range: {further} ones may be better"


def may_diverge(interval: IntervalView, lost: float, rate: float) -> str:
    """lost: the part of trials at the rate that are lost."""
    return f"{_sure(interval)}, but {lost:.0%} of trials diverge at {rate:.3g}: more trials near it would tell"


def confident(interval: IntervalView, rate: float, regret: float, metric: str, *, still_improving: bool) -> str:
    """still_improving: of the best trial."""
    longer = "; longer training may want another, since the best trial was still improving" if still_improving else ""
    return f"{_sure(interval)}, and {rate:.3g} loses at most {regret:.2g} of {metric} to it{longer}"


def cut(interval: IntervalView) -> str:
    """The interval ends at an end of the range."""
    return f"{_sure(interval)}, which the range cuts: a wider range, or more trials near its end, would tell"


def more_trials(interval: IntervalView, tolerance: float, further: int | None) -> str:
    """further: about how many it takes; None where nobody can say."""
    if further is None:
        return f"{_sure(interval)}: more trials, most of all near it, would bring what it may lose below {tolerance:.2g}"
    more = counted(further, "further trial", "further trials")
    return f"{_sure(interval)}: about {more} would bring what the rate may lose below {tolerance:.2g}"


def few_trials(n: int, n_rates: int, left_out: str, *, fewest: int, enough: int) -> str:
    """Too few for a response curve. left_out: which others there are."""
    rates = counted(n_rates, "rate", "different rates")
    if n < fewest:
        trained = f"only {counted(n, 'trial has', 'trials have')} trained to the end, at {rates}"
    else:
        trained = f"the {n} trials that have trained to the end did so at {rates}"
    return f"{trained}{left_out}: about {enough} trials at as many rates would give an interval"


def left_out(repeats: int, lost: int, lacking: int, *, largest: float) -> str:
    """Which trials that trained to their end are not counted, to follow those that are; empty where all are."""
    reasons = [
        counted(repeats, "repeats a run", "repeat runs"),
        counted(lost, "is hopeless", "are hopeless"),
        counted(lacking, "lacks", "lack") + f" parameters that the job searches, or a value below {largest:g}",
    ]
    others = [why for n, why in zip((repeats, lost, lacking), reasons, strict=True) if n]
    return f" (others: {', '.join(others)})" if others else ""


def no_usable_trial(metric: str, *, largest: float) -> str:
    """No trial has a rate and a value that can be fitted."""
    return (
        "no trial that trained to its end has all the parameters that the job searches, a rate above zero, and a"
        f" {metric} that is no larger than {largest:g}"
    )


def fixed_rate(rate: float) -> str:
    """The job does not search the learning rate."""
    return f"the job fixes the learning rate at {rate:g}, so there is nothing to compare it with"


def best_of_trials(number: int, metric: str, n: int) -> str:
    """The best trial, while there is no curve."""
    return f"trial {number} has the best {metric} of {n}"


def best_retrained(metric: str, n_points: int, n_runs: int) -> str:
    """The best retrained point, while there is no curve."""
    runs = counted(n_runs, "fresh run", "fresh runs")
    return f"it has the best mean {metric} of {counted(n_points, 'retrained point', 'retrained points')}, over {runs}"


def retrained_in_vain(n_points: int) -> str:
    """Every fresh run diverged."""
    points = "the point that was retrained" if n_points == 1 else f"all {n_points} points that were retrained"
    return f"{points} diverged with fresh seeds; the answered one was not retrained: more trials at lower rates would tell"


def diverged_again(interval: IntervalView, diverged: int, n: int) -> str:
    """diverged: of n fresh runs at the answered point."""
    return f"{_sure(interval)}, but {diverged} of {counted(n, 'run', 'runs')} with fresh seeds at the answered point diverged"


def all_diverged(lowest: float, *, is_searched: bool) -> str:
    """lowest: of the rates tried."""
    tried = "every rate tried diverged, down to" if is_searched else "every trial diverged at the job's learning rate,"
    return f"{tried} {lowest:.3g}: look below it"


def none_trained(n: int, metric: str) -> str:
    """A sentence: n trials have ended, and none of them trained to its end."""
    return (
        f"{'The only trial' if n == 1 else f'None of the {n} trials'} that ended has"
        f"{' not' if n == 1 else ''} trained to its end with a finite {metric}, at a rate above zero."
    )


def _sure(interval: IntervalView) -> str:
    return f"the best rate lies between {interval.low:.3g} and {interval.high:.3g} with 90% probability"
