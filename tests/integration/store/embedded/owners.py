"""Processes that own a server, run as whoever may run one.

What root may do, a plain user may not, so the ways to run it are those that are possible for whoever runs the tests: root
tries them all, becoming another user where needed; anybody else tries their own.
"""

import atexit
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg
import pytest

from service.store.embedded.binaries import PACKAGE, wheel_binaries
from service.store.embedded.process import namespaces_allowed

DEADLINE_S = 90.0
REPOSITORY = Path(__file__).parents[4]
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody").pw_uid
NAMELESS = 54321

OWNER = """
import sys
from pathlib import Path
from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
try:
    server = EmbeddedPostgres.start(Path(sys.argv[1]))
except EmbeddedPostgresError as error:
    sys.exit(str(error))
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.stop()
"""

# What a container's default profile does: unshare is answered with EPERM.
FORBID_NAMESPACES = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions))
program = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
WITHOUT_NAMESPACES = (sys.executable, "-c", FORBID_NAMESPACES)


@dataclass(frozen=True)
class Way:
    """As whom a server's owner runs, in whose folder, and what is to come of it."""

    name: str
    server_uid: int
    folder_uid: int = field(default_factory=os.geteuid)
    before: tuple[str, ...] = ()
    """What is put before the owner's command."""
    hides_wheel: bool = False
    """Whether only root can reach the programs."""


def is_reachable(path: Path) -> bool:
    """Whether everybody may pass through the folders that lead there."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def as_user(uid: int) -> tuple[str, ...]:
    """A command that becomes `uid`, and may still read the interpreter and the packages where those are in root's home."""
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    needed = (Path(sys.executable).resolve(), Path(psycopg.__file__), REPOSITORY)
    if all(map(is_reachable, needed)):
        return become
    return (*become, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


if ROOT:
    PLAIN_USER = Way("a plain user", NOBODY, NOBODY, as_user(NOBODY))
    WAYS = [
        PLAIN_USER,
        Way("root", 0 if namespaces_allowed() else NOBODY),
        Way("root where user namespaces are forbidden", NOBODY, before=WITHOUT_NAMESPACES),
        Way("root in a folder of nobody's, who cannot read the wheel", NOBODY, NOBODY, hides_wheel=True),
    ]
    if namespaces_allowed():
        WAYS.append(Way("a user without a name", NAMELESS, NAMELESS, as_user(NAMELESS)))
else:
    PLAIN_USER = Way("a plain user", os.geteuid())
    WAYS = [PLAIN_USER]


def new_folder(scratch: Path, way: Way) -> Path:
    data_dir = scratch / "data"
    data_dir.mkdir()
    os.chown(data_dir, way.folder_uid, -1)
    return data_dir


@dataclass(frozen=True)
class Owner:
    """A process that started a server, and stops it when its input ends."""

    process: subprocess.Popen[str]
    pid: int
    url: str

    def stop(self) -> None:
        self.process.communicate(timeout=DEADLINE_S)


@contextmanager
def launched(data_dir: Path, way: Way = PLAIN_USER, *before: str) -> Iterator[subprocess.Popen[str]]:
    path = [str(REPOSITORY), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    if way.hides_wheel:
        path.insert(0, str(hidden_wheel(data_dir.parent)))
    elif way.folder_uid != os.geteuid() and not is_reachable(wheel_binaries(18)):
        path.insert(0, str(reachable_wheel()))
    process = subprocess.Popen(
        [*before, *way.before, sys.executable, "-c", OWNER, str(data_dir)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def owned(data_dir: Path, way: Way = PLAIN_USER) -> Iterator[Owner]:
    with launched(data_dir, way) as process:
        owner = owner_of(process)
        yield owner
    try:
        wait_until(lambda: not runs(owner.pid))
    except AssertionError:
        os.kill(owner.pid, signal.SIGKILL)
        raise


def owner_of(process: subprocess.Popen[str]) -> Owner:
    """Waits until the server answers."""
    assert process.stdout is not None
    pid, _, url = process.stdout.readline().strip().partition(" ")
    if not pid:
        pytest.fail(f"no server: {process.communicate()[1]}")
    return Owner(process, int(pid), url)


def evaluated(expression: str, *before: str) -> str:
    """What another process makes of an expression."""
    script = f"from pathlib import Path; from service.store.embedded import *; print({expression})"
    command = [*before, sys.executable, "-c", script]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


def hidden_wheel(scratch: Path) -> Path:
    """A folder of packages that only its owner can enter."""
    hidden = scratch / "hidden"
    if not hidden.exists():
        hidden.mkdir(mode=0o700)
        for package in (PACKAGE, f"{PACKAGE}.libs"):
            (hidden / package).symlink_to(wheel_binaries(18).parents[2] / package)
    return hidden


@cache
def reachable_wheel() -> Path:
    """A copy of the wheel where everybody can reach it, as in the user's own installation: a checkout of root's may be closed."""
    folder = Path(tempfile.mkdtemp(prefix="stride-wheel-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    for package in (PACKAGE, f"{PACKAGE}.libs"):
        original = wheel_binaries(18).parents[2] / package
        if original.exists():
            shutil.copytree(original, folder / package)
    return folder


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """A dead process that nobody has taken note of yet has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def ask(url: str, query: str) -> object:
    """The first column of the first row, None if there is no row."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def server_uid(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
