"""Processes of PostgreSQL: as whom they run, how they are started, and which one serves a folder."""

import os
import pwd
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from service.store.postgres_binaries import EmbeddedPostgresError

CHILD = Path(__file__).with_name("postgres_child.py")
ROOT = 0


@dataclass(frozen=True)
class Identity:
    """As whom PostgreSQL runs, which refuses to run as root or as a user without a name."""

    kind: Literal["own", "namespace", "user"]
    """Ourselves; ourselves, but called otherwise in a user namespace; or another user, which only root can become."""
    uid: int
    gid: int

    @property
    def owner(self) -> int:
        """The user, as seen from outside, who must own what PostgreSQL writes."""
        return self.uid if self.kind == "user" else os.geteuid()

    def __str__(self) -> str:
        return self.kind if self.kind == "own" else f"{self.kind}:{self.uid}:{self.gid}"


def choose_identity(owner: int) -> Identity:
    """As whom to run in a folder that belongs to `owner`: what is another's, root runs as that other."""
    user = os.geteuid()
    if user != ROOT and _has_name(user):
        return Identity("own", user, os.getegid())
    nobody = pwd.getpwnam("nobody")
    if user == ROOT and owner != ROOT:
        return Identity("user", owner, pwd.getpwuid(owner).pw_gid if _has_name(owner) else nobody.pw_gid)
    if namespaces_allowed():
        return Identity("namespace", nobody.pw_uid, nobody.pw_gid)
    if user == ROOT:
        return Identity("user", nobody.pw_uid, nobody.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as user {user}, who has no name. Give the user a line in /etc/passwd, or set STRIDE_DATABASE_URL."
    )


def namespaces_allowed() -> bool:
    """Whether a user namespace can be made here; most containers forbid it."""
    nobody = pwd.getpwnam("nobody")
    identity = Identity("namespace", nobody.pw_uid, nobody.pw_gid)
    return sys.platform == "linux" and run(identity, Path("/"), []).returncode == 0


def run(identity: Identity, folder: Path, program: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `program` in `folder` to its end; its output and errors are in `stdout`, together."""
    return subprocess.run(
        _command(identity, folder, program),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def start(identity: Identity, folder: Path, program: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start `program` in `folder`, out of reach of the terminal's Ctrl-C; it gets SIGINT when this process ends, however it ends.

    The kernel gives that signal when the *thread* that forked ends, so a thread of its own forks, and lives until the program ends.
    """
    started: Future[subprocess.Popen[bytes]] = Future()

    def fork_and_wait() -> None:
        try:
            process = subprocess.Popen(
                _command(identity, folder, program),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except BaseException as error:
            started.set_exception(error)
        else:
            started.set_result(process)
            process.wait()

    threading.Thread(target=fork_and_wait, name="embedded-postgres", daemon=True).start()
    return started.result()


@dataclass(frozen=True)
class Postmaster:
    """A running server, as its `postmaster.pid` describes it."""

    pid: int
    port: int
    ready: bool


def running_postmaster(cluster: Path) -> Postmaster | None:
    """The server that runs in the folder `cluster`, if one does; what a killed one left behind is not taken for one."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    # The file is written line by line as the server starts: pid, folder, start time, port, ..., status.
    if len(lines) < 4 or not lines[3].isdigit() or str(cluster) not in _command_line(int(lines[0])):
        return None
    return Postmaster(pid=int(lines[0]), port=int(lines[3]), ready=len(lines) > 7 and lines[7].strip() == "ready")


def _command_line(pid: int) -> str:
    """Empty if there is no such process."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape")
        except OSError:
            return ""
    return subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def _command(identity: Identity, folder: Path, program: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(identity), str(folder), *program]


def _environment() -> dict[str, str]:
    """Nothing of ours: no PG* variables that would change PostgreSQL's mind, no language, no secrets for another user to read."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"LC_ALL": "C", "TZ": "UTC", **kept}


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
