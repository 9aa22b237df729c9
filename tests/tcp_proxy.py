"""A TCP proxy that misbehaves on demand: what may lie between a process and its database."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

from service.store.postgres import psycopg_url

HOST = "127.0.0.1"
QUIET_TURNS = 10
"""Of the loop without a task: then nothing that was accepted is left."""


class Mode(Enum):
    PASS = auto()
    BLACK_HOLE = auto()
    """Connections are accepted and stay open, and nothing moves; what was sent arrives when the mode changes back."""
    RESET = auto()
    """Whoever sends something gets a reset."""
    LOSE_REPLY = auto()
    """What clients send arrives; when the server answers, the client gets a reset instead."""


class TcpProxy:
    """Stands before the server of `url`; `url` of the proxy leads through it to the same database."""

    def __init__(self, url: str) -> None:
        self._server = psycopg_url(url)
        self._loop = asyncio.new_event_loop()
        # The loop holds its tasks weakly, and nothing else does while a client has gone and the server is silent.
        self._serving: set[asyncio.Task[Any] | None] = set()
        self._needle, self._then = b"", Mode.PASS
        self.mode = Mode.PASS
        self.latency_s = 0.0

    @property
    def url(self) -> str:
        return self._server.set(host=HOST, port=self._port).render_as_string(hide_password=False)

    def when(self, needle: bytes, then: Mode) -> None:
        """Change the mode to `then` as soon as a client sends `needle`."""
        self._needle, self._then = needle, then

    def __enter__(self) -> Self:
        self._listening = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, 0))
        self._port: int = self._listening.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        self._listening.close()
        # What was accepted a moment ago becomes a task some turns later, and can be cancelled once it has begun.
        begun: set[asyncio.Task[Any] | None] = set()
        quiet_turns = 0
        while quiet_turns < QUIET_TURNS:
            await asyncio.sleep(0)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks & begun:
                task.cancel()
            begun = {*tasks}
            quiet_turns = 0 if tasks else quiet_turns + 1

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            await self._pass_on(client, to_client)
        finally:
            self._serving.discard(task)

    async def _pass_on(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(self._server.host, self._server.port)
        except (OSError, asyncio.CancelledError):  # the server is down, or the proxy ends
            to_client.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                for flow in self._flows(client, to_server, server, to_client):
                    both.create_task(flow)
        except* asyncio.CancelledError:
            pass  # the proxy ends
        except* OSError:
            with suppress(OSError):  # the client has gone before
                # Lingering for no time makes the close a reset.
                to_client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            to_client.transport.abort()
            to_server.transport.abort()

    def _flows(
        self,
        client: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        """What moves on one connection, to the server and back."""
        return self._requests(client, to_server), self._replies(server, to_client)

    async def _requests(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            if self._needle and self._needle in data:
                self.mode = self._then
            await self._obstruct()
            to_server.write(data)
        to_server.write_eof()

    async def _replies(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await server.read(65_536):
            await self._obstruct()
            if self.mode is Mode.LOSE_REPLY:
                raise ConnectionResetError
            to_client.write(data)
        to_client.write_eof()

    async def _obstruct(self) -> None:
        await asyncio.sleep(self.latency_s)
        while self.mode is Mode.BLACK_HOLE:
            await asyncio.sleep(0.01)
        if self.mode is Mode.RESET:
            raise ConnectionResetError
