"""Jobs beside each other, as a table for people."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table

from service.commands.tables import ID_LENGTH, NOTHING, Document, number, plain, values

COLUMNS = ("job", "recipe", "best lr", "difference", "excess about it", "verdict")


def comparison(found: Document) -> RenderableType:
    """A line per job, and what to make of it."""
    shared = found["at_shared_rate"]
    table = Table(box=SIMPLE, show_lines=True)
    for column in (*COLUMNS[:3], found["metric"], *COLUMNS[3:]):
        table.add_column(column, no_wrap=column in ("job", "verdict"))
    at_rate = {each["job"]: each["expected"] for each in shared["jobs"]} if shared else {}
    if shared:
        table.add_column(f"at {number(shared['learning_rate'])}")
    for judged in found["jobs"]:
        cells = [
            judged["job"][:ID_LENGTH],
            plain(values(judged["recipe"]).replace(" ", "\n") or judged["name"] or NOTHING),
            estimate(judged["learning_rate"]),
            estimate(judged["expected"]),
            estimate(judged["difference"] and judged["difference"]["estimate"]),
            estimate(judged["sensitivity"] and judged["sensitivity"]["excess"]),
            judged["verdict"],
        ]
        table.add_row(*cells, *([estimate(at_rate.get(judged["job"]))] if shared else []))
    sentences = [found["because"]]
    if shared:
        sentences.append(f"{shared['because'][:1].upper()}{shared['because'][1:]}.")
    return Group(table, *(plain(sentence) for sentence in sentences))


def estimate(found: Mapping[str, Any] | None) -> str:
    """The number, and its interval below it: in one line, a table of them is too wide for a terminal."""
    if found is None:
        return NOTHING
    mean, low, high = (NOTHING if found[name] is None else f"{found[name]:.3g}" for name in ("mean", "low", "high"))
    return f"{mean}\n{low} to {high}"
