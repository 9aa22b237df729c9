"""Becomes another program: takes on an identity, ties its life to its parent's, and executes what it was given.

Run as a script, `python -I -S postgres_child.py PARENT_PID IDENTITY FOLDER [PROGRAM ARGUMENT...]`, so that no code of ours
runs between the fork and the exec of a process that has threads. IDENTITY is "own", "namespace:UID:GID" (a user namespace
in which we are UID) or "user:UID:GID" (root gives itself up for good). Without PROGRAM it only tells whether it could.
The standard library alone, and nothing of this project: it has no site-packages.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def enter_namespace(uid: int, gid: int) -> None:
    """Move into a new user namespace, where our own user is called `uid` and keeps its files but none of root's rights."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "a user namespace is not allowed here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {own_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {own_gid} 1")


def drop_to(uid: int, gid: int) -> None:
    """Become `uid` with no way back."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def take_on(identity: str) -> None:
    kind, _, ids = identity.partition(":")
    if kind != "own":
        uid, gid = map(int, ids.split(":"))
        {"namespace": enter_namespace, "user": drop_to}[kind](uid, gid)


def die_with(parent: int) -> None:
    """Have the kernel send us SIGINT, PostgreSQL's fast shutdown, when the thread that started us ends. Linux only."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT) != 0:
            raise OSError(ctypes.get_errno(), "the death of the parent cannot be watched")
    if os.getppid() != parent:
        raise OSError("the parent is gone already")


def main(parent: str, identity: str, folder: str, *program: str) -> None:
    take_on(identity)
    os.chdir(folder)
    # After the identity: a change of user clears the signal. An exec keeps it, unless the program gains rights by it.
    die_with(int(parent))
    if program:
        os.execv(program[0], program)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
