"""A request to stop that a signal handler makes and the main thread notices."""

import queue
from contextlib import suppress


class StopRequest:
    """A flag that a signal handler sets and the interrupted thread waits for.

    A handler runs between any two instructions of the main thread. threading.Event holds a lock during parts of `wait`: a
    handler that interrupts one of them and sets the event deadlocks. queue.SimpleQueue is safe to put to from a handler, and
    keeps what was put between a check and a wait.
    """

    def __init__(self) -> None:
        self._set = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """From now on, `wait` returns at once."""
        self._set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout_s: float) -> None:
        """Wait until it is set, at most timeout_s. For one thread only: a second one would not be woken."""
        if not self._set:
            with suppress(queue.Empty):
                self._wake.get(timeout=timeout_s)
