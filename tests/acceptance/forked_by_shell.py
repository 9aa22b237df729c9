"""The program `stride` for scripts of a shell: this file, run, has the command forked, with the streams and the folder here."""

import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Starts(Protocol):
    """Starts `stride ARGUMENT...` with descriptors for its streams; returns what waits for its exit code."""

    def __call__(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, descriptors: Sequence[int]
    ) -> "Waits": ...


class Waits(Protocol):
    def wait(self) -> int: ...


@contextmanager
def program(path: Path, start: Starts) -> Iterator[None]:
    """The file `path` is such a program while the block runs."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.socket")
        listener.listen()
        path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", __file__, f"{path}.socket"])} "$@"\n')
        path.chmod(0o755)
        server = threading.Thread(target=_serve, args=(listener, start))
        server.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def _serve(listener: socket.socket, start: Starts) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:  # the end
            return
        threading.Thread(target=_serve_one, args=(line, start), daemon=True).start()


def _serve_one(line: socket.socket, start: Starts) -> None:
    with line, line.makefile("rb") as asked:
        _, descriptors, _, _ = socket.recv_fds(line, 1, 3)
        what = json.loads(asked.readline())
        process = start(what["arguments"], what["environment"], Path(what["cwd"]), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(b"%d" % process.wait())


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as service:
        service.connect(sys.argv[1])
        socket.send_fds(service, [b" "], [0, 1, 2])
        asked = {"arguments": sys.argv[2:], "environment": dict(os.environ), "cwd": os.getcwd()}
        service.sendall(json.dumps(asked).encode() + b"\n")
        sys.exit(int(service.recv(10)))
