"""The command line: what there is to say, and how it ends. The work is done in `commands/`, imported when it is needed.

So `stride --help` knows nothing of Optuna, SQLAlchemy or FastAPI, and is quick.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.errors import ConfigurationError, StrideError

BAD_USAGE = 2
FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Stride: which learning rate, how sure are you, and how far may I move?",
    epilog="Exit codes: 0 done; 1 the service or the database cannot be reached, or the watched job failed or was cancelled;"
    " 2 wrong usage or configuration, or a request that the service refuses. Settings come from the environment, as STRIDE_*.",
)

Url = Annotated[
    str | None, typer.Option(help="Where the API is. (default: STRIDE_URL, or http://127.0.0.1:8000)", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, a beginning of it that no other id shares, or 'latest'.")]
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
Parent = Annotated[int | None, typer.Option(hidden=True, help="End when this process, which started us, ends.")]

SERVICE = "Run the service"
JOBS = "Work with jobs"


def main() -> None:
    """Run a command, and end with its exit code."""
    try:
        app()
    except StrideError as error:
        from service.commands.api_client import Refused

        print(f"stride: {error}", file=sys.stderr)
        sys.exit(BAD_USAGE if isinstance(error, ConfigurationError | Refused) else FAILED)


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
    from service.commands.configuration import read_settings
    from service.commands.up import run_everything

    run_everything(read_settings(port=port, host=host, data_dir=data, workers=workers), parent=parent)


@app.command(rich_help_panel=SERVICE)
def api(
    port: Port = None,
    host: Host = None,
    data: Data = None,
    parent: Parent = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="The socket to listen on, open already.")] = None,
) -> None:
    """Run the API on STRIDE_DATABASE_URL, or on the embedded database that a `stride up` runs."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_api

    run_api(read_settings(port=port, host=host, data_dir=data), parent=parent, descriptor=fd)


@app.command(rich_help_panel=SERVICE)
def worker(data: Data = None, parent: Parent = None) -> None:
    """Run a worker on STRIDE_DATABASE_URL, or on the embedded database that a `stride up` runs."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_a_worker

    run_a_worker(read_settings(data_dir=data), parent=parent)


@app.command(rich_help_panel=SERVICE)
def migrate(data: Data = None) -> None:
    """Bring the database to the schema of this version. Safe to run at any time, by any number of processes."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_migrations

    run_migrations(read_settings(data_dir=data))


@app.command(rich_help_panel=SERVICE)
def clean(
    older_than: Annotated[
        float,
        typer.Option(metavar="DAYS", min=0.0, max=36_500.0, help="Only of jobs that ended so many days ago.", show_default=False),
    ],
    data: Data = None,
) -> None:
    """Delete events and measurements of jobs that ended long ago; their trials, values and best models stay."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_retention

    run_retention(read_settings(data_dir=data), days=older_than)


@app.command(rich_help_panel=SERVICE)
def url(data: Data = None) -> None:
    """Print the database's URL as Optuna's own tools want it: optuna-dashboard "$(stride url)"."""
    from service.commands.configuration import read_settings
    from service.commands.roles import print_url

    print_url(read_settings(data_dir=data))


@app.command(rich_help_panel=JOBS)
def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The job, as YAML or JSON; - reads it from standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the job would do, and create nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show how it goes, until the job is done.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Submit a job."""
    from service.commands import jobs

    if dry_run and watch:
        raise typer.BadParameter("--dry-run creates no job that one could --watch")
    jobs.submit(url, file, dry_run=dry_run, watch=watch, as_json=json)


@app.command("jobs", rich_help_panel=JOBS)
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state: queued, running, ...", show_default=False)] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """List the newest jobs."""
    from service.commands import jobs

    jobs.list_jobs(url, limit=limit, state=state, as_json=json)


@app.command(rich_help_panel=JOBS)
def show(
    job: Job,
    watch: Annotated[bool, typer.Option("--watch", help="Show how it goes, until the job is done.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show a job: its progress, its best trial, what it was asked to do."""
    from service.commands import jobs

    jobs.show(url, job, watch=watch, as_json=json)


@app.command("best-lr", rich_help_panel=JOBS)
def best_lr(job: Job, json: Json = False, url: Url = None) -> None:
    """Answer: which learning rate?"""
    from service.commands import answers

    answers.best_lr(url, job, as_json=json)


@app.command(rich_help_panel=JOBS)
def compare(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Two jobs or more, each by its id or a beginning of it.")],
    learning_rate: Annotated[
        float | None, typer.Option(help="Also compare them at this one rate, as is usually done.", show_default=False)
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Say which recipe is better, each at its own best learning rate."""
    from service.commands import comparison_tables

    comparison_tables.compare(url, jobs, learning_rate=learning_rate, as_json=json)


@app.command(rich_help_panel=JOBS)
def cancel(job: Job, json: Json = False, url: Url = None) -> None:
    """End a job; its running trials keep what they have measured."""
    from service.commands import jobs

    jobs.move(url, job, "cancel", as_json=json)


@app.command(rich_help_panel=JOBS)
def pause(job: Job, json: Json = False, url: Url = None) -> None:
    """Start no further trials of a job; the running ones go on at resume."""
    from service.commands import jobs

    jobs.move(url, job, "pause", as_json=json)


@app.command(rich_help_panel=JOBS)
def resume(job: Job, json: Json = False, url: Url = None) -> None:
    """Go on with a paused job."""
    from service.commands import jobs

    jobs.move(url, job, "resume", as_json=json)


@app.command(rich_help_panel=JOBS)
def objectives(json: Json = False, url: Url = None) -> None:
    """List what can be trained: settings, parameters, default search space, metrics."""
    from service.commands import jobs

    jobs.objectives(url, as_json=json)


if __name__ == "__main__":
    main()
