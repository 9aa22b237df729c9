"""compare for people: a table of the jobs, and the conclusion."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.numbers import NOTHING, capitalized, number, short, values
from service.commands.api_client import ApiClient
from service.commands.output import parsed, print_document
from service.commands.tables import ID_LENGTH, plain
from service.domain.answer import EstimateView
from service.domain.comparison import ComparisonView

COLUMNS = ("job", "recipe", "best lr", "difference", "excess about it", "verdict")


def compare(url: str | None, jobs: Sequence[str], *, learning_rate: float | None, as_json: bool) -> None:
    """Compare recipes, each at its own best rate."""
    with ApiClient(url) as client:
        ids = [client.job_id(job) for job in jobs]
        document = client.get("/v1/compare", jobs=ids, learning_rate=learning_rate)
        page = f"{client.url.rstrip('/')}/compare?jobs={','.join(job_id[:ID_LENGTH] for job_id in ids)}"
        page += "" if learning_rate is None else f"&learning_rate={learning_rate}"

        def render(document: Any) -> RenderableType:
            return Group(
                comparison(parsed(ComparisonView, document)),
                Text(f"Its page: {page}", style="dim", no_wrap=True, overflow="ignore"),
            )

        print_document(document, render, as_json)


def comparison(compared: ComparisonView) -> RenderableType:
    """A row per job, and the conclusion in a sentence."""
    shared = compared.at_shared_rate
    table = Table(box=SIMPLE, show_lines=True)
    for column in (*COLUMNS[:3], compared.metric, *COLUMNS[3:]):
        table.add_column(column, no_wrap=column in ("job", "verdict"))
    at_rate = {each.job: each.expected for each in shared.jobs} if shared else {}
    if shared:
        table.add_column(f"at {number(shared.learning_rate)}")
    for judged in compared.jobs:
        cells: list[str | Text] = [
            str(judged.job)[:ID_LENGTH],
            plain(values(judged.recipe).replace(" ", "\n") or judged.name or NOTHING),
            estimate(judged.learning_rate),
            estimate(judged.expected),
            estimate(judged.difference.estimate if judged.difference else None),
            estimate(judged.sensitivity.excess if judged.sensitivity else None),
            judged.verdict,
        ]
        table.add_row(*cells, *([estimate(at_rate.get(judged.job))] if shared else []))
    sentences = [compared.because]
    if shared:
        sentences.append(f"{capitalized(shared.because)}.")
    return Group(table, *(plain(sentence) for sentence in sentences))


def estimate(estimated: EstimateView | None) -> str:
    """The mean, with its interval on a second line: on one line the table would be too wide for a terminal."""
    if estimated is None:
        return NOTHING
    return f"{short(estimated.mean)}\n{short(estimated.low)} to {short(estimated.high)}"
