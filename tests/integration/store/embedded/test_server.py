"""The embedded PostgreSQL, with real servers that belong to real processes."""

import os
import re
import signal
import socket
import stat
import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.store.embedded import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    FolderInUse,
    default_data_dir,
    find_holder,
    running_url,
)
from tests.integration.store.embedded.owners import (
    PLAIN_USER,
    ROOT,
    WITHOUT_NAMESPACES,
    Way,
    ask,
    evaluated,
    new_folder,
    owned,
    runs,
    server_uid,
    wait_until,
)


def test_the_data_is_there_after_a_restart(home: tuple[Way, Path]) -> None:
    way, data_dir = home
    with owned(data_dir, way) as owner:
        assert ask(owner.url, "SELECT answer FROM kept") == 42
        assert server_uid(owner.pid) == way.server_uid


def test_a_server_that_was_killed_is_started_again_on_its_port_and_the_folder_stays_claimed(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    assert find_holder(data_dir) is None
    with EmbeddedPostgres.start(data_dir) as server:
        url, pid = server.url, server.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not runs(pid))
        held = find_holder(data_dir)
        server.restart()
        assert held is not None
        assert (server.url, server.pid != pid) == (url, True)
        assert ask(url, "SELECT 42") == 42
    assert find_holder(data_dir) is None


def test_who_finds_the_folder_in_use_is_told_where_the_api_is_once_there_is_one(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    for _ in range(2):  # what was noted is gone at the next start
        with EmbeddedPostgres.start(data_dir) as server:
            for url in (None, "http://127.0.0.1:8000"):
                if url is not None:
                    server.note(url)
                with pytest.raises(FolderInUse, match=f"is in use by process {os.getpid()}\\. Stop it") as raised:
                    EmbeddedPostgres.start(data_dir)
                assert raised.value.url == url


def test_the_server_shuts_down_in_order_when_its_owner_is_killed(home: tuple[Way, Path]) -> None:
    way, data_dir = home
    (data_dir / "postgres.log").write_text("")
    with owned(data_dir, way) as owner:
        owner.process.kill()
        wait_until(lambda: not runs(owner.pid))
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


def test_the_server_shuts_down_in_order_when_its_owner_is_terminated(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    with owned(data_dir) as owner:
        owner.process.terminate()
        wait_until(lambda: not runs(owner.pid))
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
    assert str(ask(running.url, "SHOW server_version")).startswith(f"{major}.")
    assert runs(running.pid)


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
    assert ask(server[0].url, f"SHOW {setting}") == value


def test_text_sorts_by_code_point(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    query = "SELECT string_agg(word, ' ' ORDER BY word) FROM unnest(ARRAY['a', 'B', 'é', 'Z', 'z']) AS word"
    assert ask(server[0].url, query) == "B Z a z é"


def test_a_wrong_password_is_refused(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    wrong = make_url(server[0].url).set(password="guess").render_as_string(hide_password=False)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(wrong, "SELECT 1")


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
        assert evaluated(f"running_url(Path({str(data_dir)!r}))") == running.url
    assert running_url(data_dir) is None
    running.stop()  # once more is harmless


def test_a_server_outlives_the_thread_that_started_it(data_dir: Path) -> None:
    started: list[EmbeddedPostgres] = []
    thread = threading.Thread(target=lambda: started.append(EmbeddedPostgres.start(data_dir)))
    thread.start()
    thread.join()
    with started[0] as running:
        for _ in range(20):
            assert ask(running.url, "SELECT 1") == 1


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


def test_the_data_folder_is_in_the_users_data_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/stride")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_data_dir() == Path("/home/ada/.local/share/stride")


def test_root_without_namespaces_has_its_data_where_other_users_can_reach_it() -> None:
    expected = Path("/var/lib/stride") if ROOT else default_data_dir()
    assert evaluated("default_data_dir()", *WITHOUT_NAMESPACES) == str(expected)


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(server: tuple[EmbeddedPostgres, Path, int]) -> None:
    _, data_dir, major = server
    with pytest.raises(EmbeddedPostgresError, match=f"in use by process {os.getpid()}\\."):
        EmbeddedPostgres.start(data_dir, major=major)
