"""The proxy that tests put before PostgreSQL."""

import gc
import socket
import threading
from contextlib import suppress

import pytest

from tests.tcp_proxy import HOST, TcpProxy


def test_connections_that_come_as_it_ends_are_ended_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """A task that outlived the loop was told of by whatever test came next, which failed."""
    with socket.create_server((HOST, 0), backlog=1_000) as server:
        for _ in range(20):
            ending = threading.Event()
            with TcpProxy(f"postgresql://{HOST}:{server.getsockname()[1]}/test") as proxy:
                port = proxy._port
                clients = threading.Thread(target=_connect_until, args=(ending, port))
                clients.start()
                while not proxy._loop.is_running():
                    pass
            ending.set()
            clients.join()
    gc.collect()
    assert caplog.messages == []


def test_a_connection_whose_client_has_gone_while_the_server_is_silent_is_no_garbage(caplog: pytest.LogCaptureFixture) -> None:
    """An event loop holds its tasks weakly, and such a connection's were collected whenever Python liked."""
    with socket.create_server((HOST, 0)) as server:
        with TcpProxy(f"postgresql://{HOST}:{server.getsockname()[1]}/test") as proxy:
            with socket.create_connection((HOST, proxy._port)) as client:
                client.send(b"?")
            connection, _ = server.accept()
            with connection:
                while connection.recv(1):
                    pass  # now the proxy has seen that the client is gone
                gc.collect()
    assert caplog.messages == []


def _connect_until(ending: threading.Event, port: int) -> None:
    while not ending.is_set():
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1) as client:
            client.send(b"?")
