"""The commands that answer, as `stride --help` shows them. What does the work is imported when one runs."""

from typing import Annotated

import typer

from service.commands.options import ANSWERS, JOB_HELP, BadUsage, Job, Json, Url

app = typer.Typer()


@app.command("best-lr", rich_help_panel=ANSWERS)
def best_lr(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help=JOB_HELP, show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="The best rate of each recipe, across jobs.")] = False,
    objective: Annotated[str | None, typer.Option(help="With --all: only jobs with this objective.", show_default=False)] = None,
    metric: Annotated[str | None, typer.Option(help="With --all: only jobs with this metric.", show_default=False)] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="With --all: only jobs with this label; may be repeated.", show_default=False),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="How much worse the metric may get in the safe ranges, in its own units. (default: from the trials)",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show the best learning rate, how certain it is, and how far one may deviate from it."""
    from service.commands import across_jobs_tables, answers

    if everything:
        if job is not None:
            raise BadUsage("Give either a job or --all.")
        if tolerance is not None:
            raise BadUsage("--tolerance goes with a job: it is in the units of one metric.")
        across_jobs_tables.best_lr_of_all(url, objective=objective, metric=metric, labels=label or [], as_json=json)
    elif job is None:
        raise BadUsage("Give a job, or --all for the best rate of each recipe across jobs.")
    elif objective or metric or label:
        raise BadUsage("--objective, --metric and --label go with --all.")
    else:
        answers.best_lr(url, job, tolerance=tolerance, as_json=json)


@app.command(rich_help_panel=ANSWERS)
def advice(
    job: Job,
    next_of: Annotated[
        int | None,
        typer.Option(
            "--next", metavar="N", help="Print only the next job of advice N, to pipe into: stride submit -", show_default=False
        ),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show what to do after a job: what its trials show, and the next job, ready to be submitted."""
    from service.commands import advice

    advice.advice(url, job, next_of=next_of, as_json=json)


@app.command(rich_help_panel=ANSWERS)
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


@app.command("batch-scaling", rich_help_panel=ANSWERS)
def batch_scaling(
    job: Job,
    batch_size: Annotated[
        int | None, typer.Option(help="Predict the best rate for this batch size, summed over all devices.", show_default=False)
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(help="Predict it for this many devices, each with the batch size that is best on one.", show_default=False),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show how the best learning rate depends on the batch size, in a job that searches both."""
    from service.commands import batch_scaling

    batch_scaling.batch_scaling(url, job, batch_size=batch_size, devices=devices, as_json=json)


@app.command("trade-off", rich_help_panel=ANSWERS)
def trade_off(
    job: Job,
    target: Annotated[
        float | None,
        typer.Option(help="The metric's value to reach. (default: close to the best final value)", show_default=False),
    ] = None,
    by: Annotated[str, typer.Option(help="What counts as speed: steps or seconds.")] = "steps",
    json: Json = False,
    url: Url = None,
) -> None:
    """Show how soon each configuration of a job reaches a target, its final value, and its spread over seeds."""
    from service.commands import trade_off

    trade_off.trade_off(url, job, target=target, by=by, as_json=json)


@app.command(rich_help_panel=ANSWERS)
def report(
    job: Job,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it, - for standard output; a file that there is is replaced. (default: stride-JOB.html)",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
) -> None:
    """Write what a job's page shows to one HTML file, which needs no network; printed it takes two pages."""
    from service.commands import report

    report.report(url, job, output)
