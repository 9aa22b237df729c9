"""One run over several processes: the same as over one, whatever becomes of the processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from objectives.catalog import BUILTIN
from objectives.contract import DataProblem, Measurement, Run, RunLost, RunRaised
from objectives.data import files
from objectives.parallel.kept import end_ranks
from objectives.parallel.run import ParallelRun
from objectives.tasks import fine_tuning, image_classification, tabular_regression
from tests.unit.objectives.parallel import troubled
from tests.unit.objectives.runs import train

CPUS = len(os.sched_getaffinity(0))
TWO = {"processes": 2, "rank_timeout_s": 60}
SAME = {
    "sgd, linear scaling with warm-up": (
        image_classification,
        {"learning_rate_scaling": "linear", "warmup_fraction": 0.2, "learning_rate": 0.01, "momentum": 0.9},
        {},
    ),
    "adam, clipping, cnn": (
        image_classification,
        {"optimizer": "adam", "learning_rate": 0.003, "clip_norm": 1.0},
        {"model": "cnn"},
    ),
    "microbatches of uneven shares": (image_classification, {"batch_size": 67}, {"microbatch_size": 15}),
    "learned weights, unfrozen layer by layer": (fine_tuning, {"unfreeze_every": 2, "layer_decay": 0.5, "epochs": 8}, {}),
    "a table": (tabular_regression, {"schedule": "plateau", "plateau_patience": 1, "epochs": 16}, {}),
}


@pytest.fixture(scope="module", autouse=True)
def _no_ranks_left() -> Iterator[None]:
    yield
    end_ranks()


def _begin(task: Any, params: dict[str, Any], settings: dict[str, Any]) -> Run:
    run: Run = task.start({"epochs": 4, "batch_size": 64} | params, settings, 0, "cpu", settings.get("threads", 1))
    return run


def _begin_two(**params: Any) -> ParallelRun:
    run = _begin(image_classification, {"dropout": 0.3, **params}, TWO)
    assert isinstance(run, ParallelRun)
    return run


def _ranks() -> list[int]:
    """The process ids of the ranks, the first rank's first."""
    below = psutil.Process().children(recursive=True)
    parents = {each.ppid() for each in below}
    # Forked from the launcher, they have its command line; other tests' processes may be there, too.
    launched = [each for each in below if "objectives.parallel.launch" in " ".join(each.cmdline())]
    return sorted(each.pid for each in launched if each.pid not in parents)


def _losses(measurements: list[Measurement]) -> list[float]:
    return [loss for each in measurements for loss in (*dict(each.update_losses).values(), each.metrics["validation_loss"])]


@pytest.fixture(scope="module")
def of_one() -> dict[str, tuple[list[Measurement], dict[str, float]]]:
    """What one process measures."""
    measured = {}
    for name, (task, params, settings) in SAME.items():
        run = _begin(task, params, settings)
        measured[name] = (train(run), run.evaluate())
    return measured


@pytest.mark.parametrize("name", SAME)
def test_two_processes_train_as_one_does_on_the_same_batches(
    name: str, of_one: dict[str, tuple[list[Measurement], dict[str, float]]]
) -> None:
    task, params, settings = SAME[name]
    measured, tested = of_one[name]

    run = _begin(task, params, {**settings, **TWO})
    of_two = train(run)

    assert isinstance(run, ParallelRun)
    assert len(dict(pair for each in of_two for pair in each.update_losses)) >= 50
    assert _losses(of_two) == pytest.approx(_losses(measured), abs=1e-5)
    for one, two in zip(measured, of_two, strict=True):
        assert two.metrics == pytest.approx(dict(one.metrics), rel=1e-3, abs=1e-4)
        assert two.group_rates == one.group_rates
    assert run.evaluate() == pytest.approx(tested, abs=1e-5)


def test_what_a_run_of_two_has_learned_before_is_what_one_process_learns_bit_for_bit() -> None:
    frozen: dict[str, Any] = {"unfreeze_every": 100, "epochs": 1}
    runs = [_begin(fine_tuning, frozen, settings) for settings in ({}, TWO)]
    for run in runs:
        train(run)
    one, two = (run.state_dict() for run in runs)
    assert torch.equal(one["model"]["1.weight"], two["model"]["1.weight"])  # type: ignore[index, call-overload]


def test_a_run_of_two_goes_on_from_its_state_bit_for_bit() -> None:
    whole = train(_begin_two())
    run = _begin_two()
    begun = train(run, 2)
    state = run.state_dict()

    resumed = _begin_two()
    resumed.load_state_dict(state)

    assert begun + train(resumed) == whole
    assert not torch.equal(state["randomness"]["global"]["torch"], state["randomness_of_others"][0]["global"]["torch"])


def test_a_state_of_another_number_of_processes_is_refused() -> None:
    run = _begin_two()
    state = run.state_dict() | {"randomness_of_others": []}

    with pytest.raises(ValueError, match="the state is of a run over 1 processes, and this one has 2"):
        run.load_state_dict(state)


def test_ranks_may_read_the_files_that_their_trainer_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_folders", None)
    table, inside = tmp_path / "table.csv", tmp_path / "inside"
    inside.mkdir()
    table.write_text("x,y\n" + "".join(f"{row},{row % 7}\n" for row in range(400)))
    settings = {**TWO, "dataset": "csv", "path": str(table), "target": "y"}

    assert len(train(_begin(tabular_regression, {"epochs": 2}, settings))) == 2

    files.allow([inside])
    with pytest.raises(DataProblem, match="is refused, because it lies outside the allowed folders"):
        _begin(tabular_regression, {}, settings)
    files.allow([])
    with pytest.raises(DataProblem, match="STRIDE_DATA_FOLDERS: none"):
        _begin(tabular_regression, {}, settings)


def test_every_objective_with_the_setting_trains_over_processes() -> None:
    for objective in BUILTIN:
        has_setting = "processes" in objective.settings_schema["properties"]
        assert hasattr(import_module(objective.module).start, "__wrapped__") == has_setting, objective.name


def test_what_is_raised_in_the_ranks_is_told_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunRaised, match="there is no optimizer 'none'") as raised:
        _begin_two(optimizer="none")

    assert raised.value.type == "ValueError"
    assert raised.value.traceback is not None
    assert "optimizers.py" in raised.value.traceback
    assert capfd.readouterr().err.count("Traceback") == 1


@pytest.mark.parametrize(
    ("params", "settings", "message"),
    [
        ({"batch_size": 1}, {}, "batch_size 1 cannot be divided between 2 processes"),
        ({"normalization": "batch"}, {}, "batch norm takes its statistics from the whole batch"),
        ({}, {"processes": 64}, f"processes is 64, but a run may use {CPUS} CPUs on this machine"),
        ({}, {"threads": 256}, f"processes is 2, with 256 threads each, but a run may use {CPUS} CPUs on this machine"),
    ],
)
def test_what_cannot_be_trained_over_processes_is_refused(params: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataProblem, match=message):
        _begin(image_classification, params, {**TWO, **settings})


def test_ranks_end_with_the_process_that_asked_for_them() -> None:
    code = (
        "import sys\n"
        "from tests.unit.objectives.parallel.test_data_parallel import _begin_two, _ranks\n"
        "_begin_two(), print(*_ranks(), flush=True), sys.stdin.read()"
    )
    _begin_two()  # in the ranks of the tests before: two groups at once do not disturb each other
    trainer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with trainer:
        assert trainer.stdout is not None
        ranks = [int(number) for number in trainer.stdout.readline().split()]
        trainer.kill()
        until = time.monotonic() + 20
        while any(map(psutil.pid_exists, ranks)) and time.monotonic() < until:
            time.sleep(0.05)

    assert len(ranks) == 2
    assert not any(map(psutil.pid_exists, ranks))


def test_a_rank_that_computes_for_longer_than_the_timeout_does_not_hang() -> None:
    run = _begin(troubled, {}, {**TWO, "rank_timeout_s": 1, "trouble": "computes"})
    train(run, 2)
    began = time.monotonic()

    assert len(train(run)) == 2
    assert time.monotonic() >= began + troubled.COMPUTES_S > began + 1.5


def test_ranks_that_are_stopped_before_they_have_read_a_message_are_named() -> None:
    run = _begin(image_classification, {}, {**TWO, "rank_timeout_s": 1, "width": 512, "hidden_layers": 3})
    state = run.state_dict()
    for rank in _ranks():
        os.kill(rank, signal.SIGSTOP)

    with pytest.raises(RunLost, match=r"^rank 0 of 2 is stopped, for 1 s \(rank_timeout_s\)$"):
        run.load_state_dict(state)


TROUBLES: dict[str, tuple[type[Exception], str]] = {
    "SIGKILL": (RunLost, "^rank 1 of 2 was killed by SIGKILL$"),
    "SIGSTOP": (RunLost, r"^rank 1 of 2 is stopped, for 1 s \(rank_timeout_s\)$"),
    "sleeps": (RunLost, r"^rank 1 of 2 did not go on, and the others waited, for 1 s \(rank_timeout_s\)$"),
    "raises": (RunRaised, "^troubled$"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_rank_in_trouble_ends_the_attempt_and_all_ranks(trouble: str, capfd: pytest.CaptureFixture[str]) -> None:
    error, message = TROUBLES[trouble]
    run = _begin(troubled, {}, {**TWO, "rank_timeout_s": 1, "trouble": trouble})
    ranks = _ranks()
    train(run, 2)
    began = time.monotonic()

    with pytest.raises(error, match=message):
        next(iter(run))

    assert time.monotonic() < began + 10
    told = capfd.readouterr().err
    assert told.count("Traceback") == 1 if error is RunRaised else told == ""
    assert len(ranks) == 2
    assert not any(map(psutil.pid_exists, ranks))
