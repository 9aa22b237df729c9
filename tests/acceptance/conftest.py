"""A real Stride, in processes of its own: `stride up` on a free port, with the quadratic objective."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.acceptance.forked_stride import ForkedStride, run_forked, start_forked
from tests.folders import data_folder

REPOSITORY = Path(__file__).parents[2]
STRIDE = [sys.executable, "-P", "-m", "service.cli"]
"""With -P the working directory is not looked in first, as it is not for the command `stride`."""
DEADLINE_S = 60


def environment(**stride: str) -> dict[str, str]:
    """Ours, with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")}
    settings = {"STRIDE_OBJECTIVE_MODULES": "tests.quadratic", "STRIDE_POLL_S": "0.1"} | stride
    return kept | settings | {"COLUMNS": "160", "PYTHONUNBUFFERED": "1"}


def run(*arguments: str, stdin: str = "", cwd: Path = REPOSITORY, **stride: str) -> subprocess.CompletedProcess[str]:
    """Run `stride ARGUMENT...` to its end, in a process that has its packages, as the processes have that it starts."""
    return run_forked(arguments, environment(**stride), cwd, stdin=stdin, deadline_s=DEADLINE_S)


def run_anew(*arguments: str, stdin: str = "", cwd: Path = REPOSITORY, **stride: str) -> subprocess.CompletedProcess[str]:
    """Run `stride ARGUMENT...` to its end, as a user does: in a new Python."""
    return subprocess.run(
        [*STRIDE, *arguments],
        input=stdin,
        cwd=cwd,
        env=environment(**stride),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def start(*arguments: str, **stride: str) -> ForkedStride:
    """Start `stride ARGUMENT...`, as `run` does."""
    return start_forked(arguments, environment(**stride), REPOSITORY)


def start_anew(
    *arguments: str, stdin: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE, **stride: str
) -> subprocess.Popen[str]:
    """Start `stride ARGUMENT...`, as a user does: in a new Python."""
    return subprocess.Popen(
        [*STRIDE, *arguments],
        cwd=REPOSITORY,
        env=environment(**stride),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *said: str, lines: int = 1) -> None:
    """It ended with this exit code, printed nothing, and said this in so many lines."""
    assert result.returncode == code, result
    assert result.stdout == ""
    assert result.stderr.startswith("stride: ")
    assert len(result.stderr.splitlines()) == lines, result.stderr
    for part in said:
        assert part in result.stderr


@dataclass(frozen=True)
class RunningStride:
    """A `stride up`."""

    process: subprocess.Popen[str] | ForkedStride
    url: str
    folder: Path

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        return run(*arguments, stdin=stdin, STRIDE_URL=self.url)

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """What the API answers, without a command in between."""
        response = httpx2.request(method, self.url + path, json=document, trust_env=False, verify=False, timeout=DEADLINE_S)
        assert response.is_success, response.text
        return response.json()

    def submit(self, **job: Any) -> str:
        """Submit a job of the quadratic objective; returns its id."""
        return str(self.ask("POST", "/v1/jobs", {"objective": {"name": "quadratic"}} | job)["id"])

    def wait_until_done(self, job_id: str) -> Any:
        """The job when it is."""
        deadline = time.monotonic() + DEADLINE_S
        while not (job := self.ask("GET", f"/v1/jobs/{job_id}"))["finished_at"]:
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        return job

    def processes(self) -> dict[str, list[psutil.Process]]:
        """All it has started, by role: postgres, api, worker, trainer; each role's first processes come first."""
        marks = {"api": "cli api", "worker": "cli worker", "trainer": "worker.trainer", "postgres": "postgres"}
        roles: dict[str, list[psutil.Process]] = {role: [] for role in marks}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
                command = " ".join(process.cmdline()[:5])
                if role := next((role for role, mark in marks.items() if mark in command), None):
                    roles[role].append(process)
        return roles

    def everything(self) -> list[psutil.Process]:
        """All its processes, its own too."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@contextmanager
def running_stride(folder: Path, *arguments: str, anew: bool = False, **stride: str) -> Iterator[RunningStride]:
    """A `stride up` that ends with the block. anew: as a user starts it, in a new Python."""
    process = (start_anew if anew else start)("up", "--port", "0", "--data", str(folder), *arguments, **stride)
    try:
        assert process.stdout is not None
        url = next((found[1] for line in process.stdout if (found := re.search(r"API +(http\S+)", line))), None)
        assert url, process.communicate()[1]
        yield RunningStride(process, url, folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


@pytest.fixture(scope="package")
def stride() -> Iterator[RunningStride]:
    """One for all tests that do it no harm, as a user has it; it ends with them, since its workers ask for trials until then."""
    seldom = {"STRIDE_POLL_S": "0.25"}  # they do little else
    with data_folder() as folder, running_stride(folder / "data", "--workers", "2", anew=True, **seldom) as running:
        yield running


@pytest.fixture(scope="package")
def workerless() -> Iterator[RunningStride]:
    """One without workers and without modules of objectives."""
    with data_folder() as folder, running_stride(folder / "data", "--workers", "0", STRIDE_OBJECTIVE_MODULES="") as running:
        yield running


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own."""
    with data_folder() as folder:
        yield folder
