"""The beginning of a run: what an objective's `start` returns is checked before its first step."""

import inspect

from objectives.catalog import Start
from objectives.contract import Run
from objectives.declarations import fault_of_run, fault_of_start
from objectives.parallel.kept import end_ranks
from service.worker.trainer.messages import Train


class NotARun(TypeError):
    """`start` cannot begin a run, whatever the parameters. The name of this class is stored as the type of the trial's error."""


def begin(start: Start, train: Train, device: str) -> Run:
    """Begin the run. Raises NotARun, and whatever the objective raises."""
    if train.settings.get("processes", 1) == 1:
        end_ranks()  # of the run before: their memory may be needed
    fault = fault_of_start(start)
    if fault is None:
        run = start(train.params, train.settings, train.seed, device, train.threads)
        fault = fault_of_run(run)
        if fault is None:
            if hasattr(run, "number"):
                run.number = train.number
            return run
        if inspect.iscoroutine(run):
            run.close()  # else Python warns that nobody has awaited it
    code = getattr(start, "__code__", None)
    where = "" if code is None else f" ({code.co_filename}, line {code.co_firstlineno})"
    raise NotARun(f"{train.objective} {fault}{where}")
