"""The job of `stride run`: what its file and the options say, or an earlier job that is gone on with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from objectives.own_modules import CatalogProblem
from objectives.scripts.entry import ScriptObjective
from objectives.scripts.ranges import as_float, with_ranges
from service.commands.api_client import ApiClient
from service.commands.documents import read_document
from service.commands.options import BadUsage
from service.domain.job import FINAL
from service.domain.space import parse_space

FURTHER = 16
"""Trials that the command at the end adds."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the options of `stride run` ask for."""

    job_file: str | None
    document: Mapping[str, Any]
    """What the job file holds; {} without one."""
    strategy: str | None
    trials: int | None
    goes_on_with: str | None
    """An earlier job, which gets `trials` more."""
    search_space: Mapping[str, Any]
    """Ranges and values of a file's parameters, in place of those that it declares."""
    metric: str | None
    """None: the objective's first."""
    keeps_running: bool


def read_job(file: str | None) -> dict[str, Any]:
    """What a job file holds; {} without one. Raises ConfigurationError, and BadUsage where its search space is none."""
    document = {} if file is None else read_document(file)
    if document.get("search_space") is not None:
        try:
            parse_space(document["search_space"])
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = "/".join(map(str, ("search_space", *fault["loc"])))
            raise BadUsage(f"{file}: {place}: {fault['msg'].removeprefix('Value error, ')}.") from None
    return document


def job_of(script: ScriptObjective, wanted: Wanted, space: Mapping[str, Any]) -> dict[str, Any]:
    """The job to submit: what its file says, and the options where it says nothing. space: of `space_of`. Raises BadUsage."""
    document, name = wanted.document, script.objective.name
    given: dict[str, Any] = {"objective": {"name": name}}
    if wanted.search_space:
        given["search_space"] = space
    if wanted.metric is not None:
        given["metric"] = wanted.metric
    if isinstance(asked := document.get("objective"), dict):
        if asked.get("name", name) != name:
            raise BadUsage(f"{wanted.job_file} is a job of {asked['name']}, not of {name}: leave the objective's name out of it.")
        document = {**document, "objective": given["objective"] | asked}
    if wanted.strategy is not None:
        given["strategy"] = wanted.strategy
    if wanted.trials is not None:
        given["budget"] = {"trials": wanted.trials}
    return {**given, **document}


def space_of(script: ScriptObjective, wanted: Wanted) -> dict[str, Any]:
    """What is searched: what the job file states, else the objective's default space with the options' ranges and values.

    Raises BadUsage.
    """
    if (stated := wanted.document.get("search_space")) is not None:
        return dict(stated)
    known = {parameter.name: parameter for parameter in script.objective.parameters}
    asked = wanted.search_space
    for name in asked:
        if name not in known:
            raise BadUsage(f"--param {name}: {script.objective.name} has no such parameter; it has {', '.join(known)}.")
    given = {name: as_float(dimension) if known[name].type == "float" else dimension for name, dimension in asked.items()}
    try:
        ranged = with_ranges(script.objective.parameters, given, script.objective.name)
    except CatalogProblem as problem:
        raise BadUsage(f"--param: {problem}.") from None
    return {parameter.name: parameter.space for parameter in ranged if parameter.space is not None} | given


def summary(script: ScriptObjective, wanted: Wanted, space: Mapping[str, Any]) -> str:
    """What is trained, as one line. space: of `space_of`."""
    objective, (first, *_) = script.objective, script.objective.metrics
    metric = next((each for each in objective.metrics if each.name == wanted.document.get("metric", wanted.metric)), first)
    searched = [f"{name} {_range(dimension)}" for name, dimension in space.items()]
    rate = script.function.learning_rate
    return (
        f"{objective.name}: {metric.direction} {metric.name}; learning rate: {rate}; searched: {', '.join(searched) or 'nothing'}"
    )


def begun(client: ApiClient, script: ScriptObjective, wanted: Wanted, document: Any, key: str) -> Any:
    """The job to watch: of this document, or if that is None an earlier one, with so many trials more.

    key: the same again after a lost reply. Raises BadUsage where the earlier one is not of this script as it is now.
    """
    if document is not None:
        return client.post("/v1/jobs", document, key=key)
    trials, name = wanted.trials, script.objective.name
    found = client.get(f"/v1/jobs/{client.job_id(str(wanted.goes_on_with))}")
    trained = found["spec"]["objective"]["name"]
    if trained != name:
        raise BadUsage(f"Job {found['id'][:8]} trains {trained}, not {name}: go on with it where that is named.")
    if found["objective_sha256"] not in (None, script.version_sha256.hex()):
        raise BadUsage(
            f"Job {found['id'][:8]} was begun with another version of {name}, or other options: its trials could not be compared"
            " with new ones. Restore that version, or run it without --go-on as a new job."
        )
    if trials is None and found["state"] not in FINAL:
        return client.post(f"/v1/jobs/{found['id']}/resume") if found["state"] == "paused" else found
    return client.post(f"/v1/jobs/{found['id']}/extend", {"trials": trials or FURTHER}, key=key)


def others(client: ApiClient, script: ScriptObjective, job: Any) -> list[Any]:
    """The newest other jobs of the script as it is now that are not finished."""
    found = [each for state in ("queued", "running") for each in client.get("/v1/jobs", state=state)["items"]]
    version = script.version_sha256.hex()
    return [each for each in found if each["objective_sha256"] == version and each["id"] != job["id"]]


def _range(space: Any) -> str:
    if not isinstance(space, Mapping):
        return str(space)
    if space["type"] == "categorical":
        return " | ".join(map(str, space["choices"]))
    return f"{space['low']:g} to {space['high']:g}" + (" (log)" if space.get("log") else "")
