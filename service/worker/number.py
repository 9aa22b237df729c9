"""The number of a worker among those of its machine or container, by which they share GPUs."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count


@contextmanager
def worker_number() -> Iterator[int]:
    """The lowest number, from 0, that no other worker in this network namespace has, held while the block runs.

    The kernel frees it when the process ends, however it ends. A container has a namespace, and so numbers, of its own.
    """
    if sys.platform != "linux":
        yield 0  # without abstract sockets, and without CUDA
        return
    for number in count():
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0stride-worker-{number}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield number
            return
