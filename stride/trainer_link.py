"""What the trainer hears of a run in the script's process: each report waits until the trainer asks for the next step."""

import os
import threading
from typing import Any

from stride.connection import Closed, Connection, Message
from stride.reporting import Encode, NoState

STOP_S = 10.0
"""How long a function may take to return once it was told to stop; then its process ends."""


class TrainerLink:
    """The listener of one run. saved: the state at which it resumes; empty: it begins."""

    def __init__(self, connection: Connection, saved: bytes) -> None:
        self._connection = connection
        self._saved = saved
        self._last_words: threading.Timer | None = None

    def saved(self) -> bytes:
        """As the trainer sent it."""
        return self._saved

    def hear(self, report: dict[str, Any], encode: Encode) -> bool:
        """Send a report, and wait; send the state when it is asked for."""
        self._send({"type": "report"} | report)
        while True:
            message, _ = self._receive()
            match message["type"]:
                case "save":
                    self.send_state(encode, message["only"])
                case "stop":
                    self._last_words = threading.Timer(STOP_S, os._exit, (0,))
                    self._last_words.daemon = True
                    self._last_words.start()
                    return True
                case _:
                    return False

    def send_state(self, encode: Encode, only: str | None) -> None:
        """Send what was saved for the last report, or why there is nothing. only: this entry of it."""
        try:
            content = encode(only)
        except NoState as flaw:
            self._send({"type": "no state", "reason": str(flaw)})
        else:
            self._send({"type": "state"}, content)

    def end(self) -> None:
        """After the function has returned: it may take as long as it likes no more."""
        if self._last_words is not None:
            self._last_words.cancel()

    def _send(self, message: Message, blob: bytes = b"") -> None:
        try:
            self._connection.send(message, blob)
        except Closed:
            os._exit(0)  # the process that asked for all this has ended

    def _receive(self) -> tuple[Message, bytes]:
        try:
            return self._connection.receive()
        except Closed:
            os._exit(0)
