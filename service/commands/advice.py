"""advice for people: what to do after a job, with the evidence and the source of each; or the next job alone, to be submitted."""

import json

from rich.console import Group, RenderableType
from rich.text import Text

from service.commands.api_client import ApiClient
from service.commands.options import BadUsage
from service.commands.output import parsed, print_document
from service.commands.tables import Document, plain
from service.domain.advice import Advice, AdviceView

EXCERPT = 8
"""Digits of a job's id that name it."""


def advice(url: str | None, job: str, *, next_of: int | None, as_json: bool) -> None:
    """Print the advice on a job; next_of: only the next job of the advice with this number, counted from 1."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        document = client.get(f"/v1/jobs/{job_id}/advice")
    if next_of is None:
        print_document(document, in_words, as_json)
    else:
        print(json.dumps(next_job(document, next_of), indent=2))


def in_words(document: Document) -> RenderableType:
    """A paragraph for each advice."""
    view = parsed(AdviceView, document)
    parts: list[RenderableType] = [plain(view.because)]
    for place, item in enumerate(view.items, start=1):
        parts += ["", Text(f"{place}. ") + Text(item.advice, style="bold"), *_below(item, str(view.job)[:EXCERPT], place)]
    return Group(*parts)


def _below(item: Advice, job: str, place: int) -> list[RenderableType]:
    lines: list[RenderableType] = [Text("   ") + plain(item.evidence)]
    if item.next_job is not None:
        lines.append(Text(f"   stride advice {job} --next {place} | stride submit -", style="cyan"))
    lines.append(Text(f"   {item.source.title}: {item.source.link}", style="dim"))
    return lines


def next_job(document: Document, place: int) -> Document:
    """The next job of the advice with this number, counted from 1. Raises BadUsage where there is none."""
    items = parsed(AdviceView, document).items
    if not 1 <= place <= len(items):
        raise BadUsage(f"There is no advice {place}: there are {len(items)}." if items else "There is no advice on this job.")
    found: Document | None = document["items"][place - 1]["next_job"]
    if found is None:
        raise BadUsage(f"Advice {place} has no next job: the objective has no parameter that would help.")
    return found
