"""The commands for training scripts, as `stride --help` shows them. What does the work is imported when one runs."""

import shlex
from typing import Annotated

import typer

from service.commands.options import FILE, SCRIPTS, BadUsage, Data, Direction, LearningRate, Param, Port, Steps

app = typer.Typer()


@app.command(rich_help_panel=SCRIPTS)
def run(
    file: Annotated[str | None, FILE] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="LINE",
            help="In place of FILE: a command that trains, with {learning_rate} and further {names} where their values go.",
            show_default=False,
        ),
    ] = None,
    param: Param = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The metric that counts. (default: the first that FILE declares, or validation_loss)",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of the job. (default: 32)", show_default=False)] = None,
    strategy: Annotated[
        str | None, typer.Option(help="bayesian, random or grid. (default: bayesian)", show_default=False)
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB_FILE", help="A job in YAML or JSON; what it says comes first.", show_default=False)
    ] = None,
    go_on: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="Go on with an earlier job of this training, with --trials more.", show_default=False),
    ] = None,
    direction: Direction = None,
    learning_rate: LearningRate = None,
    steps: Steps = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Worker processes. (default: STRIDE_WORKERS, or 2)", show_default=False)
    ] = None,
    keep_running: Annotated[bool, typer.Option("--keep-running", help="Keep API and workers running after the answer.")] = False,
    port: Port = None,
    data: Data = None,
) -> None:
    """Find the best learning rate of a training script or command: start what is needed, tune, and print the answer."""
    from service.commands import run as running
    from service.commands import run_job
    from service.commands.configuration import read_settings

    asked = running.asked_for(direction, learning_rate, steps, metric)
    if (file is None) == (command is None):
        raise BadUsage("Name what trains: a FILE, or a command with --command.")
    document = run_job.read_job(job)
    if file is not None:
        script, named = running.described(file, asked, document.get("search_space")), [file]
        space = running.ranges(param or [])
    else:
        script, space = running.of_command(str(command), param or [], asked), {}
        named = ["--command", str(command), *(part for each in param or [] for part in ("--param", each))]
    options = {"--metric": metric, "--direction": direction, "--learning-rate": learning_rate, "--steps": steps}
    named += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    if job is not None and document.get("search_space") is not None:
        named += ["--job", job]  # without it an Optuna objective is another version
    wanted = run_job.Wanted(
        job_file=job,
        document=document,
        strategy=strategy,
        trials=trials,
        goes_on_with=go_on,
        search_space=space,
        metric=metric,
        keeps_running=keep_running,
    )
    running.run_script(read_settings(port=port, data_dir=data, workers=workers), script, shlex.join(named), wanted)


@app.command(rich_help_panel=SCRIPTS)
def check(
    file: Annotated[str, FILE],
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="As of run.", show_default=False)] = None,
    direction: Direction = None,
    learning_rate: LearningRate = None,
    steps: Steps = None,
) -> None:
    """Train a few steps of a script, and say what works: seeds, resume, best model, diagnosis, audit, divergence, pruning."""
    from service.commands.check import check_script
    from service.commands.configuration import read_settings
    from service.commands.run import asked_for

    check_script(file, asked_for(direction, learning_rate, steps, metric), read_settings())
