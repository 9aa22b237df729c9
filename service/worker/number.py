"""The number of a worker among those that may see the same GPUs, so that they share these evenly.

Workers in one network namespace hold a number each; the kernel frees it when a worker ends, however it ends. Containers have
namespaces of their own, and see the same GPUs all the same: an engine gives replicas consecutive addresses.
"""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from itertools import count

import psutil


@contextmanager
def worker_number() -> Iterator[int]:
    """A number that no other worker in this network namespace has while the block runs, plus the last byte of our address."""
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
            yield number + _last_byte()
            return


def _last_byte() -> int:
    """Of the first IPv4 address of this machine or container that is not a loopback one; 0 without one."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not (address := IPv4Address(each.address)).is_loopback:
                return address.packed[-1]
    return 0
