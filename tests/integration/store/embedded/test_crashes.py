"""What was killed, and what outlived its owner: the next start finds everything that was committed."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from service.store.embedded import EmbeddedPostgres, running_url
from service.store.embedded.binaries import usable_binaries
from service.store.embedded.folder import DataFolder
from service.store.embedded.process import choose_identity
from service.store.embedded.process import start as start_process
from tests.integration.store.embedded.owners import (
    DEADLINE_S,
    PLAIN_USER,
    ask,
    launched,
    new_folder,
    owned,
    owner_of,
    runs,
    wait_until,
)


def test_an_interrupted_first_start_is_done_again(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    with launched(data_dir) as process:
        wait_until(lambda: any(data_dir.glob("postgres-partial-*/base/1")))
        os.killpg(process.pid, signal.SIGKILL)
    with owned(data_dir) as owner:
        assert ask(owner.url, "SELECT 1") == 1
    assert not list(data_dir.glob("*partial*"))


def test_everything_killed_at_once_loses_nothing_that_was_committed(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    with owned(data_dir) as owner:
        ask(owner.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with psycopg.connect(owner.url.replace("+psycopg", "")) as client:
            # Asleep, it does not notice that its server is gone, and keeps the next one waiting.
            straggler = client.info.backend_pid
            os.kill(straggler, signal.SIGSTOP)
            os.kill(owner.pid, signal.SIGKILL)
            owner.process.kill()
    with launched(data_dir) as process:
        try:
            wait_until(lambda: "pre-existing shared memory block" in (data_dir / "postgres.log").read_text())
        finally:
            os.kill(straggler, signal.SIGCONT)
        owner = owner_of(process)
        assert ask(owner.url, "SELECT answer FROM kept") == 42
        owner.stop()


def test_a_pid_that_now_belongs_to_another_program_does_not_keep_the_server_from_starting(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir) as running:
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not runs(running.pid))
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        pid_file.write_text(pid_file.read_text().replace(str(running.pid), str(other.pid), 1))
        assert running_url(data_dir) is None
        with EmbeddedPostgres.start(data_dir) as running:
            assert ask(running.url, "SELECT 1") == 1


def test_a_server_that_outlived_its_owner_is_stopped_by_the_next(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir) as running:
        port = make_url(running.url).port
    # The system that does not tell a server of its owner's death, played: here the owner is alive, but has not the lock.
    folder = DataFolder(data_dir.resolve())
    identity = choose_identity(folder.owner())
    program = [str(usable_binaries(18, folder.path, identity) / "postgres"), "-D", str(folder.cluster), f"--port={port}"]
    with folder.open_log() as log:
        orphan = start_process(identity, folder.path, [*program, "--unix_socket_directories="], log)
    wait_until(lambda: running_url(data_dir) is not None)
    with EmbeddedPostgres.start(data_dir) as running:
        assert orphan.wait(DEADLINE_S) == 0
        assert running.pid != orphan.pid
