"""Launches the ranks of a group by torchrun's own launcher, and tells how one of them has failed.

Started by group.py as `launch.main` in a new process, with the arguments BACKEND DEVICE MODULE PLACES TOLD END...: what connects
the ranks, the device of the first one, the objective's module, and file descriptors: of the memory with the ranks' places, and of
ends of socket pairs, the launcher's and one for each rank.

The ranks are forked from the launcher, which has imported torch and the objective for all of them: with torch alone, two ranks
take 1.8 s of CPU time until they are connected, instead of 4.6 s where each imports it. The launcher has begun no thread of torch
and touches no GPU, so that this is safe.
"""

import logging
import socket
import sys
from importlib import import_module

import torch
from torch.distributed.elastic.multiprocessing import LogsDest, LogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from objectives.parallel.rank import serve
from stride.connection import Connection

ADDRESS = "127.0.0.1"
MONITOR_S = 0.1
"""How often the launcher looks whether a rank has ended."""


class NoFiles(LogsSpecs):
    """What ranks print goes where the launcher's does, and there are no files for errors: ranks tell them."""

    @property
    def root_log_dir(self) -> str:
        return ""

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        nowhere = dict.fromkeys(envs, "")
        return LogsDest(nowhere, nowhere, {}, {}, nowhere)


def main() -> None:
    """Launch the ranks, and wait for their end."""
    backend, device, module, *descriptors = sys.argv[1:]
    places, told, *ends = map(int, descriptors)
    import_module(module)
    torch.optim.SGD([torch.zeros(1)])  # the first optimizer imports a second's worth of torch
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(ends),
        run_id="stride",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{ADDRESS}:0",  # any free port: several groups on a machine are independent
        local_addr=ADDRESS,
        max_restarts=0,
        monitor_interval=MONITOR_S,
        start_method="fork",
        logs_specs=NoFiles(),
    )
    for name in ("torch.distributed.elastic", "torch.multiprocessing.spawn"):
        torchs = logging.getLogger(name)
        torchs.addHandler(logging.NullHandler())  # else logging prints what no handler takes
        torchs.propagate = False  # how a rank has ended is told below
    with socket.socket(fileno=told) as end:
        try:
            elastic_launch(config, serve)(backend, device, places, ends)
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            Connection(end).send({"type": "failed", "rank": failure.local_rank, "exit_code": failure.exitcode})
