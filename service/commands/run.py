"""`stride run`: from a training script to a learning rate, in one command."""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from objectives.contract import Direction
from objectives.own_modules import CatalogProblem
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import METRIC, Asked, ScriptObjective, to_document
from objectives.scripts.ranges import written
from service.commands import answers, direction, run_job, tables
from service.commands.api_client import ApiClient, ServiceFailed, Unreachable
from service.commands.jobs import check_completed
from service.commands.options import BadUsage
from service.commands.own_objectives import check_to_run, described_command
from service.commands.run_job import Wanted
from service.commands.watch import poll, watch
from service.errors import ConfigurationError, StrideError
from service.settings import Settings

if TYPE_CHECKING:
    from service.commands.local_service import LocalService

OFFERED_WITHIN_S = 150.0
"""How long a worker may take until it offers the script: it loads it first."""


class NotOffered(StrideError):
    """No worker has offered the script."""


def asked_for(to: str | None, learning_rate: str | None, steps: int | None, metric: str | None) -> Asked:
    """What the options say of the script. Raises BadUsage."""
    if to not in (None, "minimize", "maximize"):
        raise BadUsage(f"--direction is {to!r}: it must be minimize or maximize.")
    return Asked(direction=cast(Direction | None, to), learning_rate=learning_rate, steps=steps, metric=metric)


def run_script(settings: Settings, script: ScriptObjective, what: str, wanted: Wanted) -> None:
    """Find the best learning rate of a training. what: the arguments of `stride run` that name it.

    Raises BadUsage before anything is started, and JobNotCompleted.
    """
    # Imported late: what is wrong with the file or the options is said before.
    from service.commands.joining import running_or_joined, supervised
    from service.commands.local_service import WorkerCommand
    from service.worker.assignment import ANY, Assignment

    check_to_run(script, settings)
    space = run_job.space_of(script, wanted)
    document = None if wanted.goes_on_with else run_job.job_of(script, wanted, space)
    _say(run_job.summary(script, wanted, space))
    with tempfile.TemporaryFile() as file:
        described, descriptor = json.dumps(to_document(script)), file.fileno()
        arguments = ["worker", "--script", described, "--job-fd", str(descriptor)]
        worker = WorkerCommand(arguments=arguments, descriptors=[descriptor])
        with running_or_joined(settings, worker) as service, ApiClient(service.url) as client:
            _wait_until_offered(client, script, service)
            with supervised(service):
                key = str(uuid4())
                job = next(poll(lambda: run_job.begun(client, script, wanted, document, key)))
                Assignment(descriptor).write(job["id"])
                _say(f"Job {job['id'][:8]} at {client.page_url(job['id'])}, with {settings.workers} workers.")
                for other in next(poll(lambda: run_job.others(client, script, job))):
                    _say(f"Job {other['id'][:8]} of it is left at {tables.trials_done(other)} trials. {_go_on(what, other)}")
                try:
                    job = watch(client, job["id"], tables.console(stderr=True))
                except (KeyboardInterrupt, Unreachable, ServiceFailed):
                    _say(f"The job is kept. {_go_on(what, job)}")
                    raise
                _answer(client, job, what)
                if script.function.kind != "model":
                    next(poll(lambda: _doubt_direction(client, job, script)))
                if wanted.keeps_running:
                    Assignment(descriptor).write(ANY)
                    _say("Stride keeps running until Ctrl-C.")
                    with suppress(KeyboardInterrupt):
                        threading.Event().wait()


def described(file: str, asked: Asked, space: Mapping[str, Any] | None = None) -> ScriptObjective:
    """The one objective of the file. space: of an Optuna objective, as a job file states it; None: the objective is asked for it.

    Raises ConfigurationError and BadUsage.
    """
    try:
        found = describe_files([file], asked, space=space)
    except CatalogProblem as problem:
        raise ConfigurationError(f"{problem}.") from None
    if len(found) > 1:
        raise BadUsage(f"{file} holds {', '.join(found)}: name one of them, as {file}:{next(iter(found))}.")
    [script] = found.values()
    if script.note is not None:
        _say(script.note)
    return script


def ranges(params: Sequence[str]) -> dict[str, Any]:
    """What the options --param say, by the names of the parameters. Raises BadUsage."""
    try:
        return written(params)
    except CatalogProblem as problem:
        raise BadUsage(f"{problem}.") from None


def of_command(line: str, params: Sequence[str], asked: Asked) -> ScriptObjective:
    """The objective of a command, started in the working directory. Raises BadUsage."""
    try:
        return described_command(line, params, asked.metric or METRIC, asked)
    except CatalogProblem as problem:
        raise BadUsage(f"{problem}.") from None


def _wait_until_offered(client: ApiClient, script: ScriptObjective, service: "LocalService") -> None:
    """Raises NotOffered. Exits with a worker's code when one ends at its start: it has printed why."""
    name, deadline = script.objective.name, time.monotonic() + OFFERED_WITHIN_S
    wanted = {"name": name, "offered": True, "sha256": script.version_sha256.hex()}  # other workers may offer another version

    def problem() -> str | None:
        """Why the script is not offered yet; None: it is."""
        service.restart_services()
        service.exit_if_ended()
        if any(wanted.items() <= each.items() for each in client.get("/v1/objectives")["items"]):
            return None
        workers = client.get("/v1/workers", limit=100)["items"]
        return next((each["set_aside"][name] for each in workers if each["name"] in names and name in each["set_aside"]), "")

    names = service.worker_names
    for why in poll(problem):
        if why is None:
            return
        if why:
            raise NotOffered(
                f"{name} cannot be offered: {why}, or take another data folder (--data) and another port (--port 0)."
            )
        if time.monotonic() > deadline:
            raise NotOffered(
                f"No worker has offered {name} at {client.url} within {OFFERED_WITHIN_S:g} s. If that Stride uses another"
                " database, set STRIDE_DATABASE_URL to it."
            )


def _answer(client: ApiClient, job: Any, what: str) -> None:
    """Print the job's answer and the command to go on. Raises JobNotCompleted."""
    if job["best"]:
        next(poll(lambda: answers.best_lr(client.url, job["id"], as_json=False)))
        _say(f"More trials: stride run {what} --go-on {job['id'][:8]} --trials {run_job.FURTHER}")
    check_completed(job)


def _doubt_direction(client: ApiClient, job: Any, script: ScriptObjective) -> None:
    metric = next(each for each in script.objective.metrics if each.name == job["spec"]["metric"])
    said = direction.doubt(direction.ends_of(client, job["id"], metric.name), metric.name, metric.direction)
    if said is not None:
        _say(said)


def _go_on(what: str, job: Any) -> str:
    return f"To go on with it: stride run {what} --go-on {job['id'][:8]}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
