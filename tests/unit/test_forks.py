"""Forked processes are like those of subprocess: descriptors, exit codes, signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.forks import ForkServer, Start

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
