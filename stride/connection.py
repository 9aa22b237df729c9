"""Messages between a script process and whoever started it: JSON, each with a blob that may be empty, over a socket."""

import json
import select
import socket
import struct
from typing import Any

_LENGTHS = struct.Struct("!IQ")

Message = dict[str, Any]


class Closed(Exception):
    """The other end is closed."""


class Connection:
    """One end. Every method raises Closed once the other end is closed."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message, blob: bytes = b"") -> None:
        """Send a message; blocks while the other end does not read."""
        text = json.dumps(message).encode()
        try:
            self._end.sendall(_LENGTHS.pack(len(text), len(blob)) + text)
            self._end.sendall(blob)
        except OSError as error:
            raise Closed from error

    def receive(self) -> tuple[Message, bytes]:
        """The next message; blocks until there is one."""
        n_text, n_blob = _LENGTHS.unpack(self._read(_LENGTHS.size))
        message: Message = json.loads(self._read(n_text))
        return message, self._read(n_blob)

    def has_message(self, within_s: float) -> bool:
        """Whether there is something to receive, or the other end is closed; waits for it so long."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(1000 * within_s))

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _read(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            try:
                chunk = self._end.recv(min(length - len(content), 1 << 20))
            except OSError as error:
                raise Closed from error
            if not chunk:
                raise Closed
            content += chunk
        return bytes(content)
