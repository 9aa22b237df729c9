"""Switches to an identity, arranges to end with its parent, and executes a program.

Run as a script, `python -I -S child.py PARENT_PID KIND:UID:GID FOLDER [PROGRAM ARGUMENT...]`, because between a fork and an
exec no code may run in a process that has threads. KIND is "own", "namespace" (we keep our user, but call it UID) or "user"
(root becomes UID). Without PROGRAM it only checks whether it could. It imports the standard library only, and nothing of ours.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main(parent: str, identity: str, folder: str, *program: str) -> None:
    take_on(identity)
    os.chdir(folder)
    # After the switch of user, which clears the signal. The exec keeps it, since PostgreSQL is not set-user-ID.
    die_with(int(parent))
    if program:
        os.execv(program[0], program)


def take_on(identity: str) -> None:
    kind, uid, gid = identity.split(":")
    if kind == "namespace":
        enter_namespace(int(uid), int(gid))
    elif kind == "user":
        drop_to(int(uid), int(gid))


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a new user namespace, in which our user is called `uid`: it keeps its files, and has none of root's rights."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace is allowed here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {own_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {own_gid} 1")


def drop_to(uid: int, gid: int) -> None:
    """Become `uid`, irrevocably."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with(parent: int) -> None:
    """Have the kernel send SIGINT, PostgreSQL's fast shutdown, when the thread that started us ends. Linux only."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT) != 0:
            raise OSError(ctypes.get_errno(), "the end of the parent process cannot be watched here")
    if os.getppid() != parent:
        raise OSError("the parent process has ended already")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
