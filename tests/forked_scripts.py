"""The process of a user's script, forked from one that has imported torch, and what an optimizer's first step imports."""

import os
import sys
from collections.abc import Sequence

from tests.forks import Forked, ForkServer, Start

_SERVER = ForkServer("torch._dynamo")


def start_script(words: Sequence[str], *, pass_fds: Sequence[int]) -> Forked:
    """In place of `Guarded`, for a script that starts nothing. words: those of `ScriptProcess`."""
    _python, _p, _c, program, *arguments = words
    start = Start(
        function=_main,
        arguments=(program,),
        environment=dict(os.environ),
        words=("-c", *arguments),
        numbers=tuple(pass_fds),
    )
    return _SERVER.start(start, pass_fds)


def _main(program: str) -> None:
    sys.path.remove("")  # as -P does
    exec(program, {"__name__": "__main__"})
