"""Forked processes are like those of subprocess: descriptors, exit codes, signals."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from tests.forks import ForkServer, Start, fork
from tests.polling import wait_until

SERVER = ForkServer()


def start(function: object, *arguments: object, numbers: tuple[int, ...] = ()) -> Start:
    return Start(function=function, arguments=arguments, environment={"A": "B"}, words=("name",), numbers=numbers)  # type: ignore[arg-type]


def test_a_process_has_what_it_is_given_and_its_exit_code_is_known() -> None:
    read, write = os.pipe()
    process = SERVER.start(start(os.write, 9, b"said", numbers=(9,)), [write])
    assert (process.wait(20), process.returncode, process.poll()) == (0, 0, 0)
    assert os.read(read, 100) == b"said"
    ended = SERVER.start(start(sys.exit, 3))
    failed = SERVER.start(start(os.write, 9, b"a closed descriptor"))
    assert (ended.wait(20), failed.wait(20)) == (3, 1)
    for descriptor in (read, write):
        os.close(descriptor)


def test_a_process_can_be_waited_for_and_killed() -> None:
    process = SERVER.start(start(time.sleep, 60))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    process.kill()  # has no effect


def test_a_group_can_be_killed_as_soon_as_it_is_there() -> None:
    for _ in range(20):
        process = SERVER.start(start(time.sleep, 60))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL


def test_a_process_is_shown_with_its_own_words_and_settings() -> None:
    shown = Start(
        function=time.sleep,
        arguments=(60,),
        environment={"A": "B", "STRIDE_URL": "http://here"},
        words=("name",),
        shown=("python", "-m", "service.cli", "up"),
    )
    process = SERVER.start(shown)
    seen = psutil.Process(process.pid)
    wait_until(lambda: seen.cmdline()[:4] == ["python", "-m", "service.cli", "up"], "its words")
    wait_until(lambda: seen.environ() == {"STRIDE_URL": "http://here"}, "its settings")
    process.kill()


def test_another_process_can_have_processes_forked_and_be_killed() -> None:
    read, write = os.pipe()
    SERVER.start(start(int)).wait(20)
    killed = SERVER.start(start(_fork_and_wait, SERVER.address, numbers=(9,)), [write])
    assert os.read(read, 100) == b"forked"
    with closing(ForkServer.at(SERVER.address)) as another:
        assert another.start(start(sys.exit, 3)).wait(20) == 3
        killed.kill()
        assert killed.wait(20) == -signal.SIGKILL
        assert another.start(start(time.sleep, 0.2)).wait(20) == 0
        assert another.start(start(sys.exit, 4)).wait(20) == 4
    for descriptor in (read, write):
        os.close(descriptor)


def _fork_and_wait(address: str) -> None:
    ForkServer.at(address).start(start(time.sleep, 0.1))
    os.write(9, b"forked")
    time.sleep(60)


def test_a_process_that_is_forked_from_this_one_is_its_child_and_ends_with_its_code() -> None:
    read, write = os.pipe()
    process = fork(start(os.write, 9, b"said", numbers=(9,)), [write])
    assert psutil.Process(process.pid).ppid() == os.getpid()
    assert (process.wait(20), os.read(read, 100)) == (0, b"said")
    killed = fork(start(time.sleep, 60))
    killed.terminate()
    assert killed.wait(20) == -signal.SIGTERM
    for descriptor in (read, write):
        os.close(descriptor)
