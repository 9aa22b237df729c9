"""What a job would do, in sentences, before it is submitted."""

from collections.abc import Collection, Iterator

from service.analysis.words.numbers import number, with_article
from service.domain.request import Budget
from service.domain.space import CategoricalRange, Range, searched
from service.domain.spec import JobSpec

ASSUMED = {
    "search_space": "the objective's default search space",
    "strategy": "{strategy}",
    "budget": "{trials}",
    "metric": "{metric}",
}
"""What is said of the fields that matter most, where the request leaves them out."""


def plan(spec: JobSpec, given: Collection[str], steps: tuple[float, int] | None) -> list[str]:
    """given: the fields of the request that are not left out. steps: of all trials, as expected and at most; None: not known."""
    return list(_plan(spec, given, steps))


def _plan(spec: JobSpec, given: Collection[str], steps: tuple[float, int] | None) -> Iterator[str]:
    yield f"{_extent(spec.budget)} of {_search(spec)}{_ends_early(spec)}."
    if spec.budget.confirm:
        yield f"The last {spec.budget.confirm} of them train the best points again with fresh seeds, before one is answered."
    elif spec.budget.confirm is None:
        yield "The last tenth of the time trains the best points again with fresh seeds, before one is answered."
    ranges = searched(spec.search_space).items()
    yield f"Searched: {'; '.join(f'{name} {_range(each)}' for name, each in ranges)}."
    if steps is not None:
        word = f"{spec.meaning.step_word}s"
        expected, most = steps
        yield f"In all {number(most)} {word}." if expected == most else f"In all about {expected:,.0f} {word}, at most {most:,}."
    yield f"The metric is {spec.metric}, which is {spec.direction}d."
    left_out = [said for name, said in ASSUMED.items() if name not in given]
    if left_out:
        trials = "all points of the grid" if spec.strategy.type == "grid" else _extent(spec.budget).lower()
        assumed = ", ".join(left_out).format(strategy=_search(spec), trials=trials, metric=spec.metric)
        yield f"Left out, and so assumed: {assumed}."


def _search(spec: JobSpec) -> str:
    sampler = getattr(spec.strategy, "sampler", None)
    return f"{spec.strategy.type} search" + (f" ({sampler})" if sampler else "")


def _extent(budget: Budget) -> str:
    trials = None if budget.trials is None else f"{budget.trials:,} {'trial' if budget.trials == 1 else 'trials'}"
    if budget.seconds is None:
        return trials or "Trials without end"
    seconds = f"{budget.seconds:,.12g} seconds"
    return f"{seconds[0].upper()}{seconds[1:]}" if trials is None else f"{trials} or {seconds}, whichever comes first,"


def _ends_early(spec: JobSpec) -> str:
    if spec.budget.target is None:
        return ""
    better = "at most" if spec.direction == "minimize" else "at least"
    return f", ended by {with_article(spec.metric)} of {better} {number(spec.budget.target)}"


def _range(dimension: Range) -> str:
    if isinstance(dimension, CategoricalRange):
        *others, last = map(number, dimension.choices)
        return f"{', '.join(others)} or {last}" if others else last
    scale = " on a logarithmic scale" if dimension.log else ""
    return f"{number(dimension.low)} to {number(dimension.high)}{scale}"
