"""The trainer process by itself: no database."""

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from service.domain.measurement import Measurement
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.messages import (
    Checkpointed,
    CheckpointPlace,
    Command,
    FromTrainer,
    Measured,
    Raised,
    Renewed,
    Stopped,
    Train,
    Trained,
)
from service.worker.trainer.process import LOG_LINES, LOG_S, TrainerDied, TrainerProcess
from tests.integration.worker.supervised import heard
from tests.integration.worker.trains import odd, quadratic
from tests.polling import wait_until

DEADLINE_S = 60.0
RUN = 1
AT_ONCE_S = 15.0
"""Half of what the children that are left behind live for, and far more than a busy machine takes."""


@pytest.fixture
def trainer() -> Iterator[TrainerProcess]:
    process = TrainerProcess(["tests.quadratic", "tests.integration.worker.odd"])
    yield process
    process.end()
    assert not psutil.pid_exists(process.pid)


def test_what_a_trainer_sent_before_it_died_is_received_though_it_was_sent_something_meanwhile(trainer: TrainerProcess) -> None:
    trainer.send(RUN, odd("evaluate kills"))
    wait_until(lambda: not trainer.is_alive(), DEADLINE_S)
    trainer.send(RUN, Renewed(hold_at=math.inf))
    received = []
    with pytest.raises(TrainerDied, match="killed by SIGKILL"):
        while True:
            trainer.wait(time.monotonic() + 0.1)
            if (message := trainer.receive()) is not None:
                received.append(message[1])
    assert [message.measurement.step for message in received if isinstance(message, Measured)] == [1, 2]


def next_of(trainer: TrainerProcess) -> FromTrainer:
    message = heard(trainer, DEADLINE_S)
    assert message is not None
    return message


def step_of(trainer: TrainerProcess) -> Measurement:
    message = next_of(trainer)
    assert isinstance(message, Measured)
    return message.measurement


def outcome_of(trainer: TrainerProcess, command: Train) -> FromTrainer:
    """Run `command` to its end, as it ends by itself."""
    trainer.start_log()
    trainer.send(RUN, command)
    while isinstance(message := next_of(trainer), Measured):
        assert not message.waits
    return message


def test_a_run_tells_every_step_and_then_its_test_metrics(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic())
    steps = [next_of(trainer) for _ in range(4)]
    assert [(item.measurement.step, item.measurement.fraction, item.waits) for item in steps if isinstance(item, Measured)] == [
        (1, 0.25, False),
        (2, 0.5, False),
        (3, 0.75, False),
        (4, 1.0, False),
    ]
    ended = next_of(trainer)
    assert isinstance(ended, Trained)
    assert list(ended.test_metrics) == ["test_loss"]


def test_it_is_kept_warm_between_runs(trainer: TrainerProcess) -> None:
    pid = trainer.pid
    for _ in range(3):
        assert isinstance(outcome_of(trainer, quadratic()), Trained)
    assert (trainer.pid, psutil.pid_exists(pid)) == (pid, True)


def test_a_diverged_run_tells_the_evidence_and_is_not_evaluated(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic(learning_rate=0.9))
    item = step_of(trainer)
    assert item.divergence is not None
    assert item.divergence.fraction == 0.25
    assert next_of(trainer) == Trained(test_metrics={})


def test_it_waits_for_an_order_where_a_part_ends_and_nowhere_else(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic(epochs=8, parts=4))
    waited = []
    while isinstance(message := next_of(trainer), Measured):
        if message.waits:
            waited.append(message.measurement.step)
            assert heard(trainer, 0.05) is None
            trainer.send(RUN, Command.GO_ON)
    assert waited == [2, 4, 6]
    assert isinstance(message, Trained)


def test_told_to_stop_where_it_waits_it_trains_no_further(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic(epochs=8, parts=4))
    assert [step_of(trainer).step for _ in range(2)] == [1, 2]
    trainer.send(RUN, Command.STOP)
    assert isinstance(next_of(trainer), Stopped)
    assert isinstance(outcome_of(trainer, quadratic()), Trained)


def test_told_to_stop_it_ends_after_the_step_under_way(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic(epochs=10_000, epoch_s=0.01))
    next_of(trainer)
    trainer.send(RUN, Command.STOP)
    while isinstance(message := next_of(trainer), Measured):
        assert message.measurement.step < 1000
    assert isinstance(message, Stopped)


def test_an_order_that_comes_too_late_is_no_order_for_the_next_run(trainer: TrainerProcess) -> None:
    assert isinstance(outcome_of(trainer, quadratic()), Trained)
    for order in (Command.STOP, Command.SUSPEND, Command.GO_ON, Renewed(hold_at=0.0)):
        trainer.send(RUN, order)
    assert isinstance(outcome_of(trainer, quadratic()), Trained)


def test_past_its_lease_it_asks_for_no_further_item_and_loses_none(trainer: TrainerProcess) -> None:
    trainer.send(RUN, replace(quadratic(epochs=6, epoch_s=0.02), hold_at=time.monotonic()))
    steps = [step_of(trainer).step]
    assert heard(trainer, 0.3) is None
    trainer.send(RUN, Renewed(hold_at=time.monotonic() - 1))
    assert heard(trainer, 0.3) is None
    trainer.send(RUN, Renewed(hold_at=time.monotonic() + 60))
    while isinstance(message := next_of(trainer), Measured):
        steps.append(message.measurement.step)
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("command", "type_", "message"),
    [
        (quadratic(raise_at=2), "RuntimeError", "told to raise"),
        (odd("start raises"), "ValueError", "no such data set"),
        (odd("evaluate raises"), "ValueError", "no test set"),
        (odd("end of file"), "EOFError", "the checkpoint is cut off"),
        (odd("broken pipe"), "BrokenPipeError", "nobody listens"),
        (odd("strange letters"), "RuntimeError", "a NUL \0 and half a letter \udcff"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_objective_raises_is_told_and_the_trainer_lives_on(
    trainer: TrainerProcess, command: Train, type_: str, message: str
) -> None:
    raised = outcome_of(trainer, command)
    assert isinstance(raised, Raised)
    assert (raised.type, raised.message) == (type_, message)
    assert raised.traceback.startswith("Traceback (most recent call last):")
    assert "raise " in raised.traceback
    assert type_ in trainer.log_tail()
    assert isinstance(outcome_of(trainer, quadratic()), Trained)


def test_the_log_holds_all_that_the_run_printed_and_nothing_of_the_run_before(trainer: TrainerProcess) -> None:
    for learning_rate in (0.1, 0.2, 0.3) * 10:
        outcome_of(trainer, quadratic(learning_rate=learning_rate))
        assert trainer.log_tail() == f"training at {learning_rate}\n"


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads take turns as often as can be, so that a result, which comes by another way, may overtake the last lines."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless_threads")
def test_the_log_is_the_last_lines_and_a_line_may_lack_its_end(trainer: TrainerProcess) -> None:
    outcome_of(trainer, odd("chatty"))
    lines = trainer.log_tail().splitlines()
    assert lines == [f"line {line}" for line in range(20_001 - LOG_LINES, 20_000)] + ["no end of line"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"kill_at": 1}, "was killed by SIGKILL"), ({"exit_at": 2}, "exited with code 7")],
)
def test_a_trainer_that_dies_says_how(trainer: TrainerProcess, settings: dict[str, int], said: str) -> None:
    with pytest.raises(TrainerDied, match=said):
        outcome_of(trainer, quadratic(**settings))
    with pytest.raises(TrainerDied, match=said):
        trainer.send(RUN, quadratic())
    assert trainer.log_tail() == "training at 0.1\n"


def test_a_child_of_the_objective_that_holds_the_output_delays_little(trainer: TrainerProcess) -> None:
    assert isinstance(outcome_of(trainer, odd("child")), Raised)
    assert "left a child behind" in trainer.log_tail()
    started = time.monotonic()
    trainer.end()
    assert time.monotonic() - started < LOG_S + AT_ONCE_S


def test_a_trainer_that_dies_and_leaves_a_child_behind_is_noticed_at_once(trainer: TrainerProcess) -> None:
    started = time.monotonic()
    with pytest.raises(TrainerDied, match="exited with code 3"):
        outcome_of(trainer, odd("exit with child"))
    assert time.monotonic() - started < LOG_S + AT_ONCE_S


def test_a_trainer_whose_forked_child_holds_the_pipe_is_noticed_when_it_dies(trainer: TrainerProcess) -> None:
    trainer.send(RUN, odd("killed with fork"))
    with pytest.raises(TrainerDied, match="SIGKILL"):
        wait_until(lambda: heard(trainer, 0.1) is not None, "the news of its death", deadline_s=AT_ONCE_S)


def test_signals_for_the_worker_do_not_touch_it(trainer: TrainerProcess) -> None:
    assert isinstance(outcome_of(trainer, quadratic()), Trained)  # it has come so far as to ignore them
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(trainer.pid, number)
    assert isinstance(outcome_of(trainer, quadratic()), Trained)


def test_it_ends_when_its_worker_closes_the_pipe(trainer: TrainerProcess) -> None:
    assert isinstance(outcome_of(trainer, quadratic()), Trained)
    trainer._pipe.close()
    wait_until(lambda: trainer._process.poll() is not None, "the end of the trainer")
    assert trainer._process.returncode == 0


def test_how_it_died_is_told_alike_however_often_it_is_asked(trainer: TrainerProcess) -> None:
    said = "the trainer process closed its pipe and did not end: it was killed"
    trainer.send(RUN, odd("exit with thread"))
    with pytest.raises(TrainerDied, match=said):
        for _ in range(1000):  # until it has closed its pipe
            trainer.send(RUN, Renewed(hold_at=math.inf))
            time.sleep(0.01)
    with pytest.raises(TrainerDied, match=said):
        heard(trainer, DEADLINE_S)


# Runs are told apart by their ids.


def test_what_is_meant_for_another_run_is_no_command_for_this_one(trainer: TrainerProcess) -> None:
    trainer.send(RUN, quadratic(epochs=8, parts=4))
    assert [step_of(trainer).step for _ in range(2)] == [1, 2]
    for message in (Command.STOP, Command.SUSPEND, Command.GO_ON, Renewed(hold_at=0.0)):
        trainer.send(RUN - 1, message)
    assert heard(trainer, 0.3) is None, "it waits for its own"
    trainer.send(RUN, Command.GO_ON)
    assert [step_of(trainer).step for _ in range(2)] == [3, 4]


def test_what_comes_late_of_a_run_that_was_stopped_is_dropped() -> None:
    kept = KeptTrainer(lambda: TrainerProcess(["tests.quadratic"]))
    try:
        kept.train(quadratic(learning_rate=0.9, epochs=10_000, epoch_s=0.01))  # diverges in its first step
        kept.wait(time.monotonic() + DEADLINE_S)
        kept.send(Command.STOP)
        kept.train(quadratic(learning_rate=0.1))  # all that the first run has said is still in the pipe
        said: list[FromTrainer] = []
        while not said or not isinstance(said[-1], Trained):
            kept.wait(time.monotonic() + DEADLINE_S)
            said += filter(None, [kept.receive()])
        assert [item.measurement.step for item in said if isinstance(item, Measured)] == [1, 2, 3, 4]
        assert all(item.measurement.learning_rate == 0.1 for item in said if isinstance(item, Measured))
        assert len(said) == 5
    finally:
        kept.end()


def test_a_trainer_that_is_frozen_in_the_middle_of_a_message_is_not_waited_for(trainer: TrainerProcess) -> None:
    trainer.send(
        RUN, replace(odd("large state"), checkpoint_s=0.0, place=CheckpointPlace(folder=None, name="0-0", max_bytes=10**8))
    )
    step_of(trainer)
    trainer.wait(time.monotonic() + DEADLINE_S)  # for the first bytes of four million
    os.kill(trainer.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert heard(trainer, 0.1) is None
    assert time.monotonic() - started < AT_ONCE_S
    os.kill(trainer.pid, signal.SIGCONT)
    assert isinstance(next_of(trainer), Checkpointed)
