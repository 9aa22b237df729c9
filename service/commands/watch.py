"""Shows the progress of a job: in place in a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rich.console import Console

from service.commands.api_client import ApiClient, ServiceFailed, Unreachable
from service.commands.progress import Progress, RateSoFar, confirming, left
from service.commands.tables import Document, best_rate, finished, plain, planned, trials_done
from service.domain.job import FINAL

Polled = TypeVar("Polled")

POLL_S = 0.5
UNREACHABLE_FOR_S = 30.0
"""How long the service may be unreachable before watching ends with an error."""
PRINT_EVERY_S = 10.0


def watch(client: ApiClient, job_id: str, console: Console) -> Document:
    """Show the job's progress on `console` until it ends; returns it then. Raises Unreachable or ServiceFailed when the service
    does not serve it for too long."""
    polls = _polls(client, job_id)
    return _in_place(polls, console, client, job_id) if console.is_interactive else _sparse(polls, console)


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


def _polls(client: ApiClient, job_id: str) -> Iterator[tuple[Document, float | None]]:
    """The job, polled until it ends, each time with the seconds left, where that is known."""
    began = time.monotonic()
    done_at_first: int | None = None
    for job in poll(lambda: client.get(f"/v1/jobs/{job_id}")):
        done_at_first = finished(job) if done_at_first is None else done_at_first
        yield job, seconds_left(job, time.monotonic() - began, finished(job) - done_at_first)
        if job["state"] in FINAL:
            return


def describe(job: Document, left_s: float | None) -> str:
    """The progress in words: running 12/64, 2 running, best trial 0.0412 at learning rate 0.0213, about 0:01:40 left"""
    running = job["progress"]["trials"]["running"]
    parts = [
        f"{job['state']} {trials_done(job)}",
        confirming(job),
        f"{running} running" if running else "",
        best_rate(job),
        f"waiting for {job['waiting_for']}" if job["waiting_for"] else left(job, left_s),
    ]
    return ", ".join(part for part in parts if part)


def seconds_left(job: Document, watched_s: float, done: int) -> float | None:
    """Seconds left, extrapolated from `done` trials in `watched_s`; None where none are planned or none have ended yet."""
    trials = planned(job)
    if trials is None or done <= 0:
        return None
    return watched_s * float(trials - finished(job)) / done


def _in_place(polls: Iterator[tuple[Document, float | None]], console: Console, client: ApiClient, job_id: str) -> Document:
    rate = RateSoFar(client.url, job_id)
    with Progress(console, client.page_url(job_id)) as progress:
        for job, left_s in polls:
            rate.look(job)
            progress.show(job, left_s, rate.answer)
    return job


def _sparse(polls: Iterator[tuple[Document, float | None]], console: Console) -> Document:
    printed_at, printed_state = 0.0, ""
    for job, left_s in polls:
        if job["state"] != printed_state or time.monotonic() - printed_at > PRINT_EVERY_S:
            console.print(plain(describe(job, left_s)), soft_wrap=True)
            printed_at, printed_state = time.monotonic(), job["state"]
    return job
