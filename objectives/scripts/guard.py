"""The guard of a user's process: kills what that has started, once it has ended or the process that asked for it has.

Started as a file by guarded.py as `python -I -S guard.py LIFELINE PARENT KEPT COMMAND...`. LIFELINE is its end of a socket pair:
when the other end closes, it kills everything; it tells there how the command ended. PARENT is the process id of its starter.
KEPT are the file descriptors that only the command keeps. It imports little, since every trial of a command waits for its start.

On Linux, orphans below it become its children, daemons included. Elsewhere it kills the command's process group.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` imports enum: a quarter of the start
import ctypes
import os
import select
import sys
import time

PARENT_S = 1.0
"""Seconds between two looks whether the parent lives: a child that it forked may hold its end of the lifeline open."""
KILL_S = 5.0
"""How long killed processes may take to end: a device driver may hold one for long."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IS_LINUX = sys.platform == "linux"


def main() -> None:
    """Run the command to its end, or to that of the parent; then end what is left."""
    lifeline, parent, kept, *words = sys.argv[1:]
    end = int(lifeline)
    os.set_inheritable(end, False)
    if _IS_LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = _started(words, end)
    for descriptor in kept.split():
        os.close(int(descriptor))
    status = _ended(child, end, int(parent))
    _end_all(child)
    if status is not None:
        _tell(end, f"ended {os.waitstatus_to_exitcode(status)}")
    os._exit(0)  # there is nothing to tidy up


def _started(words: list[str], end: int) -> int:
    """The process id of the command."""
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)  # so that its `kill 0` spares the guard
        if _IS_LINUX:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # for when the guard itself is killed
            if os.getppid() != guard:
                os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.execvp(words[0], words)  # noqa: S606 - no shell is meant
    except OSError as error:
        _tell(end, f"failed {error.errno}")
    finally:
        os._exit(127)


def _ended(child: int, end: int, parent: int) -> int | None:
    """The command's wait status once it has ended; None: it is to be ended. Signals to the guard are passed on to it."""
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    for number in (*_PASSED_ON, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    while True:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:  # orphans, too
            if found[0] == child:
                return found[1]
        if os.getppid() != parent:
            return None
        ready, _, _ = select.select([end, woken], [], [], PARENT_S)
        if end in ready:
            return None
        for number in os.read(woken, 512) if woken in ready else b"":
            if number in _PASSED_ON:
                os.kill(child, number)


def _end_all(child: int) -> None:
    """Kill everything below the guard. Only children are killed, whose ids no other process can have; theirs become ours then."""
    until = time.monotonic() + KILL_S
    if not _IS_LINUX:
        _kill(-child)  # its group
    try:
        while time.monotonic() < until:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            for each in _children():
                _kill(each)
            time.sleep(0.001)
    except ChildProcessError:  # none is left
        pass


def _kill(target: int) -> None:
    try:
        os.kill(target, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it has ended, or runs as another user
        pass


def _children() -> list[int]:
    """The process ids of the guard's children."""
    found: list[int] = []
    for name in os.listdir("/proc") if _IS_LINUX else ():
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                # After the program's name in parentheses, which may hold any: the state, and the parent.
                if name.isdigit() and int(stat.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
        except OSError:  # it has ended
            continue
    return found


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)


def _tell(end: int, words: str) -> None:
    try:
        os.write(end, f"{words}\n".encode())
    except OSError:  # nobody listens
        pass


if __name__ == "__main__":
    main()
