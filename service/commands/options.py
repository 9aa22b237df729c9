"""The arguments and options that several commands share, and the panels of `stride --help`. Imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from service.errors import StrideError

SCRIPTS = "Tune a training script"
SERVICE = "Run the service"
JOBS = "Work with jobs"
ANSWERS = "Ask for answers"

Url = Annotated[
    str | None, typer.Option(help="URL of the API. (default: STRIDE_URL, or http://127.0.0.1:8000)", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
JOB_HELP = "The job's id, an unambiguous prefix of it, or 'latest'."
Job = Annotated[str, typer.Argument(metavar="JOB", help=JOB_HELP)]
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=0, max=2**31 - 1, help="The trial's number in its job.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the embedded PostgreSQL, used even if STRIDE_DATABASE_URL is set."
        " (default: STRIDE_DATA_DIR, or the user's data folder)",
        show_default=False,
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. (default: STRIDE_HOST, or 127.0.0.1)", show_default=False)]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Port of the API; 0 takes a free one. (default: STRIDE_PORT, or 8000)", show_default=False
    ),
]
FILE = typer.Argument(
    metavar="FILE",
    help="A Python file with an Optuna objective, a function train(lr=0.1, ...), a model and its data, or a function under"
    " @stride.objective; FILE:NAME names one.",
    show_default=False,
)
Direction = Annotated[
    str | None,
    typer.Option(
        help="minimize or maximize what a file or a command measures that does not say it. (default: minimize)",
        show_default=False,
    ),
]
LearningRate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The parameter that is the learning rate. (default: learning_rate, or lr)", show_default=False
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many steps a file or a command reports that does not say it; pruners need it.", show_default=False
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RANGE",
        help="Range or value of a parameter: NAME=16,32,64, NAME=1e-5:1:log, NAME=2:20 or NAME=0.9; repeatable.",
        show_default=False,
    ),
]
Parent = Annotated[int | None, typer.Option(hidden=True, help="Id of the parent process: end when it ends.")]


class BadUsage(StrideError):
    """The arguments do not go together."""
