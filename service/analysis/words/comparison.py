"""What is said of jobs that are compared: verdicts that follow a job's name, and why jobs cannot be compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from service.analysis.words.numbers import NOTHING, counted
from service.analysis.words.ranges import estimate
from service.domain.answer import EstimateView
from service.domain.comparison import (
    EXPECTED_VALUES,
    PAIRED_SEEDS,
    AtRateView,
    ComparisonVerdict,
    DifferenceView,
    JudgedView,
)
from service.domain.job import FINAL, Job


def summary(judged: Sequence[JudgedView], robust: JudgedView) -> str:
    """All verdicts, the best job first; then which job to prefer where several are as good."""
    return " ".join(sentences(judged, robust))


def sentences(judged: Sequence[JudgedView], robust: JudgedView) -> list[str]:
    """A verdict for each job, the best one first; then which job to prefer where several are as good."""
    parts = [f"{each.label} {each.because}" for each in by_verdict(judged)]
    as_good = [each for each in judged if each.verdict in (ComparisonVerdict.BEST, ComparisonVerdict.AS_GOOD)]
    if sum(each.sensitivity is not None for each in as_good) > 1:
        parts.append(f"Of the best, {robust.label} depends least on the learning rate")
    parts += _trials_without_a_search(judged)
    seeds = {each.label: each.seeds for each in judged if each.verdict != ComparisonVerdict.NOT_JUDGED}
    if unknown := [label for label, n in seeds.items() if n is None]:
        parts.append(f"Training seeds are not known for {', '.join(unknown)}: what another one would change is not in this")
    elif all(n == 1 for n in seeds.values()):
        parts.append("All of this holds for one training seed: one for each trial (per_trial) would tell what a seed changes")
    return [f"{part}." for part in parts]


def _trials_without_a_search(judged: Sequence[JudgedView]) -> Iterator[str]:
    """What not searching the learning rate saves: trials, beside those of the best job that searched it."""
    known = [each for each in by_verdict(judged) if each.expected is not None]
    searched = next((each for each in known if each.sensitivity is not None), None)
    if searched is not None:
        for each in known:
            if each.sensitivity is None:
                yield (
                    f"{each.label} searched no learning rate: it took {counted(each.trials, 'trial', 'trials')}, and"
                    f" {searched.label} {searched.trials}"
                )


def by_verdict(judged: Sequence[JudgedView]) -> list[JudgedView]:
    """The best job first, those that are not judged last."""
    order = [str(verdict) for verdict in ComparisonVerdict]
    return sorted(judged, key=lambda each: order.index(each.verdict))


def best(expected: EstimateView, rate: EstimateView, at_edge: str | None) -> str:
    """at_edge: where its best rate lies at an end of the range."""
    verdict = f"is best: it expects {estimate(expected)} at its best rate, {estimate(rate)}"
    return f"{verdict}; {_further(at_edge)}" if at_edge else verdict


def best_at_point(expected: EstimateView, rate: EstimateView | None) -> str:
    """Of a job that searched no range of rates."""
    at = "" if rate is None else f" at its learning rate, {rate.mean:.3g}"
    return f"is best: it expects {estimate(expected)}{at}"


def worse(above: DifferenceView, sign: float, *, within_noise: bool) -> str:
    """sign: 1 where a lower metric is better, else -1. within_noise: by no more than a training seed changes."""
    otherwise = f", though the {EXPECTED_VALUES} say otherwise" if above.response_curves.times(sign).mean < 0 else ""
    small = f"; a training seed changes more ({above.tolerance:.3g})" if within_noise else ""
    return f"is worse by {_with_basis(above.estimate.times(sign), above)}{otherwise}{small}"


def worse_at_edge(above: DifferenceView, sign: float, at_edge: str) -> str:
    """Worse, but its best rate lies at an end of the range."""
    return f"is undecided: it is worse by {_with_basis(above.estimate.times(sign), above)}, but {_further(at_edge)}"


def better_than_the_best(above: DifferenceView, sign: float) -> str:
    """Possible among three jobs or more: by the seeds that two of them share, each may beat another."""
    better = estimate(above.estimate.times(-sign))
    return f"is undecided: it is better by {better} than the best job, which in turn beats others that beat this one"


def as_good(above: DifferenceView, sign: float) -> str:
    """Different by no more than a training seed changes."""
    return f"is as good: {difference(above, sign)}, within what a training seed changes ({above.tolerance:.3g})"


def undecided(above: DifferenceView, sign: float) -> str:
    """The interval holds zero, and differences larger than a training seed makes."""
    advice = "more trials, or replicates, near its best rate would tell"
    return f"is undecided: {difference(above, sign)}, but that may be chance; {advice}"


def not_judged(why: str) -> str:
    """why: one of the reasons below."""
    return f"is not judged: {why}"


def difference(above: DifferenceView, sign: float) -> str:
    """Worse or better, by how much, and on what evidence."""
    costs = above.estimate.times(sign)
    return f"worse by {_with_basis(costs, above)}" if costs.mean >= 0 else f"better by {_with_basis(costs.times(-1), above)}"


def _with_basis(costs: EstimateView, above: DifferenceView) -> str:
    seeds = above.paired_seeds if above.rests_on == PAIRED_SEEDS else None
    return f"{estimate(costs)} by {f'{seeds.pairs} {PAIRED_SEEDS}' if seeds else f'the {above.rests_on}'}"


def _further(at_edge: str) -> str:
    further = "lower" if at_edge == "low" else "higher"
    return f"its best rate lies at the {at_edge} end of the range it searched: {further} ones may be better"


def few_seeds(n: int, *, fewest: int) -> str:
    """Why a job that searches no range of learning rates is not judged. n: training seeds of its best point."""
    trained = f"its best point was trained with {counted(n, 'training seed', 'training seeds')}" if n else "no point was trained"
    return f"it searches no range of learning rates, and {trained}; it takes at least {fewest} (replicates)"


def nothing_finished(job: Job) -> str:
    """Why a job without a finished trial is not judged."""
    after = f": {job.reason}" if job.state in FINAL and job.reason else ""
    return f"none of its trials has finished, and it is {job.state}{after}"


def all_diverged(lowest: float) -> str:
    """lowest: of the rates tried."""
    return f"every rate tried diverged, down to {lowest:.3g}"


def nothing_learned() -> str:
    """Why a job whose trials all plateaued or exploded is not judged."""
    return "none of its trials that trained to their end learned anything: see their diagnosis"


def few_trials(n: int, metric: str, left_out: str, *, fewest: int) -> str:
    """left_out: which others there are."""
    trials = counted(n, "trial is", "trials are")
    return f"{trials} complete with a finite {metric} and all that it searches{left_out}; it takes at least {fewest}"


def few_rates(n: int, *, fewest: int) -> str:
    """n: different ones."""
    return f"it tried {counted(n, 'learning rate', 'learning rates')} only; it takes at least {fewest}"


def too_few_judged(n: int, whys: Sequence[tuple[str, str]]) -> str:
    """Sentences. whys: labels of jobs, and why each is not judged."""
    reasons = "; ".join(f"{label}: {why}" for label, why in whys)
    return f"A comparison takes two jobs that can be judged, and here {'none' if n == 0 else 'one'} can. {reasons}."


def wrong_number_of_jobs(n: int, *, fewest: int, most: int) -> str:
    """What is wrong with the request."""
    return f"should be {fewest} to {most} jobs, not {n}"


def named_before() -> str:
    """What is wrong with the request: the same job twice."""
    return "is named before"


def another_measure(differing: Mapping[str, tuple[Any, Any]]) -> str:
    """Why a job's metric is not that of the first one. differing: by name, what the job has and what the first one has."""
    has = [
        f"{f'no {name}' if its is None else f'{name} {its!r}'} where the first job has {_or_none(of_first)}"
        for name, (its, of_first) in differing.items()
    ]
    return f"its metric is not the same measure: it has {', and '.join(has)}"


def _or_none(value: Any) -> str:
    return "none" if value is None else repr(value)


def searches_its_measure(name: str, metric: str) -> str:
    """Why a job cannot be compared that searches what its metric depends on, as a data set."""
    return f"it searches {name}, so its trials do not measure the same {metric}"


def nobody_wins(learning_rate: float) -> str:
    """No winner at one rate for all. This and the next three are without a full stop."""
    return f"fewer than two of the jobs say anything about a learning rate of {learning_rate:.3g}"


def would_win(
    learning_rate: float, winner: UUID, jobs: Sequence[AtRateView], labels: Mapping[UUID, str], fair_winner: UUID | None
) -> str:
    """The winner at one rate for all. fair_winner: the best at its own best rate, if the winner is neither it nor as good."""
    means = ", ".join(
        f"{labels[each.job]} {NOTHING if each.expected is None else format(each.expected.mean, '.3g')}" for each in jobs
    )
    won = f"at one learning rate of {learning_rate:.3g} for all, {labels[winner]} would win ({means})"
    if fair_winner is None:
        return won
    return f"{won}; that rate suits it better: each at its own best rate, {labels[fair_winner]} wins"


def not_searched_there(low: float, high: float) -> str:
    """Why a job says nothing about a rate."""
    return f"it searched {low:.3g} to {high:.3g}"


def another_rate(fixed: float | None) -> str:
    """Why a job that searched no range of rates says nothing about a rate. fixed: the one that it had."""
    return "it has no learning rate" if fixed is None else f"its learning rate is {fixed:.3g}"


def diverges_there() -> str:
    """Why a job says nothing about a rate."""
    return "it most likely diverges there"


def target_asked_for() -> str:
    """Why this target."""
    return "as asked for"


def target_near_the_best(best_value: float, *, a_tenth: bool) -> str:
    """Why this target. a_tenth: a tenth worse than the best value; else the standard deviation over seeds."""
    margin = "a tenth of it" if a_tenth else "the standard deviation over seeds"
    return f"the best mean final value, {best_value:.3g}, and {margin} worse"


def none_trained(metric: str) -> str:
    """A sentence: there is no configuration to show."""
    return f"None of the job's trials has trained to its end with a finite {metric}."
