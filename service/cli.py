"""The command line: exit codes, and the commands that run the service. `commands/` does the work, imported when a command runs.

So `stride --help` does not import Optuna, SQLAlchemy or FastAPI, and is quick.
"""

import gc
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from service.commands import answer_commands, job_commands, script_commands
from service.commands.options import SERVICE, BadUsage, Data, Direction, Host, LearningRate, Param, Parent, Port, Steps
from service.errors import ConfigurationError, StrideError

BAD_USAGE = 2
FAILED = 1
INTERRUPTED = 130
OBJECTS = 50_000
"""New ones between two garbage collections: while modules are imported nothing is garbage, and to look for it takes time."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Stride: which learning rate, how sure are you, and how far may I move?",
    epilog="Exit codes: 0 done; 1 the service or the database cannot be reached, or the watched job failed or was cancelled;"
    " 2 wrong usage or configuration, or a request that the service refuses. Settings come from the environment, as STRIDE_*.",
)


def main() -> None:
    """Run a command and exit with its code."""
    gc.set_threshold(OBJECTS)
    code: str | int | None = None
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    except StrideError as error:
        from service.commands.api_client import Refused

        print(f"stride: {error}", file=sys.stderr)
        code = BAD_USAGE if isinstance(error, BadUsage | ConfigurationError | Refused) else FAILED
    except KeyboardInterrupt:  # a second one, where the first one was being handled
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it would kill a process that is ending, and hide its exit code
    _leave_threads(code)
    gc.freeze()  # else Python looks for garbage before it ends, for a quarter of a second
    sys.exit(code)


def _leave_threads(code: str | int | None) -> None:
    """Exit now if threads run that Python would wait for: a user's module of objectives may have started one that never ends."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else FAILED if code else 0)


# The order is that of the help.
app.add_typer(script_commands.app)


@app.command(rich_help_panel=SERVICE)
def up(
    port: Port = None,
    host: Host = None,
    data: Data = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=1024, help="Worker processes. (default: STRIDE_WORKERS, or 2)", show_default=False)
    ] = None,
    parent: Parent = None,
) -> None:
    """Run everything on this machine: PostgreSQL (unless STRIDE_DATABASE_URL names one), the API and workers."""
    from service.commands.configuration import read_settings, warn_of_unknown
    from service.commands.up import run_everything

    if parent is None:  # else it has warned
        warn_of_unknown()
    run_everything(read_settings(port=port, host=host, data_dir=data, workers=workers), parent=parent)


@app.command(hidden=True)
def serve_client(
    data: Data = None,
    workers: Annotated[int, typer.Option(min=0, max=1024)] = 0,
    parent: Annotated[int, typer.Option()] = 0,
) -> None:
    """Run everything for the Python client that has started this process: stride.Client.local()."""
    from service.commands.configuration import read_settings
    from service.commands.serve_client import serve_client

    serve_client_settings = read_settings(port=0, data_dir=data, workers=workers)
    serve_client(serve_client_settings, parent=parent)


@app.command(rich_help_panel=SERVICE)
def api(
    port: Port = None,
    host: Host = None,
    data: Data = None,
    parent: Parent = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="File descriptor of an open socket to listen on.")] = None,
) -> None:
    """Run the API on the database at STRIDE_DATABASE_URL, or on the embedded one of a running `stride up`."""
    from service.commands.configuration import read_settings, warn_of_unknown
    from service.commands.roles import run_api

    if parent is None:  # else it has warned
        warn_of_unknown()
    run_api(read_settings(port=port, host=host, data_dir=data), parent=parent, descriptor=fd)


@app.command(rich_help_panel=SERVICE)
def worker(
    objective: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE[:NAME]", help="A training script, or one objective in it; repeatable.", show_default=False),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="LINE",
            help="A command that trains, with {learning_rate} and further {names} where their values go.",
            show_default=False,
        ),
    ] = None,
    param: Param = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The metric that a command reports. (default: validation_loss)", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of a command's objective. (default: that of its script or program)", show_default=False),
    ] = None,
    direction: Direction = None,
    learning_rate: LearningRate = None,
    steps: Steps = None,
    script: Annotated[list[str] | None, typer.Option(hidden=True, help="An objective that `stride run` has described.")] = None,
    job_fd: Annotated[
        int | None, typer.Option(hidden=True, help="File descriptor of an open file, which says the only job to train.")
    ] = None,
    data: Data = None,
    parent: Parent = None,
) -> None:
    """Run a worker on the database at STRIDE_DATABASE_URL, or on the embedded one of a running `stride up`."""
    from service.commands.configuration import read_settings, warn_of_unknown
    from service.commands.roles import run_a_worker

    if parent is None:  # else it has warned
        warn_of_unknown()
    scripts = {
        "objective_files": tuple(objective) if objective else None,
        "objective_direction": direction,
        "objective_learning_rate": learning_rate,
        "objective_steps": steps,
        "objective_command": command,
        "objective_params": tuple(param) if param else None,
        "objective_metric": metric,
        "objective_name": name,
    }
    run_a_worker(read_settings(data_dir=data, **scripts), parent=parent, described=script or (), assignment=job_fd)


@app.command(rich_help_panel=SERVICE)
def migrate(data: Data = None) -> None:
    """Migrate the database to the schema of this version. Safe at any time, and from several processes at once."""
    from service.commands.configuration import read_settings, warn_of_unknown
    from service.commands.roles import run_migrations

    warn_of_unknown()
    run_migrations(read_settings(data_dir=data))


@app.command(rich_help_panel=SERVICE)
def clean(
    older_than: Annotated[
        float,
        typer.Option(
            metavar="DAYS", min=0.0, max=36_500.0, help="Only of jobs that ended at least this many days ago.", show_default=False
        ),
    ],
    data: Data = None,
) -> None:
    """Delete events and measurements of jobs that ended long ago; their trials, values and best models stay."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_retention

    run_retention(read_settings(data_dir=data), days=older_than)


@app.command(rich_help_panel=SERVICE)
def url(data: Data = None) -> None:
    """Print the database's URL in the form that Optuna's tools take: optuna-dashboard "$(stride url)"."""
    from service.commands.configuration import read_settings
    from service.commands.roles import print_url

    print_url(read_settings(data_dir=data))


app.add_typer(job_commands.app)
app.add_typer(answer_commands.app)


if __name__ == "__main__":
    main()
