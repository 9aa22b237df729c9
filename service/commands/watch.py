"""Shows the progress of a job: a live line in a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from service.analysis.words.numbers import number
from service.commands.api_client import ApiClient, ServiceFailed, Unreachable
from service.commands.tables import Document, finished, learning_rate, plain, trials_done

Polled = TypeVar("Polled")

FINAL = frozenset({"completed", "failed", "cancelled"})
POLL_S = 0.5
UNREACHABLE_FOR_S = 30.0
"""How long the service may be unreachable before watching ends with an error."""
PRINT_EVERY_S = 10.0


def watch(client: ApiClient, job_id: str, console: Console) -> Document:
    """Show the job's progress on `console` until it ends; returns it then. Raises Unreachable or ServiceFailed when the service
    does not serve it for too long."""
    polls = _polls(client, job_id)
    return _live(polls, console) if console.is_terminal else _sparse(polls, console)


def poll(ask: Callable[[], Polled]) -> Iterator[Polled]:
    """What `ask` returns, again and again. Raises Unreachable or ServiceFailed when the service does not serve for too long."""
    answered = time.monotonic()
    while True:
        try:
            answer = ask()
        except (Unreachable, ServiceFailed):
            if time.monotonic() - answered > UNREACHABLE_FOR_S:
                raise
        else:
            answered = time.monotonic()
            yield answer
        time.sleep(POLL_S)


def _polls(client: ApiClient, job_id: str) -> Iterator[tuple[Document, str]]:
    """The job, polled until it ends, each time with its progress in words."""
    began = time.monotonic()
    done_at_first: int | None = None
    for job in poll(lambda: client.get(f"/v1/jobs/{job_id}")):
        done_at_first = finished(job) if done_at_first is None else done_at_first
        yield job, describe(job, seconds_left(job, time.monotonic() - began, finished(job) - done_at_first))
        if job["state"] in FINAL:
            return


def describe(job: Document, left_s: float | None) -> str:
    """The progress in words: running 12/64, 2 running, best trial 0.0412 at learning rate 0.0213, about 0:01:40 left"""
    parts = [f"{job['state']} {trials_done(job)}"]
    if job["phase"] == "confirm" and job["state"] not in FINAL:
        parts.append("confirming the best points")
    if job["progress"]["trials"]["running"]:
        parts.append(f"{job['progress']['trials']['running']} running")
    if job["best"]:
        rate = learning_rate(job)
        at = "" if rate is None else f" at learning rate {number(rate)}"
        parts.append(f"best trial {number(job['best']['value'])}{at}")
    if job["waiting_for"]:
        parts.append(f"waiting for {job['waiting_for']}")
    elif left_s is not None and job["state"] == "running":
        parts.append(f"about {timedelta(seconds=round(left_s))} left")
    return ", ".join(parts)


def seconds_left(job: Document, watched_s: float, done: int) -> float | None:
    """Seconds left, extrapolated from `done` trials in `watched_s`; None where none are planned or none have ended yet."""
    planned = job["progress"]["trials"]["planned"]
    if planned is None or done <= 0:
        return None
    return watched_s * float(planned - finished(job)) / done


def _live(polls: Iterator[tuple[Document, str]], console: Console) -> Document:
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        line = progress.add_task("")
        for job, progress_text in polls:
            planned = job["progress"]["trials"]["planned"]
            progress.update(line, description=plain(progress_text).plain, completed=finished(job), total=planned)
    return job


def _sparse(polls: Iterator[tuple[Document, str]], console: Console) -> Document:
    printed_at, printed_state = 0.0, ""
    for job, progress_text in polls:
        if job["state"] != printed_state or time.monotonic() - printed_at > PRINT_EVERY_S:
            console.print(plain(progress_text), soft_wrap=True)
            printed_at, printed_state = time.monotonic(), job["state"]
    return job
