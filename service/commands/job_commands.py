"""The commands for jobs, trials and workers, as `stride --help` shows them. What does the work is imported when one runs."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import JOBS, Data, Job, Json, Number, Url

app = typer.Typer()


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


@app.command("import", rich_help_panel=JOBS)
def import_runs(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A log of runs: CSV, parquet or JSON lines.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The learning rate. (default in a study: learning_rate, or lr)")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The metric that counts; a list is a curve, its last value counts.")
    ] = None,
    direction: Annotated[str | None, typer.Option(help="minimize or maximize it. (default: minimize; a study says it)")] = None,
    step: Annotated[str | None, typer.Option(metavar="COLUMN", help="The step, where each row is one of a run.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A further parameter, or its range: batch_size=16,32,64; repeatable."),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="COLUMN", help="What tells runs apart. (default: parameters, seed)")] = None,
    diverged: Annotated[str | None, typer.Option(metavar="COLUMN", help="Whether a run diverged: true or false.")] = None,
    seed: Annotated[str | None, typer.Option(metavar="COLUMN", help="The training seed.")] = None,
    missing: Annotated[
        str | None, typer.Option(help="What a run without a value of the metric is: diverged or failed. (default: refused)")
    ] = None,
    shorter: Annotated[
        str | None,
        typer.Option(help="What a run with fewer steps than the longest is: completed, pruned or failed. (default: completed)"),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with this value; repeatable.")
    ] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="In place of FILE: a study of Optuna.")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the study is. (default: Stride's own database)")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="The objective that was trained, so that workers can train further trials.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What was trained, such as model=cnn or data=cifar10; repeatable."),
    ] = None,
    data: Data = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Import runs from elsewhere as a finished job, and print its answer."""
    from service.commands import imports
    from service.commands.configuration import read_settings

    options = imports.Options(
        file=file,
        study=study,
        storage=storage,
        learning_rate=learning_rate,
        metric=metric,
        direction=direction,
        params=param or (),
        step=step,
        run=run,
        diverged=diverged,
        seed=seed,
        missing=missing,
        shorter=shorter,
        where=where or (),
        name=name,
        objective=objective,
        settings=setting or (),
    )
    imports.import_runs(url, options, read_settings(data_dir=data), as_json=json)


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


@app.command(rich_help_panel=JOBS)
def trials(job: Job, json: Json = False, url: Url = None) -> None:
    """List a job's trials: state, value, the parameters searched, steps, and why a trial failed or ended early."""
    from service.commands import trials

    trials.trials(url, job, as_json=json)


@app.command(rich_help_panel=JOBS)
def trial(job: Job, number: Number, json: Json = False, url: Url = None) -> None:
    """Show a trial: its parameters, its attempts, and its error with the traceback."""
    from service.commands import trials

    trials.trial(url, job, number, as_json=json)


@app.command(rich_help_panel=JOBS)
def log(job: Job, number: Number, json: Json = False, url: Url = None) -> None:
    """Print the last lines that a trial's training printed."""
    from service.commands import trials

    trials.log(url, job, number, as_json=json)


@app.command(rich_help_panel=JOBS)
def events(
    job: Job,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print further events as they happen, until the job ends; with --json a line each.")
    ] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show what happened to a job: when trials started, failed or were taken over, and why."""
    from service.commands import events

    events.events(url, job, follow=follow, as_json=json)


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
def delete(
    job: Job,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Delete a completed, failed or cancelled job with all its trials."""
    from service.commands import jobs

    jobs.delete(url, job, yes=yes, as_json=json)


@app.command(rich_help_panel=JOBS)
def objectives(json: Json = False, url: Url = None) -> None:
    """List the objectives, each with its settings, parameters, default search space and metrics."""
    from service.commands import jobs

    jobs.objectives(url, as_json=json)


@app.command(rich_help_panel=JOBS)
def workers(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    json: Json = False,
    url: Url = None,
) -> None:
    """List the newest workers: what they do, what they train on, and which objectives they have set aside and why."""
    from service.commands import workers

    workers.workers(url, limit=limit, as_json=json)
