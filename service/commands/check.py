"""`stride check`: what works with a training script, before it is tuned."""

import sys

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from objectives.scripts.check import Finding, findings
from objectives.scripts.entry import Asked
from service.commands.own_objectives import check_to_run
from service.commands.run import described
from service.commands.tables import console, plain
from service.errors import StrideError
from service.settings import Settings


class DoesNotTrain(StrideError):
    """The script does not train."""


def check_script(file: str, asked: Asked, settings: Settings) -> None:
    """Print what works with the training in `file`. Raises ConfigurationError, BadUsage, and DoesNotTrain."""
    script, device = described(file, asked), settings.device
    check_to_run(script, settings)
    device = "cpu" if device == "auto" else device  # finding a GPU takes torch, which commands do not import
    found: list[Finding] = []
    for finding in findings(script, device, lambda what: print(f"{what} ...", file=sys.stderr)):
        found.append(finding)
    table = Table("", "", "", box=SIMPLE, show_header=False)
    for finding in found:
        mark = Text("yes", style="bold green") if finding.works else Text("no", style="bold yellow")
        table.add_row(finding.name, mark, plain(f"{finding.text}."))
    console().print(table)
    if not found[0].works:
        raise DoesNotTrain(f"{file} does not train: the run {found[0].text}")
