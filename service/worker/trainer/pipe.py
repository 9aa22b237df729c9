"""The two ends of the socket pair between a worker and its trainer process: pickles, each after its length.

The worker's end blocks in `wait` only: a trainer that is stopped in the middle of a message, or that reads nothing for hours,
must not keep a lease from being renewed. The trainer's end blocks.
"""

import pickle
import select
import socket
import struct
import time

from service.worker.trainer.messages import FromTrainer, ToTrainer

_LENGTH = struct.Struct("!Q")
_CHUNK = 65_536


class TrainerPipe:
    """The worker's end. Every method but `close` raises OSError or EOFError once the trainer has closed its end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self._received = bytearray()
        self._unsent = bytearray()
        self._incoming, self._both = select.poll(), select.poll()
        self._incoming.register(end, select.POLLIN)
        self._both.register(end, select.POLLIN | select.POLLOUT)

    def send(self, run: int, message: ToTrainer) -> None:
        """Send a message; what the socket has no room for is sent during `wait`."""
        self._unsent += _framed(run, message)
        self._flush()

    def has_room(self) -> bool:
        """Whether everything was sent, so that a short message may follow."""
        self._flush()
        return not self._unsent

    def has_message(self) -> bool:
        """Whether a complete message can be received. Does not raise: what was sent before the trainer closed its end counts."""
        try:
            self._fill()
        except (EOFError, OSError):
            return False
        return bool(self._end())

    def receive(self) -> tuple[int, FromTrainer] | None:
        """The next message, after the id of its run; None when no complete one has arrived."""
        self._fill()
        end = self._end()
        if not end:
            return None
        run, message = pickle.loads(memoryview(self._received)[_LENGTH.size : end])  # noqa: S301 - by our own process
        del self._received[:end]
        return run, message

    def wait(self, until: float) -> None:
        """Wait until there is something to receive, or until `until` by the monotonic clock."""
        if self._unsent:
            self._flush()
        while not self._end() and (left := until - time.monotonic()) > 0:
            ready = (self._both if self._unsent else self._incoming).poll(1000 * left)
            if any(event & ~select.POLLOUT for _, event in ready):
                return  # part of a message, or an error: `receive` sees which
            if ready:
                self._flush()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _fill(self) -> None:
        """Read until a message is complete, or nothing is left to read."""
        while not self._end():
            try:
                chunk = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                raise EOFError
            self._received += chunk

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            del self._unsent[:sent]

    def _end(self) -> int:
        """Where the next message ends in the bytes received; 0 when it is not complete."""
        if len(self._received) < _LENGTH.size:
            return 0
        end: int = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        return end if end <= len(self._received) else 0


class WorkerGone(Exception):
    """The worker has closed the pipe, or has ended."""


class WorkerPipe:
    """The trainer's end. Raises WorkerGone, so that its errors are not taken for those of an objective."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)

    def send(self, run: int, message: FromTrainer) -> None:
        """Send a message of a run; blocks while the worker does not read."""
        framed = _framed(run, message)
        try:
            self._socket.sendall(framed)
        except OSError as error:
            raise WorkerGone from error

    def receive(self) -> tuple[int, ToTrainer]:
        """The next message, after the id of its run; blocks until there is one."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        run, message = pickle.loads(self._read(length))  # noqa: S301 - by our own process
        return run, message

    def has_message(self) -> bool:
        """Whether there is something to receive."""
        return bool(self._poll.poll(0))

    def _read(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            try:
                chunk = self._socket.recv(length - len(content))
            except OSError as error:
                raise WorkerGone from error
            if not chunk:
                raise WorkerGone
            content += chunk
        return bytes(content)


def _framed(run: int, message: FromTrainer | ToTrainer) -> bytes:
    content = pickle.dumps((run, message), pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content
