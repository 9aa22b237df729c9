"""`stride up`: what it starts, keeps running, and takes along when it ends."""

import signal
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.acceptance.conftest import DEADLINE_S, RunningStride, assert_fails, run, running_stride, start


def wait_for_trainers(stride: RunningStride, count: int) -> None:
    """Until so many are there, and with them the workers."""
    deadline = time.monotonic() + DEADLINE_S
    while len(stride.processes()["trainer"]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_everything_that_up_prints_is_there(stride: RunningStride) -> None:
    with httpx2.Client(base_url=stride.url, trust_env=False, timeout=DEADLINE_S) as client:
        for path in ("/readyz", "/docs", "/dashboard/"):
            assert client.get(path, follow_redirects=True).status_code == 200
    wait_for_trainers(stride, 2)
    assert {role: len(found) for role, found in stride.processes().items() if role != "postgres"} == {
        "api": 1,
        "worker": 2,
        "trainer": 2,
    }


def test_the_api_process_never_loads_torch(stride: RunningStride) -> None:
    stride.wait_until_done(stride.submit(budget={"trials": 3}))
    [api] = stride.processes()["api"]
    assert not any("torch" in mapped.path for mapped in api.memory_maps())


def test_what_dies_is_started_again_and_kill_9_leaves_nothing_and_the_next_start_goes_on_until_sigterm(tmp_path: Path) -> None:
    settings = {"STRIDE_LEASE_S": "3", "STRIDE_HEARTBEAT_S": "0.5", "STRIDE_DATABASE_TIMEOUT_S": "2"}
    with running_stride(tmp_path / "data", "--workers", "1", anew=True, **settings) as stride:
        wait_for_trainers(stride, 1)
        found = stride.processes()
        killed = [found["postgres"][0], found["api"][0], found["worker"][0]]
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, timeout=10)
        deadline = time.monotonic() + DEADLINE_S
        while not _ready(stride.url):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert stride.wait_until_done(stride.submit(budget={"trials": 3}))["state"] == "completed"
        job_id = stride.submit(objective={"name": "quadratic", "settings": {"epoch_s": 0.1}}, budget={"trials": 3})
        processes = stride.everything()
        stride.process.kill()
        assert psutil.wait_procs(processes, timeout=10)[1] == []
        _, said = stride.process.communicate(timeout=DEADLINE_S)
    assert said.count("process.died") == 3
    assert "Traceback" not in said
    with running_stride(tmp_path / "data", "--workers", "1", **settings) as stride:
        assert stride.wait_until_done(job_id)["state"] == "completed"
        processes = stride.everything()
        stride.process.send_signal(signal.SIGTERM)
        _, said = stride.process.communicate(timeout=DEADLINE_S)
        assert stride.process.returncode == 0, said
        assert "process." not in said
        assert psutil.wait_procs(processes, timeout=1)[1] == []
    assert (tmp_path / "data" / "postgres.log").read_text().rstrip().endswith("database system is shut down")


def _ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", trust_env=False, verify=False, timeout=DEADLINE_S).is_success
    except httpx2.TransportError:
        return False


def test_up_runs_on_a_database_of_ones_own_and_leaves_it_running(empty_database_url: str) -> None:
    process = start("up", "--port", "0", "--workers", "0", STRIDE_DATABASE_URL=empty_database_url)
    printed = "".join(iter(process.stdout.readline, "Ctrl-C stops everything.\n"))
    assert "Database   postgresql" in printed
    assert ":***@" in printed
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, said) == (0, "")
    assert run("migrate", STRIDE_DATABASE_URL=empty_database_url).returncode == 0


def test_up_refuses_a_port_that_is_taken(stride: RunningStride, tmp_path: Path) -> None:
    port = stride.url.rpartition(":")[2]
    result = run("up", "--port", port, "--data", str(tmp_path / "data"))
    assert_fails(result, 2, f"port {port}: address already in use", "--port")
    assert not (tmp_path / "data").exists()


def test_up_refuses_a_data_folder_that_another_uses(stride: RunningStride) -> None:
    assert_fails(run("up", "--port", "0", "--data", str(stride.folder)), 2, f"in use by process {stride.process.pid}")


def test_up_refuses_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_fails(run("up", "--port", "0", "--data", str(tmp_path / "file" / "data")), 2, "cannot be used", "STRIDE_DATA_DIR")


@pytest.mark.parametrize(
    ("database", "code", "said"),
    [
        ("postgresql://127.0.0.1:9/stride", 1, "The database cannot be used right now"),
        ("mysql://127.0.0.1/stride", 2, "Stride needs PostgreSQL"),
    ],
)
def test_up_refuses_a_database_that_it_cannot_use(database: str, code: int, said: str) -> None:
    assert_fails(run("up", "--port", "0", STRIDE_DATABASE_URL=database), code, said)
