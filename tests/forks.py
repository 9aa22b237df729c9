"""Processes forked from a server that has imported what they need: quick to start, and else as subprocess.Popen starts them."""

import atexit
import ctypes
import fcntl
import gc
import importlib
import io
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from service.processes import die_with

_OUT_OF_THE_WAY = 512
"""Descriptors from here on are kept while those below are closed."""
_MOST_DESCRIPTORS = 16
_ROOM = 2000
"""For the command lines that are shown."""
_ARGUMENTS, _ENVIRONMENT = slice(45, 47), slice(47, 49)
"""Where they begin and end in memory, in /proc/PID/stat after the name."""
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
    shown: tuple[str, ...] = ()
    """Its command line, as others see it; (): that of its server."""


class Forked:
    """A process. Unlike one of multiprocessing, it may be asked by several threads whether it runs.

    status: tells the exit code; None: it is a child of this process.
    """

    def __init__(self, pid: int, status: int | None = None) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """As subprocess.Popen has it."""
        self._status = status
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with self._lock:
            if self.returncode is None:
                self.returncode = _code_of_child(self.pid) if self._status is None else _code_told(self._status)
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


def _code_of_child(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _code_told(status: int) -> int | None:
    if not select.select([status], [], [], 0)[0]:
        return None
    told = os.read(status, _NUMBER.size)
    os.close(status)
    return int(_NUMBER.unpack(told)[0]) if told else -signal.SIGKILL  # with its server


def fork(start: Start, descriptors: Sequence[int] = ()) -> Forked:
    """A process that is forked from this one, with what this one has imported. descriptors: as of `ForkServer.start`."""
    pid = os.fork()
    if not pid:
        gc.freeze()  # what the parent has open is not to be closed by its objects: other files have their numbers
        _run(lambda: start, descriptors)
    return Forked(pid)


class ForkServer:
    """Imports modules when it is first needed; ends with this process, and what it has started ends with it."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self.address = f"{tempfile.gettempdir()}/stride-forks-{os.getpid()}-{id(self)}"
        """For `at`, once it has started something."""

    @staticmethod
    def at(address: str) -> "_Another":
        """The server of another process, which it ends with."""
        return _Another(address)

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
            code = "from tests.forks import serve; serve()".ljust(_ROOM)
            words = [sys.executable, "-c", code, str(theirs.fileno()), self.address, *self._modules]
            process = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        return ours


class _Another(ForkServer):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def _begin(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.connect(self.address)
        return line

    def close(self) -> None:
        """What it has started runs on."""
        if self._line is not None:
            self._line.close()


def serve() -> None:
    """The server: forks what it is asked for, until the other end is closed."""
    line, listener = socket.socket(fileno=int(sys.argv[1])), socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[2])
    listener.listen()
    lines = [line]
    gc.disable()
    for module in sys.argv[3:]:
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
        ready, _, _ = select.select([woken, listener, *lines], [], [])
        if woken in ready:
            os.read(woken, 512)
            _tell_ended(running)
        for each in [each for each in lines if each in ready and not _serve_one(each, running)]:
            if each is line:
                os.unlink(sys.argv[2])
                os._exit(0)
            lines.remove(each)
            each.close()
        if listener in ready:
            lines.append(listener.accept()[0])


def _tell_ended(running: dict[int, int]) -> None:
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            pipe = running.pop(pid)
            with suppress(BrokenPipeError):  # who has asked for it has ended
                os.write(pipe, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
            os.close(pipe)


def _serve_one(line: socket.socket, running: dict[int, int]) -> bool:
    """Whether there was something to fork."""
    try:
        head, received, _, _ = socket.recv_fds(line, _LENGTH.size, _MOST_DESCRIPTORS)
    except ConnectionResetError:
        return False
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

        def begin() -> Start:
            os.setsid()
            os.write(status, _NUMBER.pack(os.getpid()))  # from now on its group can be killed
            die_with(server)
            signal.set_wakeup_fd(-1)
            return pickle.loads(what)

        _run(begin, descriptors)
    running[pid] = status
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _run(begin: Callable[[], Start], descriptors: Sequence[int]) -> NoReturn:
    """What the child does."""
    code = 1
    try:
        start = begin()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for descriptor in descriptors]
        os.closerange(3, _OUT_OF_THE_WAY)
        for descriptor, number in zip(kept, start.numbers, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(start.environment)
        if start.shown:
            _show(_ARGUMENTS, start.shown)
            _show(_ENVIRONMENT, [f"{name}={value}" for name, value in start.environment.items() if name.startswith("STRIDE_")])
        sys.argv = list(start.words)
        try:
            start.function(*start.arguments)
        finally:
            _wait_for_threads()
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


def begin_in(folder: Path) -> None:
    """What Python does when a process starts there with -P and -u, and has not done in one that was forked."""
    os.chdir(folder)
    sys.path.remove("")
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(number, "w", closefd=False)
        setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True))  # type: ignore[type-var]


def _wait_for_threads() -> None:
    """What Python does when a process ends."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def _show(where: slice, words: Sequence[str]) -> None:
    """Write over what this process was started with, which nobody needs any more. What has no room there is left out."""
    begin, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[where])
    ctypes.memmove(begin, "\0".join(words).encode()[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)
