"""What users' processes leave behind: it ends with them, and all of it with the process that has started them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from objectives.contract import RunLost, RunRaised
from objectives.scripts.command import CommandRun
from objectives.scripts.entry import ScriptFunction
from objectives.scripts.process import ScriptProcess
from tests.polling import wait_until
from tests.processes import CONTEXT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only what stays in the process group is found")

LEAVES = """
import os, subprocess
sleep = ["sleep", "600"]
pids = [os.getpid(), subprocess.Popen(sleep).pid, subprocess.Popen(sleep, start_new_session=True).pid]
# A daemon: in a session of its own, and an orphan.
pids.append(int(subprocess.check_output(["sh", "-c", "sleep 600 > /dev/null & echo $!"], start_new_session=True)))
open(os.path.join(FOLDER, "pids"), "w").write(" ".join(map(str, pids)))
"""
MEASURES = "print('{\"loss\": 1}', flush=True)\n"
WAITS = "import time; time.sleep(600)\n"


def command(folder: Path, line: str) -> CommandRun:
    function = ScriptFunction(
        path=str(folder),
        sha256="",
        kind="command",
        name=line,
        metric="loss",
        learning_rate="learning_rate",
        steps=None,
        params={"learning_rate": 0.5},
        settings={},
    )
    return CommandRun(function, {}, 7, "cpu", 1)


def written(folder: Path, code: str) -> Path:
    (folder / "train.py").write_text(f"FOLDER = {str(folder)!r}\n{code}")
    return folder / "train.py"


def train(folder: Path) -> None:
    """What a trainer process does with a command."""
    for _ in command(folder, f"{sys.executable} train.py"):
        (folder / "measured").touch()


def train_beside_a_child(folder: Path) -> None:
    """The same in a process that has forked another, which holds all that it has open."""
    steps = iter(command(folder, f"{sys.executable} train.py"))
    next(steps)
    if (child := os.fork()) == 0:
        time.sleep(600)
    (folder / "forked").write_text(str(child))
    (folder / "measured").touch()
    time.sleep(600)


def load(folder: Path) -> None:
    """What a trainer process does with a script."""
    process = ScriptProcess(folder / "train.py")
    (folder / "measured").touch()
    process.receive()


def pids(folder: Path) -> list[int]:
    """Of what was started."""
    return [int(word) for word in (folder / "pids").read_text().split()]


def living(folder: Path) -> list[psutil.Process]:
    found = []
    for pid in pids(folder):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture(autouse=True)
def _leaves_nothing(tmp_path: Path) -> Iterator[None]:
    yield
    for process in living(tmp_path) if (tmp_path / "pids").exists() else ():
        process.kill()


def test_what_a_command_has_left_in_the_background_ends_with_it(tmp_path: Path) -> None:
    written(tmp_path, LEAVES + MEASURES + "import time\nwhile not os.path.exists('seen'): time.sleep(0.01)\n")
    for _ in command(tmp_path, f"{sys.executable} train.py"):
        assert len(living(tmp_path)) == 4, "not before"
        (tmp_path / "seen").touch()
    assert living(tmp_path) == []


def test_what_a_command_has_left_ends_when_it_is_stopped(tmp_path: Path) -> None:
    written(tmp_path, LEAVES + MEASURES + WAITS)
    steps = iter(command(tmp_path, f"{sys.executable} train.py"))
    next(steps)
    assert len(living(tmp_path)) == 4
    steps.close()  # type: ignore[attr-defined]  # it is a generator
    assert living(tmp_path) == []


@pytest.mark.parametrize("trains", [train, train_beside_a_child, load])
@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_all_of_it_ends_with_a_trainer_that_is_killed(
    tmp_path: Path, trains: Callable[[Path], None], kill: Callable[[int, int], None]
) -> None:
    written(tmp_path, LEAVES + ("" if trains is load else MEASURES + WAITS))
    trainer = CONTEXT.Process(target=in_a_group, args=(trains, tmp_path))
    trainer.start()
    try:
        wait_until((tmp_path / "measured").exists, "the first step")
        assert len(living(tmp_path)) == 4
        assert trainer.pid is not None
        kill(trainer.pid, signal.SIGKILL)
        wait_until(lambda: not living(tmp_path), "the end of all of them", deadline_s=10)
    finally:
        trainer.kill()
        trainer.join()
        if (tmp_path / "forked").exists():
            with suppress(ProcessLookupError):
                os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


def in_a_group(trains: Callable[[Path], None], folder: Path) -> None:
    """As a worker starts its trainer."""
    os.setpgid(0, 0)
    trains(folder)


def test_a_command_ends_with_its_guard(tmp_path: Path) -> None:
    written(tmp_path, LEAVES + MEASURES + WAITS)
    before = set(psutil.Process().children())
    steps = iter(command(tmp_path, f"{sys.executable} train.py"))
    next(steps)
    [guard] = set(psutil.Process().children()) - before
    guard.kill()
    with pytest.raises(RunRaised, match="the command was killed by signal 9"):
        next(steps)
    wait_until(lambda: pids(tmp_path)[0] not in [process.pid for process in living(tmp_path)], "the end of the command")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_script_process_takes_no_notice_of_signals_to_its_guard(tmp_path: Path, number: signal.Signals) -> None:
    before = set(psutil.Process().children())
    process = ScriptProcess(written(tmp_path, LEAVES))
    [guard] = set(psutil.Process().children()) - before
    guard.send_signal(number)
    with pytest.raises(TimeoutError):
        process.receive(within_s=0.5)
    assert process.is_alive()
    process.end()


def test_what_a_script_has_left_ends_with_its_process(tmp_path: Path) -> None:
    process = ScriptProcess(written(tmp_path, LEAVES))
    assert len(living(tmp_path)) == 4
    process.end()
    assert living(tmp_path) == []


def test_what_a_script_has_left_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    process = ScriptProcess(written(tmp_path, LEAVES))
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    with pytest.raises(RunLost, match=r"^the process of train\.py was killed by SIGKILL$"):
        process.receive()
    assert living(tmp_path) == []
    process.end()


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL])
def test_signals_are_to_a_command_what_they_are_to_any(tmp_path: Path, number: signal.Signals) -> None:
    with pytest.raises(RunRaised, match=f"the command was killed by signal {number:d};"):
        list(command(tmp_path, f"sh -c 'ulimit -c 0; kill -{number:d} $$'"))


def test_a_command_that_kills_its_group_kills_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(RunRaised, match="the command was killed by signal 9;"):
        list(command(tmp_path, "sh -c 'setsid sleep 600 & echo $! > pids; kill -9 0'"))
    assert living(tmp_path) == []


def test_a_command_has_no_files_open_but_its_streams(tmp_path: Path) -> None:
    written(tmp_path, "import os\nopened = os.listdir('/proc/self/fd')\nprint('{\"loss\": %d}' % len(opened))\n")
    [step] = command(tmp_path, f"{sys.executable} train.py")
    assert step.metrics["loss"] == 4, "three, and the folder that is listed"
