"""The commands for training scripts, as `stride --help` shows them. What does the work is imported when one runs."""

from typing import Annotated

import typer

from service.commands.options import SCRIPTS, Data, Direction, LearningRate, Port, Script, Steps

app = typer.Typer()


@app.command(rich_help_panel=SCRIPTS)
def run(
    file: Script,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of the job. (default: 32)", show_default=False)] = None,
    strategy: Annotated[
        str | None, typer.Option(help="bayesian, random or grid. (default: bayesian)", show_default=False)
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB_FILE", help="A job in YAML or JSON; what it says comes first.", show_default=False)
    ] = None,
    go_on: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="Go on with an earlier job of this file, with --trials more.", show_default=False),
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
    """Find the best learning rate of a training script: start what is needed, tune, and print the answer."""
    from service.commands.configuration import read_settings
    from service.commands.run import asked_for, run_script

    run_script(
        read_settings(port=port, data_dir=data, workers=workers),
        file,
        asked_for(direction, learning_rate, steps),
        job_file=job,
        strategy=strategy,
        trials=trials,
        goes_on_with=go_on,
        keeps_running=keep_running,
    )


@app.command(rich_help_panel=SCRIPTS)
def check(file: Script, direction: Direction = None, learning_rate: LearningRate = None, steps: Steps = None) -> None:
    """Train a few steps of a training script, and say what works: seeds, resume, best model, diagnosis, divergence, pruning."""
    from service.commands.check import check_script
    from service.commands.configuration import read_settings
    from service.commands.run import asked_for

    check_script(file, asked_for(direction, learning_rate, steps), read_settings().device)
