"""The commands for jobs: each sends one or two requests to the API and prints the response."""

import sys
from typing import Any

import typer

from service.analysis.words.numbers import counted
from service.commands import tables
from service.commands.api_client import ApiClient
from service.commands.documents import read_document
from service.commands.options import BadUsage
from service.commands.output import print_document
from service.commands.watch import watch as watch_job
from service.errors import StrideError

COMPLETED = "completed"


class JobNotCompleted(StrideError):
    """The watched job failed or was cancelled."""


def submit(url: str | None, file: str, *, dry_run: bool, watch: bool, as_json: bool) -> None:
    """Submit the job in `file`."""
    document = read_document(file)
    with ApiClient(url) as client:
        if dry_run:
            plan = client.post("/v1/jobs", document, dry_run=True)
            _warn(plan)
            print_document(plan, tables.plan_table, as_json)
            return
        job = client.post("/v1/jobs", document)
        _warn(job)
        if watch:
            _say(f"Job {job['id']} is {job['state']}.")
            _watch(client, job["id"], as_json)
        elif as_json:
            _print_job(client, job, as_json)
        else:
            print(f"Job {job['id']} is {job['state']}.")
            if job["waiting_for"]:
                _say(f"It is waiting for {job['waiting_for']}.")


def list_jobs(url: str | None, *, limit: int, state: str | None, as_json: bool) -> None:
    """List the newest jobs."""
    with ApiClient(url) as client:
        print_document(client.get("/v1/jobs", limit=limit, state=state), lambda page: tables.jobs_table(page["items"]), as_json)


def show(url: str | None, job: str, *, watch: bool, as_json: bool) -> None:
    """Show one job."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        if watch:
            _watch(client, job_id, as_json)
        else:
            _print_job(client, client.get(f"/v1/jobs/{job_id}"), as_json)


def move(url: str | None, job: str, verb: str, *, as_json: bool) -> None:
    """Cancel, pause or resume."""
    with ApiClient(url) as client:
        moved = client.post(f"/v1/jobs/{client.job_id(job)}/{verb}")
        print_document(moved, lambda job: f"Job {job['id']} is {job['state']}.", as_json)


def extend(url: str | None, job: str, *, trials: int | None, seconds: float | None, as_json: bool) -> None:
    """Extend a job by trials or seconds."""
    extension = {"trials": trials} if seconds is None else {"seconds": seconds}
    with ApiClient(url) as client:
        extended = client.post(f"/v1/jobs/{client.job_id(job)}/extend", extension)
        _print_job(client, extended, as_json)


def delete(url: str | None, job: str, *, yes: bool, as_json: bool) -> None:
    """Delete a job, if `yes` or if whoever sits at the terminal confirms it. Raises BadUsage where there is nobody to ask."""
    with ApiClient(url) as client:
        found = client.get(f"/v1/jobs/{client.job_id(job)}")
        if not yes:
            if not sys.stdin.isatty():
                raise BadUsage("Nothing was deleted: outside a terminal, where nobody can be asked, give --yes.")
            name = tables.plain(f" {found['name']!r}" if found["name"] else "").plain
            trials = counted(found["progress"]["trials"]["total"], "trial", "trials")
            question = f"Delete job {found['id']}{name}, which is {found['state']}, with all that is stored of its {trials}?"
            typer.confirm(question, abort=True, err=True)
        client.delete(f"/v1/jobs/{found['id']}")
        print_document({"id": found["id"], "deleted": True}, lambda done: f"Job {done['id']} was deleted.", as_json)


def objectives(url: str | None, *, as_json: bool) -> None:
    """List the objectives."""
    with ApiClient(url) as client:
        print_document(client.get("/v1/objectives"), lambda page: tables.objectives_table(page["items"]), as_json)


def _watch(client: ApiClient, job_id: str, as_json: bool) -> None:
    """Raises JobNotCompleted."""
    try:
        job = watch_job(client, job_id, tables.console(stderr=True))
    except KeyboardInterrupt:
        _say(f"The job keeps running. Watch it again with: stride show {job_id[:8]} --watch")
        raise
    _print_job(client, job, as_json)
    if job["best"] and not as_json:
        _say(f"Its best learning rate, and how sure it is: stride best-lr {job_id[:8]}")
    check_completed(job)


def check_completed(job: Any) -> None:
    """Raises JobNotCompleted for a final job that failed or was cancelled."""
    if job["state"] != COMPLETED:
        raise JobNotCompleted(
            f"Job {job['id']} {'was' if job['state'] == 'cancelled' else 'has'} {job['state']}: {job['reason']}."
        )


def _print_job(client: ApiClient, job: Any, as_json: bool) -> None:
    print_document(job, lambda job: tables.job_details(job, client.page_url(job["id"])), as_json)


def _warn(document: Any) -> None:
    """Print the warnings in `document`, a job or a dry run, to stderr."""
    for warning in document["warnings"]:
        _say(f"Warning: {warning['pointer']}: {warning['detail']}.")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
