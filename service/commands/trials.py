"""Trials for people: a table of a job's, one with its attempts and its error, and what its training printed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.numbers import number, values
from service.commands.api_client import ApiClient
from service.commands.output import print_document
from service.commands.tables import Document, console, moment, pairs, plain, rate_name, searched

STATE_STYLES = {"running": "cyan", "complete": "green", "infeasible": "yellow", "pruned": "dim", "failed": "red"}
MOST_OF_AN_ERROR = 200
"""Characters of an error in the table."""


def trials(url: str | None, job: str, *, as_json: bool) -> None:
    """List a job's trials."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        found = client.whole(f"/v1/jobs/{job_id}/trials")

        def render(found: Document) -> RenderableType:
            return trials_table(found["items"], client.get(f"/v1/jobs/{job_id}"))

        print_document(found, render, as_json)


def trial(url: str | None, job: str, number: int, *, as_json: bool) -> None:
    """Show a trial."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        found = client.get(f"/v1/jobs/{job_id}/trials/{number}")
        print_document(found, lambda found: trial_details(found, client.get(f"/v1/jobs/{job_id}")), as_json)


def log(url: str | None, job: str, number: int, *, as_json: bool) -> None:
    """Print what a trial's training printed last."""
    with ApiClient(url) as client:
        found = client.get(f"/v1/jobs/{client.job_id(job)}/trials/{number}/log")
        if as_json:
            print_document(found, str, as_json)
        elif found["log"]:
            console().print(plain(found["log"].rstrip("\n")), soft_wrap=True)


def trials_table(trials: list[Document], job: Document) -> RenderableType:
    """A row per trial: its value, the learning rate, the parameters that the job searches, and what became of it."""
    if not trials:
        return "The job has no trials yet."
    rate = rate_name(job)
    others = sorted(searched(job) - {rate})
    parameters = others if rate is None else [rate, *others]
    table = Table(box=SIMPLE)
    for column in ("trial", "state", job["spec"]["metric"], *parameters, f"{job['step_word']}s done", "note"):
        table.add_column(plain(column), overflow="fold", no_wrap=column in ("trial", "state"))
    for each in trials:
        table.add_row(
            str(each["number"]),
            _state(each),
            number(each["value"]),
            *(plain(number(each["params"].get(name))) for name in parameters),
            number(each.get("last_step")),
            plain(_shortened(_note(each, job))),
        )
    return table


def trial_details(trial: Document, job: Document) -> RenderableType:
    """Everything about one trial but its measurements and its log."""
    shown = searched(job) | {rate_name(job)}
    params, attrs = trial["params"], trial["user_attrs"]
    error, last = trial["error"], trial.get("last_step")  # which older APIs do not send
    return pairs(
        {
            "trial": f"{trial['number']} of job {job['id']}",
            "state": _state(trial),
            "note": None if error else _note(trial, job),
            job["spec"]["metric"]: None if trial["value"] is None else number(trial["value"]),
            "parameters": "\n".join(f"{name}: {number(value)}" for name, value in sorted(params.items()) if name in shown),
            "fixed": values({name: value for name, value in params.items() if name not in shown}),
            "last " + job["step_word"]: None if last is None else str(last),
            "started": trial["started_at"] and moment(trial["started_at"]),
            "finished": trial["finished_at"] and moment(trial["finished_at"]),
            "attempts": "\n".join(map(_attempt, trial["attempts"])),
            "attributes": "\n".join(f"{name}: {_attribute(value)}" for name, value in sorted(attrs.items())),
            "error": error and "\n".join([f"{error['type']}: {error['message']}", *_lines(error["traceback"])]),
        }
    )


def _state(trial: Document) -> Text:
    return Text(trial["state"], style=STATE_STYLES.get(trial["state"], ""))


def _note(trial: Document, job: Document) -> str:
    """Why the trial failed or ended early, or what it is for."""
    attrs, error = trial["user_attrs"], trial["error"]
    said: list[Any] = []
    if error:
        said.append(f"{error['type']}: {error['message']}")
    if trial["state"] == "infeasible":
        said.append(attrs.get("divergence") or f"diverged at {job['step_word']} {number(trial['diverged_at_step'])}")
    if attrs.get("stopped_by"):
        said.append(f"stopped: {attrs['stopped_by']}")
    if attrs.get("phase") == "confirm":
        said.append("trains one of the best points again")
    if trial["state"] == "running" and len(trial["attempts"]) > 1:
        said.append(f"attempt {len(trial['attempts'])}")
    return ", ".join(map(str, said))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_OF_AN_ERROR else line[: MOST_OF_AN_ERROR - 3] + "..."


def _attempt(attempt: Document) -> str:
    parts = [f"{attempt['attempt']}: {attempt['worker']}", moment(attempt["started_at"])]
    if attempt["from_step"] is not None:
        parts.append(f"continued after step {attempt['from_step']}")
    if attempt["outcome"]:
        parts.append(attempt["outcome"].replace("_", " "))
    if attempt["reason"]:
        parts.append(attempt["reason"])
    return ", ".join(parts)


def _attribute(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else number(value)


def _lines(traceback: str | None) -> Iterable[str]:
    return (traceback or "").rstrip("\n").splitlines()
