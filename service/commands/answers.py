"""best-lr for people: the answer in sentences, with a chart and a table by batch size."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.numbers import number
from service.analysis.words.ranges import end_to_end
from service.analysis.words.summary import headline, sentences
from service.commands.api_client import ApiClient
from service.commands.chart import PLAIN, PRETTY, chart
from service.commands.output import parsed, print_document
from service.commands.tables import Document, console, plain, rate_name, searched
from service.domain.answer import Answer, AnswerVerdict, BatchSizeView

GOOD, BAD = "bold green", "bold red"
VERDICT_STYLES: Mapping[str, str] = {
    AnswerVerdict.CONFIDENT: GOOD,
    AnswerVerdict.ANY_RATE: GOOD,
    AnswerVerdict.MORE_TRIALS: "bold yellow",
}


def best_lr(url: str | None, job: str, *, tolerance: float | None = None, as_json: bool) -> None:
    """Print the best learning rate of a job."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        document = client.get(f"/v1/jobs/{job_id}/best-lr", tolerance=tolerance)

        def render(document: Document) -> RenderableType:
            words = in_words(parsed(Answer, document), client.get(f"/v1/jobs/{job_id}"), console())
            return Group(words, Text(f"Its page: {client.page_url(job_id)}", style="dim"))

        print_document(document, render, as_json)


def in_words(answer: Answer, job: Document, console: Console) -> RenderableType:
    """The answer in sentences, with a chart and a table by batch size. job: the job that was asked about."""
    signs = PRETTY if console.encoding.lower().startswith("utf") else PLAIN
    before, rate, after = headline(answer)
    parts: list[RenderableType] = [Text(before) + Text(rate, style="bold green") + plain(after) if rate else Text(before, "bold")]
    parts += [plain(sentence) for sentence in sentences(answer, searched(job), rate_name(job))]
    lines = chart(answer, console.width, signs) if answer.recommends else []
    if lines:
        given = ", with these parameters" if answer.params else ""
        parts.append(Text("\n" + f"expected {answer.metric} by learning rate{given}\n" + "\n".join(lines)))
        legend = [f"{signs.best} the rate"]
        legend += [f"{signs.safe} the safe range"] if answer.safe_range else []
        legend.append(f"{signs.band} 90% of where the curve may lie")
        parts.append(Text(", ".join(legend) + "\n", style="dim"))
    if answer.recommends and answer.by_batch_size:
        parts.append(by_batch_size(answer.by_batch_size, answer.metric))
    verdict = Text(f"{answer.verdict}: ", style=VERDICT_STYLES.get(answer.verdict, BAD))
    parts.append(verdict + plain(f"{answer.because}."))
    return Group(*parts)


def by_batch_size(answers: Sequence[BatchSizeView], metric: str) -> Table:
    """A row per batch size."""
    table = Table("batch size", "trials", "learning rate", "90%", metric, box=SIMPLE)
    for each in answers:
        table.add_row(
            str(each.batch_size),
            str(each.trials),
            number(each.learning_rate),
            end_to_end(each.interval, each.learning_rate),
            number(each.expected.mean),
        )
    return table
