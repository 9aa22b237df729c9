"""The two ends of the pipe between a worker and its trainer."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from service.worker.trainer.messages import Fitness, Raised, Renewed, SaveModel
from service.worker.trainer.pipe import TrainerPipe, WorkerGone, WorkerPipe

LARGE = "x" * 3_000_000
"""Far more than a socket holds."""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_arrive_in_their_order_with_the_ids_of_their_runs(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, trainer = TrainerPipe(ends[0]), WorkerPipe(ends[1])
    worker.send(1, Renewed(hold_at=1.0))
    worker.send(2, Renewed(hold_at=2.0))
    assert trainer.has_message()
    assert [trainer.receive(), trainer.receive()] == [(1, Renewed(hold_at=1.0)), (2, Renewed(hold_at=2.0))]
    assert not trainer.has_message()
    assert worker.receive() is None
    trainer.send(2, Fitness(problem=None))
    trainer.send(1, Fitness(problem="none"))
    assert [worker.receive() for _ in range(3)] == [(2, Fitness(problem=None)), (1, Fitness(problem="none")), None]


def test_half_a_message_is_not_waited_for(ends: tuple[socket.socket, socket.socket]) -> None:
    worker = TrainerPipe(ends[0])
    aside, beside = socket.socketpair()
    with aside, beside:
        WorkerPipe(aside).send(7, Raised(type="E", message="m", traceback="t"))
        framed = beside.recv(10_000)
    for byte in framed[:-1]:
        ends[1].send(bytes([byte]))
        assert worker.receive() is None
    started = time.monotonic()
    worker.wait(started + 0.05)
    assert time.monotonic() - started >= 0.04, "nothing more has come"
    ends[1].send(framed[-1:])
    worker.wait(time.monotonic() + 60)
    assert worker.receive() == (7, Raised(type="E", message="m", traceback="t"))


def test_what_there_is_no_room_for_goes_out_while_the_trainer_is_waited_for(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, trainer = TrainerPipe(ends[0]), WorkerPipe(ends[1])
    message = SaveModel(step=1, metadata={"large": LARGE})
    worker.send(1, message)
    assert not worker.has_room()
    ends[1].setblocking(False)
    content = bytearray()
    while not worker.has_room():
        worker.wait(time.monotonic() + 0.01)
        content += ends[1].recv(1_000_000)
    assert len(content) > len(LARGE) / 2
    ends[1].setblocking(True)
    worker.send(2, Renewed(hold_at=1.0))
    assert trainer.has_message()


def test_a_large_message_arrives_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, trainer = TrainerPipe(ends[0]), WorkerPipe(ends[1])
    sending = threading.Thread(target=trainer.send, args=(1, Fitness(problem=LARGE)))
    sending.start()
    while (received := worker.receive()) is None:
        worker.wait(time.monotonic() + 60)
    sending.join()
    assert received == (1, Fitness(problem=LARGE))


def test_a_closed_end_is_told_after_what_was_said_before(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, trainer = TrainerPipe(ends[0]), WorkerPipe(ends[1])
    trainer.send(1, Fitness(problem=None))
    ends[1].close()
    worker.wait(time.monotonic() + 60)
    assert worker.receive() == (1, Fitness(problem=None))
    worker.wait(time.monotonic() + 60)
    with pytest.raises(EOFError):
        worker.receive()


def test_a_worker_that_is_gone_is_no_error_of_an_objective(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, trainer = TrainerPipe(ends[0]), WorkerPipe(ends[1])
    worker.close()
    with pytest.raises(WorkerGone):
        trainer.receive()
    with pytest.raises(WorkerGone):
        trainer.send(1, Fitness(problem=None))
