"""workers for people: a row for each."""

from datetime import datetime

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.age import age
from service.analysis.words.numbers import NOTHING
from service.commands.api_client import ApiClient
from service.commands.output import print_document
from service.commands.tables import Document, plain

STATE_STYLES = {"training": "cyan", "idle": "green", "lost": "red", "stopped": "dim"}


def workers(url: str | None, *, limit: int, as_json: bool) -> None:
    """List the newest workers."""
    with ApiClient(url) as client:
        print_document(client.get("/v1/workers", limit=limit), workers_table, as_json)


def workers_table(page: Document) -> RenderableType:
    """A row per worker, and below it why it has set objectives aside."""
    if not page["items"]:
        return "There are no workers yet: stride up, or stride worker"
    table = Table(box=SIMPLE)
    for column in ("worker", "state", "trials", "device", "version", "seen", "objectives"):
        table.add_column(column, overflow="fold", no_wrap=column in ("state", "seen"))
    for worker in page["items"]:
        table.add_row(
            plain(worker["name"]),
            Text(worker["state"], style=STATE_STYLES.get(worker["state"], "")),
            str(worker["open_leases"]),
            plain(worker["device"]),
            plain(worker["version"]),
            f"{age(datetime.fromisoformat(worker['seen_at']))} ago",
            plain(", ".join(worker["objectives"]) or NOTHING),
        )
    aside = [
        plain(f"{worker['name']} has set {objective} aside: {why}")
        for worker in page["items"]
        for objective, why in worker["set_aside"].items()
    ]
    more = ["There are more: --limit shows up to 100."] if page["next_cursor"] else []
    return Group(table, *aside, *more)
