"""The process of a user's script, forked from one that has imported torch, and what an optimizer's first step imports."""

import os
import sys
from collections.abc import Sequence
from functools import partial

from tests.forks import Forked, ForkServer, Start

_SERVER = ForkServer("torch._dynamo")


def fork_scripts(server: ForkServer) -> None:
    """Have the processes of scripts forked from now on; they start nothing."""
    from objectives.scripts import process  # not in the processes of scripts, which may have modules of this name

    process.Guarded = partial(start_script, server=server)  # type: ignore[misc, assignment]


def start_script(words: Sequence[str], *, pass_fds: Sequence[int], server: ForkServer = _SERVER) -> Forked:
    """In place of `Guarded`, for a script that starts nothing. words: those of `ScriptProcess`."""
    _python, _p, _c, program, *arguments = words
    start = Start(
        function=_main,
        arguments=(program,),
        environment=dict(os.environ),
        words=("-c", *arguments),
        numbers=(1, 2, *pass_fds),
    )
    return server.start(start, [1, 2, *pass_fds])


def _main(program: str) -> None:
    sys.path.remove("")  # as -P does
    exec(program, {"__name__": "__main__"})
