"""The command line: commands, options and exit codes. `commands/` does the work, and is imported when a command runs.

So `stride --help` does not import Optuna, SQLAlchemy or FastAPI, and is quick.
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
    str | None, typer.Option(help="URL of the API. (default: STRIDE_URL, or http://127.0.0.1:8000)", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
JOB_HELP = "The job's id, an unambiguous prefix of it, or 'latest'."
Job = Annotated[str, typer.Argument(metavar="JOB", help=JOB_HELP)]
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
Parent = Annotated[int | None, typer.Option(hidden=True, help="Id of the parent process: end when it ends.")]

SERVICE = "Run the service"
JOBS = "Work with jobs"


class BadUsage(StrideError):
    """The arguments do not go together."""


def main() -> None:
    """Run a command and exit with its code."""
    try:
        app()
    except StrideError as error:
        from service.commands.api_client import Refused

        print(f"stride: {error}", file=sys.stderr)
        sys.exit(BAD_USAGE if isinstance(error, BadUsage | ConfigurationError | Refused) else FAILED)


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
    fd: Annotated[int | None, typer.Option(hidden=True, help="File descriptor of an open socket to listen on.")] = None,
) -> None:
    """Run the API on the database at STRIDE_DATABASE_URL, or on the embedded one of a running `stride up`."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_api

    run_api(read_settings(port=port, host=host, data_dir=data), parent=parent, descriptor=fd)


@app.command(rich_help_panel=SERVICE)
def worker(data: Data = None, parent: Parent = None) -> None:
    """Run a worker on the database at STRIDE_DATABASE_URL, or on the embedded one of a running `stride up`."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_a_worker

    run_a_worker(read_settings(data_dir=data), parent=parent)


@app.command(rich_help_panel=SERVICE)
def migrate(data: Data = None) -> None:
    """Migrate the database to the schema of this version. Safe at any time, and from several processes at once."""
    from service.commands.configuration import read_settings
    from service.commands.roles import run_migrations

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


@app.command(rich_help_panel=JOBS)
def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The job, as YAML or JSON; - reads it from standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the job would do, without creating it.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress until the job ends.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Submit a job."""
    from service.commands import jobs

    if dry_run and watch:
        raise typer.BadParameter("--dry-run creates no job, so there is none to --watch")
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
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress until the job ends.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show a job: its specification, its progress and its best trial."""
    from service.commands import jobs

    jobs.show(url, job, watch=watch, as_json=json)


@app.command("best-lr", rich_help_panel=JOBS)
def best_lr(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help=JOB_HELP, show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="The best rate of each recipe, across jobs.")] = False,
    objective: Annotated[str | None, typer.Option(help="With --all: only jobs with this objective.", show_default=False)] = None,
    metric: Annotated[str | None, typer.Option(help="With --all: only jobs with this metric.", show_default=False)] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="With --all: only jobs with this label; may be repeated.", show_default=False),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show the best learning rate, how certain it is, and how far one may deviate from it."""
    from service.commands import across_jobs_tables, answers

    if everything:
        if job is not None:
            raise BadUsage("Give either a job or --all.")
        across_jobs_tables.best_lr_of_all(url, objective=objective, metric=metric, labels=label or [], as_json=json)
    elif job is None:
        raise BadUsage("Give a job, or --all for the best rate of each recipe across jobs.")
    elif objective or metric or label:
        raise BadUsage("--objective, --metric and --label go with --all.")
    else:
        answers.best_lr(url, job, as_json=json)


@app.command(rich_help_panel=JOBS)
def compare(
    jobs: Annotated[
        list[str], typer.Argument(metavar="JOB...", help="Two or more jobs, each by its id or an unambiguous prefix of it.")
    ],
    learning_rate: Annotated[
        float | None, typer.Option(help="Also compare them at this one learning rate, as is often done.", show_default=False)
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show which recipe is better, each at its own best learning rate."""
    from service.commands import comparison_tables

    comparison_tables.compare(url, jobs, learning_rate=learning_rate, as_json=json)


@app.command(rich_help_panel=JOBS)
def cancel(job: Job, json: Json = False, url: Url = None) -> None:
    """Cancel a job; its running trials keep their measurements."""
    from service.commands import jobs

    jobs.move(url, job, "cancel", as_json=json)


@app.command(rich_help_panel=JOBS)
def pause(job: Job, json: Json = False, url: Url = None) -> None:
    """Pause a job: start no further trials, and stop the running ones, which continue at resume."""
    from service.commands import jobs

    jobs.move(url, job, "pause", as_json=json)


@app.command(rich_help_panel=JOBS)
def extend(
    job: Job,
    trials: Annotated[int | None, typer.Option(help="Further trials.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Further seconds.")] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Give a job more trials or seconds; a completed or cancelled one runs again."""
    if (trials is None) == (seconds is None):
        raise typer.BadParameter("give either --trials or --seconds: by how much the job is to be extended")
    from service.commands import jobs

    jobs.extend(url, job, trials=trials, seconds=seconds, as_json=json)


@app.command(rich_help_panel=JOBS)
def resume(job: Job, json: Json = False, url: Url = None) -> None:
    """Resume a paused job."""
    from service.commands import jobs

    jobs.move(url, job, "resume", as_json=json)


@app.command(rich_help_panel=JOBS)
def objectives(json: Json = False, url: Url = None) -> None:
    """List the objectives, each with its settings, parameters, default search space and metrics."""
    from service.commands import jobs

    jobs.objectives(url, as_json=json)


if __name__ == "__main__":
    main()
