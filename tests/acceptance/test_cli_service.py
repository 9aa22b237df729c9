"""The commands that run one role each, on a database that is there, or is not."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import optuna
import pytest

from tests.acceptance.conftest import DEADLINE_S, RunningStride, assert_fails, run, start
from tests.acceptance.forked_stride import ForkedStride


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def role(*arguments: str, **stride: str) -> Iterator[ForkedStride]:
    """A process that ends in order when it is asked to."""
    process = start(*arguments, **stride)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said


def status(url: str) -> int | None:
    """Of what answers there."""
    try:
        return httpx2.get(url, trust_env=False, verify=False, timeout=DEADLINE_S).status_code
    except httpx2.ConnectError:
        return None


def wait_for_status(url: str, wanted: int, process: ForkedStride) -> None:
    """Until that is what `process` answers."""
    deadline = time.monotonic() + DEADLINE_S
    while status(url) != wanted:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_empty_database_is_migrated_and_serves_an_api_and_a_worker_started_one_by_one(empty_database_url: str) -> None:
    port = free_port()
    settings = {"STRIDE_DATABASE_URL": empty_database_url, "STRIDE_PORT": str(port), "STRIDE_URL": f"http://127.0.0.1:{port}"}
    for _ in range(2):
        migrated = run("migrate", **settings)
        assert (migrated.returncode, migrated.stdout) == (0, "The database has the schema of this version.\n"), migrated.stderr
    with role("api", **settings) as api, role("worker", **settings):
        wait_for_status(f"http://127.0.0.1:{port}/readyz", 200, api)
        result = run("submit", "-", "--watch", "--json", stdin="objective: {name: quadratic}\nbudget: {trials: 5}", **settings)
        assert json.loads(result.stdout)["state"] == "completed", result.stderr


def test_the_migration_finds_the_embedded_database_of_a_running_stride(stride: RunningStride) -> None:
    migrated = run("migrate", "--data", str(stride.folder))
    assert migrated.returncode == 0, migrated.stderr


def test_the_url_is_one_that_stock_optuna_takes(stride: RunningStride) -> None:
    stride.submit(name="seen by optuna", budget={"trials": 1})
    result = run("url", STRIDE_DATA_DIR=str(stride.folder))
    assert result.returncode == 0, result.stderr
    storage = optuna.storages.RDBStorage(result.stdout.strip())
    names = optuna.get_all_study_names(storage)
    storage.remove_session()
    storage.engine.dispose()
    assert any(name.startswith("seen by optuna (") for name in names)


def test_the_url_of_a_database_of_ones_own_needs_no_running_stride() -> None:
    result = run("url", STRIDE_DATABASE_URL="postgresql://me:secret@db:5433/tuning?sslmode=require")
    assert result.stdout == "postgresql+psycopg://me:secret@db:5433/tuning?options=-csearch_path%3Doptuna&sslmode=require\n"


def test_the_data_folder_on_the_command_line_outdoes_the_database_in_the_environment(tmp_path: Path) -> None:
    result = run("url", "--data", str(tmp_path), STRIDE_DATABASE_URL="postgresql://db/tuning")
    assert_fails(result, 1, f"No database runs in {tmp_path}")


@pytest.mark.parametrize("command", ["worker", "url"])
def test_without_a_database_a_role_says_what_to_start(command: str, tmp_path: Path) -> None:
    assert_fails(run(command, "--data", str(tmp_path)), 1, f"No database runs in {tmp_path}", "stride up", "STRIDE_DATABASE_URL")


@pytest.mark.parametrize("command", ["api", "worker"])
def test_on_a_database_that_is_not_migrated_a_role_says_so(command: str, empty_database_url: str) -> None:
    result = run(command, STRIDE_DATABASE_URL=empty_database_url, STRIDE_PORT="0")
    assert_fails(result, 1, "run `stride migrate`")


def test_a_database_of_another_kind_is_refused() -> None:
    assert_fails(run("migrate", STRIDE_DATABASE_URL="sqlite:///jobs.db"), 2, "sqlite", "Stride needs PostgreSQL")


def test_an_unreachable_database_fails_the_migration_and_is_waited_for_by_the_api() -> None:
    port, nowhere = free_port(), "postgresql://127.0.0.1:9/stride"
    assert_fails(run("migrate", STRIDE_DATABASE_URL=nowhere), 1, "The database cannot be used right now", "refused")
    with role("api", "--port", str(port), STRIDE_DATABASE_URL=nowhere) as api:
        wait_for_status(f"http://127.0.0.1:{port}/healthz", 200, api)
        assert status(f"http://127.0.0.1:{port}/readyz") == 503


def test_a_port_that_is_taken_is_refused(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("api", "--port", port, STRIDE_DATABASE_URL=database_url)
    assert_fails(result, 2, f"cannot listen on 127.0.0.1, port {port}: address already in use", "--port")


def test_an_objective_module_that_cannot_be_imported_is_refused(database_url: str) -> None:
    result = run("worker", STRIDE_DATABASE_URL=database_url, STRIDE_OBJECTIVE_MODULES="tests.absent")
    assert_fails(result, 2, "STRIDE_OBJECTIVE_MODULES: tests.absent cannot be imported")


OWN = """{top}
from objectives.contract import Metric, Objective, Parameter

def start(params, settings, seed, device, threads): ...

OBJECTIVES = [
    Objective(
        name="mine",
        description="",
        module="{module}",
        metrics=[Metric(name="loss", direction="minimize", description="")],
        parameters=[
            Parameter(name="lr", role="learning_rate", type="float", default={default}, space={space}, description=""),
        ],
    )
]
"""
SPACE = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "imports torch": ({"top": "import torch"}, "broken imports torch, which the API must not load: import it inside `start`, or"),
    "exits": ({"top": "exit(0)"}, "broken cannot be imported: it ends the process: SystemExit: 0 ("),
    "default": ({"default": "'0.1'"}, "broken: mine's lr has a default that no job may give: '0.1' is not a number ("),
    "space": ({"space": SPACE | {"low": 0.2}}, "broken: mine's lr has a space that no job may give: the range is empty: low"),
    "no type": ({"space": {"low": 0.1}}, 'space that no job may give: must be a value, or a range whose "type" is'),
}


def write_own(folder: Path, name: str, **given: Any) -> dict[str, str]:
    """Write a module of objectives; returns the environment in which it is found."""
    text = OWN.format(**{"top": "", "module": name, "default": 0.01, "space": SPACE} | given)
    (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "STRIDE_OBJECTIVE_MODULES": name}


@pytest.mark.parametrize("command", ["api", "worker", "up"])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_objective_module_that_cannot_be_used_is_refused_with_file_and_line(
    database_url: str, tmp_path: Path, command: str, fault: str
) -> None:
    given, said = FAULTS[fault]
    result = run(command, STRIDE_DATABASE_URL=database_url, STRIDE_PORT="0", **write_own(tmp_path, "broken", **given))
    assert_fails(result, 2, f"stride: STRIDE_OBJECTIVE_MODULES: {'' if said.startswith('space') else said}", said)
    assert f"({tmp_path / 'broken.py'}, line " in result.stderr


def test_a_module_that_trains_must_be_where_workers_are_and_need_not_be_where_the_api_is(
    database_url: str, tmp_path: Path
) -> None:
    own = write_own(tmp_path, "declared", module="trained_elsewhere")
    result = run("worker", STRIDE_DATABASE_URL=database_url, **own)
    assert_fails(
        result, 2, "declared: mine names the module 'trained_elsewhere', which cannot be found (", "declared.py, line 8)"
    )
    port = free_port()
    with role("api", "--port", str(port), STRIDE_DATABASE_URL=database_url, **own) as api:
        wait_for_status(f"http://127.0.0.1:{port}/readyz", 200, api)


def test_the_migration_needs_no_objective_modules(empty_database_url: str) -> None:
    result = run("migrate", STRIDE_DATABASE_URL=empty_database_url, STRIDE_OBJECTIVE_MODULES="tests.absent")
    assert result.returncode == 0, result


@pytest.mark.parametrize("broken", [True, False])
def test_a_thread_of_an_objective_module_keeps_no_process_alive(database_url: str, tmp_path: Path, broken: bool) -> None:
    top = "import threading, time; threading.Thread(target=time.sleep, args=(3600,)).start()"
    own = write_own(tmp_path, "threaded", top=top, default="None" if broken else 0.01)
    if broken:
        assert_fails(run("worker", STRIDE_DATABASE_URL=database_url, **own), 2, "threaded: mine's lr has default=None")
        return
    port = free_port()
    with role("api", "--port", str(port), STRIDE_DATABASE_URL=database_url, **own) as api:
        wait_for_status(f"http://127.0.0.1:{port}/readyz", 200, api)


@pytest.mark.parametrize("command", ["worker", "up"])
def test_a_data_folder_that_is_not_there_is_refused(database_url: str, tmp_path: Path, command: str) -> None:
    result = run(command, STRIDE_DATABASE_URL=database_url, STRIDE_DATA_FOLDERS=f"{tmp_path},{tmp_path / 'absent'}")
    assert_fails(result, 2, f"data folder {tmp_path / 'absent'} cannot be read: no such file or directory. It must be a folder")
