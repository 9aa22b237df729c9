"""Shifts the wall clock of a running worker: a small preloaded library adds seconds to what the system returns.

The monotonic clock does not jump, as on a machine whose wall clock is set. (libfaketime 0.9.10 cannot do that with Python: with
the monotonic clock excluded, every `time.sleep` fails with EINVAL.)
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead_s = page;
    if (file >= 0) close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && ahead_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead_s;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
"""
TRY = "import time; time.sleep(0.01); print(time.time())"


class JumpingClock:
    """The clock of all processes that run with `environment`."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self._set(0)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    @contextmanager
    def ahead(self, seconds: int) -> Iterator[None]:
        """Shift the clock by so many seconds, back when negative, until the end of the block."""
        self._set(seconds)
        try:
            yield
        finally:
            self._set(0)

    def works(self) -> bool:
        """Whether a Python process in this environment sees the shifted clock."""
        with self.ahead(-1_000_000_000):
            tried = subprocess.run([sys.executable, "-c", TRY], env=self.environment, capture_output=True, check=False)
        return tried.returncode == 0 and float(tried.stdout) < 1_000_000_000

    def _set(self, seconds: int) -> None:
        # In place, since the file is memory-mapped.
        descriptor = os.open(self._file, os.O_CREAT | os.O_WRONLY, 0o600)
        os.pwrite(descriptor, struct.pack("q", seconds), 0)
        os.close(descriptor)


def jumping_clock(folder: Path) -> JumpingClock | None:
    """A clock kept in `folder`; None where its library cannot be built or used: without a C compiler, or on another system."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return None
    clock = JumpingClock(folder, library)
    return clock if clock.works() else None
