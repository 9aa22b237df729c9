"""trade-off for people: a job's configurations, speed against stability."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.numbers import NOTHING, chosen, counted, number, values, with_article
from service.commands.api_client import ApiClient
from service.commands.output import parsed, print_document
from service.commands.tables import Document, plain, rate_name, searched
from service.domain.comparison import ConfigurationView, TradeOffView

MOST_OTHERS = 10
"""Configurations that are shown beside the front."""


def trade_off(url: str | None, job: str, *, target: float | None, by: str, as_json: bool) -> None:
    """Show a job's configurations, speed against stability."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        found = client.get(f"/v1/jobs/{job_id}/trade-off", target=target, by=by)

        def render(found: Document) -> RenderableType:
            job = client.get(f"/v1/jobs/{job_id}")
            return in_words(parsed(TradeOffView, found), searched(job) - {rate_name(job)})

        print_document(found, render, as_json)


def in_words(found: TradeOffView, parameters: Collection[str]) -> RenderableType:
    """The front, and the best of the other configurations. parameters: what the job searches beside the learning rate."""
    parts: list[RenderableType] = [plain(f"To {with_article(found.metric)} of {number(found.target)}: {found.why_this_target}.")]
    if found.front:
        parts += [Text(f"\nNone is better in both {found.by} and final {found.metric} than these:", "bold")]
        parts += [_table(found, found.front, parameters)]
    else:
        parts += ["No configuration reaches it with all its seeds."]
    if found.others:
        parts += [Text("\nThe others, best final value first:", "bold"), _table(found, found.others[:MOST_OTHERS], parameters)]
    more = len(found.others[MOST_OTHERS:]) + found.left_out
    if more:
        parts.append(f"{counted(more, 'configuration is', 'configurations are')} not shown; --json has up to 200 of the others.")
    return Group(*parts)


def _table(found: TradeOffView, shown: Sequence[ConfigurationView], parameters: Collection[str]) -> Table:
    table = Table(box=SIMPLE)
    for column in ("learning rate", "parameters", "steps", "seconds", found.metric, "over its seeds", "reached", "diverged"):
        table.add_column(plain(column), overflow="fold")
    for each in shown:
        table.add_row(
            number(each.learning_rate),
            plain(values(chosen(each.params, parameters, None)) or NOTHING),
            number(each.steps),
            number(each.seconds),
            number(each.final.mean),
            f"{number(each.final.low)} to {number(each.final.high)}" if len(each.trials) > 1 else NOTHING,
            f"{each.reached} of {len(each.trials)}",
            str(each.diverged),
        )
    return table
