"""A process that is asked to stop by a signal, whatever it is at."""

import queue
from contextlib import suppress


class StopRequest:
    """A flag that a signal handler sets and the interrupted thread waits for.

    A handler runs between any two instructions of the main thread. threading.Event holds a lock for moments of `wait`, and
    setting it from a handler that interrupts one of them waits for that lock for ever. queue.SimpleQueue may be put to from a
    handler, and keeps what came between a look and a wait.
    """

    def __init__(self) -> None:
        self._set = False
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """From now on, `wait` returns at once."""
        self._set = True
        self._rung.put(None)

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout_s: float) -> None:
        """Until it is set, and no longer than that. For one thread: another would not be woken."""
        if not self._set:
            with suppress(queue.Empty):
                self._rung.get(timeout=timeout_s)
