"""Looking on while a job goes: a live line in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from service.analysis.words.numbers import number
from service.commands.api_client import ApiClient, ServiceFailed, Unreachable
from service.commands.tables import Document, finished, learning_rate, plain, trials_done

FINAL = frozenset({"completed", "failed", "cancelled"})
LOOK_S = 0.5
SILENT_FOR_S = 30.0
"""How long a service that has answered before may be away."""
SAY_EVERY_S = 10.0


def watch(client: ApiClient, job_id: str, console: Console) -> Document:
    """Show on `console` how the job goes; returns it when it is done. Raises Unreachable when the service stays away."""
    looks = _looks(client, job_id)
    return _live(looks, console) if console.is_terminal else _sparse(looks, console)


def _looks(client: ApiClient, job_id: str) -> Iterator[tuple[Document, str]]:
    """The job again and again until it is done, each time with what there is to say."""
    began = answered = time.monotonic()
    done_at_first: int | None = None
    while True:
        try:
            job: Any = client.get(f"/v1/jobs/{job_id}")
        except (Unreachable, ServiceFailed):
            if time.monotonic() - answered > SILENT_FOR_S:
                raise
        else:
            answered = time.monotonic()
            done_at_first = finished(job) if done_at_first is None else done_at_first
            yield job, describe(job, seconds_left(job, answered - began, finished(job) - done_at_first))
            if job["state"] in FINAL:
                return
        time.sleep(LOOK_S)


def describe(job: Document, left_s: float | None) -> str:
    """completed 12/64, 2 running, best trial 0.0412 at learning rate 0.0213, about 0:01:40 left"""
    said = [f"{job['state']} {trials_done(job)}"]
    if job["progress"]["trials"]["running"]:
        said.append(f"{job['progress']['trials']['running']} running")
    if job["best"]:
        rate = learning_rate(job)
        at = "" if rate is None else f" at learning rate {number(rate)}"
        said.append(f"best trial {number(job['best']['value'])}{at}")
    if job["waiting_for"]:
        said.append(f"waiting for {job['waiting_for']}")
    elif left_s is not None and job["state"] == "running":
        said.append(f"about {timedelta(seconds=round(left_s))} left")
    return ", ".join(said)


def seconds_left(job: Document, watched_s: float, done: int) -> float | None:
    """By the pace seen so far, `done` trials in `watched_s` seconds; None where nothing can be told."""
    planned = job["progress"]["trials"]["planned"]
    if planned is None or done <= 0:
        return None
    return watched_s * float(planned - finished(job)) / done


def _live(looks: Iterator[tuple[Document, str]], console: Console) -> Document:
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        line = progress.add_task("")
        for job, said in looks:
            planned = job["progress"]["trials"]["planned"]
            progress.update(line, description=plain(said).plain, completed=finished(job), total=planned)
    return job


def _sparse(looks: Iterator[tuple[Document, str]], console: Console) -> Document:
    said_at, said_state = 0.0, ""
    for job, said in looks:
        if job["state"] != said_state or time.monotonic() - said_at > SAY_EVERY_S:
            console.print(plain(said), soft_wrap=True)
            said_at, said_state = time.monotonic(), job["state"]
    return job
