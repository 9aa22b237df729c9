"""events for people: a line for each, with its time, its type, and what its payload says."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from service.analysis.words.numbers import number
from service.commands.api_client import ApiClient
from service.commands.tables import Document, console, moment, plain
from service.commands.watch import poll
from service.domain.job import FINAL

SENTENCES = ("reason", "error")
"""The fields of payloads that are texts for people: they stand last, without a name."""
TYPE_WIDTH = 22
"""Characters: the longest type."""


def events(url: str | None, job: str, *, follow: bool, as_json: bool) -> None:
    """Print a job's events, oldest first; with `follow` until the job has ended."""
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        if follow:
            _follow(client, job_id, as_json)
        elif as_json:
            print(json.dumps(client.whole(f"/v1/jobs/{job_id}/events"), indent=2))
        else:
            _print(client.items(f"/v1/jobs/{job_id}/events"))


def line(event: Document) -> Text:
    """2026-11-22 10:00:00 UTC  trial.failed  trial=3 ValueError: no such file"""
    payload = event["payload"]
    facts = [f"{name}={_value(value)}" for name, value in payload.items() if value is not None and name not in SENTENCES]
    said = " ".join(str(payload[name]).strip() for name in SENTENCES if payload.get(name))
    # An event is one line: what a text of several lines says is in the JSON.
    return plain(f"{moment(event['at'])}  {event['type']:<{TYPE_WIDTH}}  {' '.join([*facts, said])}".rstrip().replace("\n", " "))


def _follow(client: ApiClient, job_id: str, as_json: bool) -> None:
    """Each new event as it is written, as a line of JSON if `as_json`."""
    last = 0

    def ask() -> tuple[str, list[Document]]:
        # The state first: whatever was written before the job ended is then among the events.
        state = client.get(f"/v1/jobs/{job_id}")["state"]
        return state, list(client.items(f"/v1/jobs/{job_id}/events", after=last))

    for state, new in poll(ask):
        if as_json:
            for event in new:
                print(json.dumps(event), flush=True)
        else:
            _print(new)
        last = new[-1]["seq"] if new else last
        if state in FINAL:
            return


def _print(found: Iterable[Document]) -> None:
    output = console()
    for event in found:
        output.print(line(event), soft_wrap=True)


def _value(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    text = number(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text else text
