"""Processes forked from a server that has imported what they need: quick to start, and else as subprocess.Popen starts them."""

import atexit
import fcntl
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.processes import die_with

_OUT_OF_THE_WAY = 512
"""Descriptors from here on are kept while those below are closed."""
_MOST_DESCRIPTORS = 16
_LENGTH, _NUMBER = struct.Struct("<Q"), struct.Struct("<q")


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a process does. numbers: of the descriptors that it is given, as they are called in it."""

    function: Callable[..., None]
    arguments: tuple[object, ...]
    environment: Mapping[str, str]
    words: tuple[str, ...]
    """For sys.argv."""
    numbers: tuple[int, ...] = ()


class Forked:
    """A process. Unlike one of multiprocessing, it may be asked by several threads whether it runs."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """As subprocess.Popen has it."""
        self._status = status
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], 0)[0]:
                told = os.read(self._status, _NUMBER.size)
                self.returncode = _NUMBER.unpack(told)[0] if told else -signal.SIGKILL  # with its server
                os.close(self._status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing happens when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Imports modules when it is first needed; ends with this process, and what it has started ends with it."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._line: socket.socket | None = None

    def start(self, start: Start, descriptors: Sequence[int] = ()) -> Forked:
        """A process. descriptors: those that it gets, in the order of their numbers there."""
        status, theirs = os.pipe()
        with self._lock:
            line = self._line = self._line or self._begin()
            what = pickle.dumps(start)
            socket.send_fds(line, [_LENGTH.pack(len(what))], [theirs, *descriptors])
            line.sendall(what)
        os.close(theirs)
        told = os.read(status, _NUMBER.size)
        assert told, "the server of forks has ended"
        return Forked(_NUMBER.unpack(told)[0], status)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-c", "from tests.forks import serve; serve()", str(theirs.fileno()), *self._modules]
            process = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        return ours


def serve() -> None:
    """The server: forks what it is asked for, until the other end is closed."""
    line = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.enable()
    gc.freeze()  # of what is imported, nothing is garbage
    woken, waking = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waking, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([line, woken], [], [])
        if woken in ready:
            os.read(woken, 512)
            _tell_ended(running)
        if line in ready and not _serve_one(line, running):
            os._exit(0)


def _tell_ended(running: dict[int, int]) -> None:
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            pipe = running.pop(pid)
            os.write(pipe, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
            os.close(pipe)


def _serve_one(line: socket.socket, running: dict[int, int]) -> bool:
    """Whether there was something to fork."""
    head, received, _, _ = socket.recv_fds(line, _LENGTH.size, _MOST_DESCRIPTORS)
    if not head:
        return False
    status, *descriptors = received
    what = bytearray()
    (length,) = _LENGTH.unpack(head)
    while len(what) < length:
        what += line.recv(length - len(what))
    server = os.getpid()
    pid = os.fork()
    if not pid:
        _run(bytes(what), status, descriptors, server)
    running[pid] = status
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _run(what: bytes, status: int, descriptors: Sequence[int], server: int) -> None:
    """What the child does."""
    code = 1
    try:
        os.setsid()
        os.write(status, _NUMBER.pack(os.getpid()))  # from now on its group can be killed
        start: Start = pickle.loads(what)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        die_with(server)
        kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for descriptor in descriptors]
        os.closerange(3, _OUT_OF_THE_WAY)
        for descriptor, number in zip(kept, start.numbers, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(start.environment)
        sys.argv = list(start.words)
        start.function(*start.arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError, ValueError):  # it may have closed them
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        os._exit(code)
