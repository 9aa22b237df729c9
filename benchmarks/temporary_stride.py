"""A whole Stride for the length of a benchmark, and the jobs that it runs through its API."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from examples.demo import WORKERS, ask, looks, running_stride
from service.store.embedded import running_url

TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class TemporaryStride:
    api: httpx2.Client
    url: str
    """Of the API."""
    database_url: str


@contextmanager
def temporary_stride(workers: int = WORKERS, **settings: str) -> Iterator[TemporaryStride]:
    """Run Stride within the block, with a data folder of its own. settings: environment variables."""
    # Through no proxy: it is our own machine.
    with (
        tempfile.TemporaryDirectory(prefix="stride-bench-") as folder,
        running_stride(folder, workers, **settings) as url,
        httpx2.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as api,
    ):
        database_url = running_url(Path(folder))
        assert database_url is not None
        yield TemporaryStride(api=api, url=url, database_url=database_url)


def run_jobs(api: httpx2.Client, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Submit a job for each document, under its name, and wait until all are completed; their ids by name."""
    jobs = {name: str(ask(api, "POST", "/v1/jobs", json={"name": name, **each})["id"]) for name, each in documents.items()}
    *_, ended = looks(api, jobs)
    assert all(job["state"] == "completed" for job in ended.values()), ended
    return jobs
