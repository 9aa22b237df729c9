"""best-lr across jobs for people: for each measure a table with a row per recipe."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.numbers import NOTHING, counted, number, values
from service.analysis.words.ranges import end_to_end
from service.commands.answers import BAD, VERDICT_STYLES
from service.commands.api_client import ApiClient
from service.commands.comparison_tables import estimate
from service.commands.output import parsed, print_document
from service.commands.tables import ID_LENGTH, plain
from service.domain.across_jobs import BestRates, LeftOut, RecipeAnswer
from service.domain.answer import Answer
from service.domain.recipe import differing

MOST_IDS = 3
"""Ids of jobs shown in one place."""


def best_lr_of_all(url: str | None, *, objective: str | None, metric: str | None, labels: Sequence[str], as_json: bool) -> None:
    """Print the best learning rate of each recipe across jobs."""
    with ApiClient(url) as client:
        first, *others = client.pages("/v1/best-lr", objective=objective, metric=metric, label=list(labels) or None)
        items = [item for page in (first, *others) for item in page["items"]]
        document = {"items": items, "next_cursor": None, "left_out": first["left_out"]}
        print_document(document, lambda document: best_rates(parsed(BestRates, document)), as_json)


def best_rates(found: BestRates) -> RenderableType:
    """A table per measure, and below them which jobs have no answer."""
    parts: list[RenderableType] = [] if found.items else ["No such job has an answer yet."]
    for _, of_measure in groupby(found.items, lambda item: (item.measure, item.metric, item.direction)):
        parts += _of_measure(list(of_measure))
    if any(item.answer.interval_at_params for item in found.items):
        parts.append(Text("Ranges are 90% intervals. A rate and its range hold with the parameters below them.", style="dim"))
    return Group(*parts, *_left_out(found.left_out))


def _of_measure(items: Sequence[RecipeAnswer]) -> Iterator[RenderableType]:
    first = items[0]
    data = values({name: value for name, value in first.measure.items() if name != "objective"})
    heading = plain(f"{first.measure['objective']} {data}".rstrip() + f": {first.metric}, {first.direction}d")
    heading.stylize("bold")
    yield heading
    recipes = differing([item.recipe for item in items])
    table = Table(box=SIMPLE, show_lines=True, padding=(0, 1, 0, 0))
    for column in (*(["recipe"] if any(recipes) else []), "learning rate", "expected", "jobs", "verdict"):
        table.add_column(column, overflow="fold")
    for item, recipe in zip(items, recipes, strict=True):
        answer = item.answer
        cells: list[str | Text] = [
            _rate(answer),
            _expected(answer),
            "\n".join([counted(answer.evidence.trials, "trial", "trials"), *_ids(item.jobs)]),
            Text(answer.verdict, style=VERDICT_STYLES.get(answer.verdict, BAD)),
        ]
        if any(recipes):
            cells.insert(0, plain(_lines(recipe) or NOTHING))
        table.add_row(*cells)
    yield table


def _rate(answer: Answer) -> Text:
    """The rate, its interval, and the parameters for which both hold."""
    interval = answer.interval_at_params
    lines = [number(answer.learning_rate), interval and end_to_end(interval, answer.learning_rate), _lines(answer.params)]
    return plain("\n".join(line for line in lines if line))


def _expected(answer: Answer) -> str:
    """The expected metric; without it the best trial's value, which is said."""
    if answer.expected is None and answer.best_trial is not None:
        return f"{number(answer.best_trial.value)}\nbest trial"
    return estimate(answer.expected)


def _lines(named: Mapping[str, Any]) -> str:
    return "\n".join(values({name: value}) for name, value in sorted(named.items()))


def _ids(jobs: Sequence[UUID]) -> list[str]:
    """A few short ids, and how many more there are."""
    more = [f"+ {len(jobs) - MOST_IDS} more"] if len(jobs) > MOST_IDS else []
    return [str(job)[:ID_LENGTH] for job in jobs[:MOST_IDS]] + more


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Text]:
    """A line for each reason."""
    jobs = defaultdict(list)
    for each in left_out:
        jobs[each.because].append(each.job)
    for because, of_reason in jobs.items():
        yield plain(f"Left out: {', '.join(_ids(of_reason))}: {because}.")
