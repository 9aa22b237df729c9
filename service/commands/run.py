"""`stride run`: from a training script to a learning rate, in one command."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx2

from objectives.contract import Direction
from objectives.own_modules import CatalogProblem
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective, to_document
from objectives.scripts.ranges import as_float, with_ranges, written
from service.commands import answers, tables
from service.commands.api_client import ApiClient, ServiceFailed, Unreachable
from service.commands.documents import read_document
from service.commands.jobs import check_completed
from service.commands.options import BadUsage
from service.commands.own_objectives import check_scripts, described_command
from service.commands.watch import FINAL, watch
from service.errors import ConfigurationError, StrideError
from service.settings import Settings

if TYPE_CHECKING:
    from service.commands.local_service import LocalService

OFFERED_WITHIN_S = 150.0
"""How long a worker may take until it offers the script: it loads it first."""
CHECK_EVERY_S = 0.2
FURTHER = 16
"""Trials that the command at the end adds."""


class NotOffered(StrideError):
    """No worker has offered the script."""


def asked_for(direction: str | None, learning_rate: str | None, steps: int | None) -> Asked:
    """What the options say of the script. Raises BadUsage."""
    if direction not in (None, "minimize", "maximize"):
        raise BadUsage(f"--direction is {direction!r}: it must be minimize or maximize.")
    return Asked(direction=cast(Direction | None, direction), learning_rate=learning_rate, steps=steps)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the options of `stride run` ask for."""

    job_file: str | None
    strategy: str | None
    trials: int | None
    goes_on_with: str | None
    """An earlier job, which gets `trials` more."""
    search_space: Mapping[str, Any]
    """Ranges and values of a file's parameters, in place of those that it declares."""
    metric: str | None
    """None: the objective's first."""
    keeps_running: bool


def run_script(settings: Settings, script: ScriptObjective, what: str, wanted: Wanted) -> None:
    """Find the best learning rate of a training. what: the arguments of `stride run` that name it.

    Raises BadUsage before anything is started, and JobNotCompleted.
    """
    # Imported late: what is wrong with the file or the options is said before.
    from service.commands.local_service import running, running_workers

    check_scripts([script], settings.objective_modules)
    document = None if wanted.goes_on_with else _job(script, wanted)
    _say(_summary(script, wanted))
    worker = ["worker", "--script", json.dumps(to_document(script))]
    # Where an API answers already, only workers are missing.
    begun = running_workers(settings, worker) if _answers(settings.url) else running(settings, worker)
    with begun as service, ApiClient(service.url) as client:
        _wait_until_offered(client, script, service)
        with _supervised(service):
            job = client.post("/v1/jobs", document) if document else _earlier(client, script, wanted)
            _say(f"Job {job['id'][:8]} at {service.url}/dashboard, with {settings.workers} workers.")
            try:
                job = watch(client, job["id"], tables.console(stderr=True))
            except (KeyboardInterrupt, Unreachable, ServiceFailed):  # such as of the `stride run` that has started the service
                _say(f"The job is kept. To go on with it: stride run {what} --go-on {job['id'][:8]}")
                raise
            _answer(client, job, what)
            if wanted.keeps_running:
                _say("Stride keeps running until Ctrl-C.")
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()


def described(file: str, asked: Asked) -> ScriptObjective:
    """The one objective of the file. Raises ConfigurationError and BadUsage."""
    try:
        found = describe_files([file], asked)
    except CatalogProblem as problem:
        raise ConfigurationError(f"{problem}.") from None
    if len(found) > 1:
        raise BadUsage(f"{file} holds {', '.join(found)}: name one of them, as {file}:{next(iter(found))}.")
    return next(iter(found.values()))


def ranges(params: Sequence[str]) -> dict[str, Any]:
    """What the options --param say, by the names of the parameters. Raises BadUsage."""
    try:
        return written(params)
    except CatalogProblem as problem:
        raise BadUsage(f"{problem}.") from None


def of_command(line: str, params: Sequence[str], metric: str, asked: Asked) -> ScriptObjective:
    """The objective of a command, started in the working directory. Raises BadUsage."""
    try:
        return described_command(line, params, metric, asked)
    except CatalogProblem as problem:
        raise BadUsage(f"{problem}.") from None


def _job(script: ScriptObjective, wanted: Wanted) -> dict[str, Any]:
    """The job to submit: what its file says, and the options where it says nothing. Raises BadUsage."""
    document = {} if wanted.job_file is None else read_document(wanted.job_file)
    if not isinstance(document, dict):
        raise BadUsage(f"{wanted.job_file} holds no job: a mapping such as {{search_space: ..., budget: ...}} was expected.")
    name = script.objective.name
    given: dict[str, Any] = {"objective": {"name": name}}
    if wanted.search_space:
        given["search_space"] = _space(script, wanted.search_space)
    if wanted.metric is not None:
        given["metric"] = wanted.metric
    if isinstance(asked := document.get("objective"), dict):
        if asked.get("name", name) != name:
            raise BadUsage(f"{wanted.job_file} is a job of {asked['name']}, not of {name}: leave the objective's name out of it.")
        document = document | {"objective": given["objective"] | asked}
    if wanted.strategy is not None:
        given["strategy"] = wanted.strategy
    if wanted.trials is not None:
        given["budget"] = {"trials": wanted.trials}
    return given | document


def _space(script: ScriptObjective, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The objective's default space with other ranges and values for some of its parameters. Raises BadUsage."""
    known = {parameter.name: parameter for parameter in script.objective.parameters}
    for name in asked:
        if name not in known:
            raise BadUsage(f"--param {name}: {script.objective.name} has no such parameter; it has {', '.join(known)}.")
    given = {name: as_float(dimension) if known[name].type == "float" else dimension for name, dimension in asked.items()}
    try:
        ranged = with_ranges(script.objective.parameters, given, script.objective.name)
    except CatalogProblem as problem:
        raise BadUsage(f"--param: {problem}.") from None
    return {parameter.name: parameter.space for parameter in ranged if parameter.space is not None} | given


def _summary(script: ScriptObjective, wanted: Wanted) -> str:
    """What is trained, as one line."""
    objective, (first, *_) = script.objective, script.objective.metrics
    metric = next((each for each in objective.metrics if each.name == wanted.metric), first)
    searched = [f"{name} {_range(space)}" for name, space in _space(script, wanted.search_space).items()]
    rate = script.function.learning_rate
    return (
        f"{objective.name}: {metric.direction} {metric.name}; learning rate: {rate}; searched: {', '.join(searched) or 'nothing'}"
    )


def _range(space: Any) -> str:
    if not isinstance(space, Mapping):
        return str(space)
    if space["type"] == "categorical":
        return " | ".join(map(str, space["choices"]))
    return f"{space['low']:g} to {space['high']:g}" + (" (log)" if space.get("log") else "")


@contextmanager
def _supervised(service: "LocalService") -> Iterator[None]:
    """Restart what ends while the block runs."""
    ended = threading.Event()

    def supervise() -> None:
        while not ended.wait(CHECK_EVERY_S):
            service.restart_what_ended()

    thread = threading.Thread(target=supervise, name="supervisor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _answers(url: str) -> bool:
    """Whether a Stride answers there."""
    try:
        return bool(httpx2.get(f"{url}/healthz", timeout=2.0, trust_env=False).json() == {"status": "alive"})
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return False


def _wait_until_offered(client: ApiClient, script: ScriptObjective, service: "LocalService") -> None:
    """Raises NotOffered. Exits with a worker's code when one ends at its start: it has printed why."""
    name, deadline = script.objective.name, time.monotonic() + OFFERED_WITHIN_S
    wanted = {"name": name, "offered": True, "sha256": script.version_sha256.hex()}  # other workers may offer another version
    while not any(wanted.items() <= each.items() for each in client.get("/v1/objectives")["items"]):
        service.exit_if_ended()
        if time.monotonic() > deadline:
            raise NotOffered(
                f"No worker has offered {name} at {client.url} within {OFFERED_WITHIN_S:g} s. If that Stride uses another"
                " database, set STRIDE_DATABASE_URL to it."
            )
        time.sleep(CHECK_EVERY_S)


def _earlier(client: ApiClient, script: ScriptObjective, wanted: Wanted) -> Any:
    """An earlier job, with so many trials more. Raises BadUsage where it is not of this script as it is now."""
    trials, name = wanted.trials, script.objective.name
    found = client.get(f"/v1/jobs/{client.job_id(str(wanted.goes_on_with))}")
    earlier = found["spec"]["objective"]["name"]
    if earlier != name:
        raise BadUsage(f"Job {found['id'][:8]} trains {earlier}, not {name}: go on with it where that is named.")
    if found["objective_sha256"] not in (None, script.version_sha256.hex()):
        raise BadUsage(
            f"Job {found['id'][:8]} was begun with another version of {name}, or other options: its trials could not be compared"
            " with new ones. Restore that version, or run it without --go-on as a new job."
        )
    if trials is None and found["state"] not in FINAL:
        return client.post(f"/v1/jobs/{found['id']}/resume") if found["state"] == "paused" else found
    return client.post(f"/v1/jobs/{found['id']}/extend", {"trials": trials or FURTHER})


def _answer(client: ApiClient, job: Any, what: str) -> None:
    """Print the job's answer and the command to go on. Raises JobNotCompleted."""
    if job["best"]:
        answers.best_lr(client.url, job["id"], as_json=False)
        _say(f"More trials: stride run {what} --go-on {job['id'][:8]} --trials {FURTHER}")
    check_completed(job)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
