"""A proxy in front of the database that classifies the commits through it and drops the reply to the k-th commit of a kind.

A transaction is classified by what the client sends between BEGIN and COMMIT: the events that it writes, the tables that it
inserts into. A commit counts when the server has answered it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from tests.tcp_proxy import TcpProxy

MARKS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("submit", (b"job.submitted",)),
    ("extend", (b"job.extended",)),
    ("next phase", (b"phase.started",)),
    ("cancel", (b"job.cancelled",)),
    ("pause", (b"job.paused",)),
    ("resume", (b"job.resumed",)),
    ("trainer death", (b"trainer.died",)),
    ("takeover", (b"lease.taken_over",)),
    ("finish", (b"trial.completed", b"trial.infeasible", b"trial.pruned", b"trial.failed")),
    ("claim", (b"trial.started",)),
    ("release", (b"released_at = clock_timestamp()",)),
    ("going on", (b"trial.resumed",)),
    ("checkpoint", (b"INSERT INTO stride.checkpoints",)),
    ("report", (b"INSERT INTO stride.measurements",)),
    ("notes", (b"stride.notes",)),
    (
        "unknown",
        (
            b"INSERT INTO optuna.",
            b"UPDATE optuna.",
            b"INSERT INTO stride.leases",
            b"ended_at = clock_timestamp()",
            b"event_seq +",
        ),
    ),
)
"""Kinds of transactions, and the patterns that identify them. The first match counts: a finish reports too. `unknown` is one that
writes a job, a trial or the end of a lease and is none of these: part of something that should have been one transaction. A sweep
would miss the window after it."""

_PROTOCOL_3 = 3 << 16


class CommitProxy(TcpProxy):
    """Passes everything on except the reply that it is to drop."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.commits: Counter[str] = Counter()
        """Commits of each kind since the last call of `lose`."""
        self.has_lost = False
        self._wanted = ("", 0)
        self._at_loss: Callable[[], None] = _nothing

    def lose(self, kind: str, k: int, at_loss: Callable[[], None] | None = None) -> None:
        """Reset the counts, and drop the reply to the k-th commit of a kind. at_loss: called after the commit, right before the
        drop."""

        def begin() -> None:
            self.commits.clear()
            self.has_lost, self._wanted, self._at_loss = False, (kind, k), at_loss or _nothing

        self._loop.call_soon_threadsafe(begin)

    def _flows(
        self,
        client: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        said = Conversation()
        return _pass_on(client, to_server, said.add), _pass_on(server, to_client, lambda data: self._look(said, data))

    def _look(self, said: "Conversation", reply: bytes) -> None:
        """Raises ConnectionResetError instead of passing on the reply that is to be dropped."""
        if said.committing is None or b"COMMIT\0" not in reply:
            return
        kind, said.committing = said.committing, None
        self.commits[kind] += 1
        if not self.has_lost and (kind, self.commits[kind]) == self._wanted:
            self.has_lost = True
            self._at_loss()
            raise ConnectionResetError


class Conversation:
    """What a client sends to PostgreSQL on one connection."""

    def __init__(self) -> None:
        self.committing: str | None = None
        """The kind of the transaction whose COMMIT was sent and is not answered yet."""
        self._unread = b""
        self._greeted = False
        self._transaction = b""

    def add(self, data: bytes) -> None:
        """Add bytes from the client."""
        self._unread += data
        for kind, body in self._messages():
            if kind in b"QPB":  # a query; or its text and, apart, its parameters
                self._take_in(kind, body)

    def _take_in(self, kind: bytes, body: bytes) -> None:
        # The text of P comes after the name of the statement, which is empty.
        text = {b"Q": body, b"P": body[1:]}.get(kind, b"")
        if text.startswith(b"BEGIN"):
            self._transaction = b""
        elif text.startswith(b"COMMIT"):
            self.committing = kind_of(self._transaction)
        else:
            self._transaction += body

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """The complete messages received. Those before the startup message have no type byte, only a length."""
        while len(self._unread) >= 8 or (self._greeted and len(self._unread) >= 5):
            typed = int(self._greeted)
            end = typed + int.from_bytes(self._unread[typed : typed + 4], "big")
            if len(self._unread) < end:
                return
            kind, body = self._unread[:typed], self._unread[typed + 4 : end]
            self._unread = self._unread[end:]
            if self._greeted:
                yield kind, body
            else:  # else a request for TLS
                self._greeted = int.from_bytes(body[:4], "big") == _PROTOCOL_3


def kind_of(transaction: bytes) -> str:
    """The kind of a transaction, by the statements and parameters sent in it."""
    for kind, marks in MARKS:
        if any(mark in transaction for mark in marks):
            return kind
    return "other"


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, look: Callable[[bytes], None]) -> None:
    while data := await source.read(65_536):
        look(data)
        target.write(data)
    target.write_eof()


def _nothing() -> None: ...
