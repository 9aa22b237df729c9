"""Processes of PostgreSQL: the user they run as, how they are started, and which one serves a folder."""

import os
import pwd
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from service.store.embedded.errors import EmbeddedPostgresError

CHILD = Path(__file__).with_name("child.py")
ROOT = 0


@dataclass(frozen=True)
class Identity:
    """The user that PostgreSQL runs as. It refuses to run as root, or as a user without a name."""

    kind: Literal["own", "namespace", "user"]
    """Ourselves; ourselves under another name, in a user namespace; or another user, whom only root can become."""
    uid: int
    gid: int

    @property
    def owner(self) -> int:
        """The user, as seen from outside the namespace, who must own what PostgreSQL writes."""
        return self.uid if self.kind == "user" else os.geteuid()

    def __str__(self) -> str:
        return f"{self.kind}:{self.uid}:{self.gid}"


def choose_identity(owner: int) -> Identity:
    """The user to run as in a folder that belongs to `owner`. In another user's folder, root runs as that user."""
    user = os.geteuid()
    if user != ROOT and _is_named(user):
        return Identity("own", user, os.getegid())
    if user == ROOT and owner != ROOT:
        return Identity("user", owner, pwd.getpwuid(owner).pw_gid if _is_named(owner) else _nobody().pw_gid)
    nobody = _nobody()
    if namespaces_allowed():
        return Identity("namespace", nobody.pw_uid, nobody.pw_gid)
    if user == ROOT:
        return Identity("user", nobody.pw_uid, nobody.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as user {user}, who has no name. Give it a line in /etc/passwd, or set STRIDE_DATABASE_URL."
    )


def namespaces_allowed() -> bool:
    """Whether a user namespace can be created here; most containers forbid it."""
    nobody = _nobody()
    identity = Identity("namespace", nobody.pw_uid, nobody.pw_gid)
    return sys.platform == "linux" and run(identity, Path("/"), []).returncode == 0


def run(identity: Identity, folder: Path, program: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `program` in `folder` to its end; `stdout` holds its output, errors too. An empty one only checks if it could."""
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
    """Start `program` in `folder`, shielded from the terminal's Ctrl-C. It gets SIGINT when this process ends, however it ends.

    The kernel sends that signal when the *thread* that forked ends, so a separate thread forks, and lives as long as the program.
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
    """The server that runs in the folder `cluster`, if one does."""
    # The file is written line by line as the server starts: pid, folder, start time, port, ..., status.
    lines = _pid_file(cluster)
    if len(lines) < 4 or not lines[3].isdigit() or str(cluster) not in _command_line(int(lines[0])):
        return None
    return Postmaster(pid=int(lines[0]), port=int(lines[3]), ready=len(lines) > 7 and lines[7].strip() == "ready")


def disown_recycled_pid(cluster: Path) -> None:
    """Correct the pid file of a killed server if its pid now belongs to another program.

    PostgreSQL refuses to start beside any process of its own user with that pid, and in a container the few pids come again
    soon. It disregards its parent, so we put ourselves there. The file is not removed, because by its other lines PostgreSQL
    finds what the killed server left in memory, and whether children of it still run.
    """
    lines = _pid_file(cluster)
    command_line = _command_line(int(lines[0])) if lines else ""
    if command_line and str(cluster) not in command_line:
        (cluster / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:], ""]))


def _pid_file(cluster: Path) -> list[str]:
    """Empty if there is none."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    """Empty if there is no such process."""
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            return ""
    return subprocess.run(["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def _command(identity: Identity, folder: Path, program: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(identity), str(folder), *program]


def _environment() -> dict[str, str]:
    """A minimal environment: no PG* variables that would configure PostgreSQL, no locale, no secrets for another user to read."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"LC_ALL": "C", "TZ": "UTC", **kept}


def _is_named(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and there is no user `nobody` in its stead."
            " Start as another user, or set STRIDE_DATABASE_URL."
        ) from None
