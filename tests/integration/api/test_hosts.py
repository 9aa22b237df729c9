"""The API answers to the names of this machine and to those that the operator lists, and to no others."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.dashboard import App, Receive, Scope, Send
from service.app import create_app
from service.commands.roles import listen
from service.settings import Settings
from service.store.postgres import Database
from tests.integration.api.asking import problem

LISTED = ("api", "*.example.org", "Stride.Example.com")


def client_of(database: Database, *, host: str = "127.0.0.1", allowed: Sequence[str] = ()) -> TestClient:
    """Not entered: its lifespan would start the sweeper."""
    settings = Settings.model_validate({"host": host, "allowed_hosts": ",".join(allowed)})
    return TestClient(create_app(settings, database), "http://testserver", raise_server_exceptions=False)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.1.2.3:65535",
        "[::1]",
        "[::1]:8000",
        "[0:0::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_names_are_answered_at_any_port(database: Database, host: str) -> None:
    assert client_of(database).get("/healthz", headers={"Host": host}).status_code == 200


REFUSED = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example"),
    *(
        "localhost:80:evil.example",
        "localhost,evil.example",
        "evil.example#localhost",
        "10.0.0.1",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
        "api",
        "",
    ),
]


@pytest.mark.parametrize("host", REFUSED)
def test_other_names_are_refused_with_a_problem_that_names_the_setting(database: Database, host: str) -> None:
    body = problem(client_of(database).get("/healthz", headers={"Host": host}), 421)
    assert body["type"] == "urn:stride:host-not-allowed"
    assert repr(host) in body["detail"]
    assert "STRIDE_ALLOWED_HOSTS" in body["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/", "/healthz", "/readyz", "/v1/jobs", "/docs", "/openapi.json", "/nowhere")),
        *(("GET", path) for path in ("/dashboard", "/dashboard/", "/api/studies", "/static/bundle.js")),
        *(("POST", "/v1/jobs"), ("DELETE", "/v1/jobs/x"), ("OPTIONS", "/v1/jobs"), ("HEAD", "/healthz")),
    ],
)
def test_every_route_is_refused(database: Database, method: str, path: str) -> None:
    assert client_of(database).request(method, path, headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("api", 200), ("api:8000", 200), ("stride.example.com", 200), ("a.b.example.org:80", 200), ("localhost", 200)),
        *(("example.org", 421), ("evilexample.org", 421), ("api.evil.example", 421)),
    ],
)
def test_listed_names_are_answered(database: Database, host: str, status: int) -> None:
    assert client_of(database, allowed=LISTED).get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("listed", ["2001:db8::1", "[2001:DB8:0::1]", "2001:0db8:0:0:0:0:0:1"])
@pytest.mark.parametrize("host", ["[2001:db8::1]:8000", "[2001:DB8::0:1]"])
def test_an_address_is_the_same_however_it_is_written(database: Database, listed: str, host: str) -> None:
    assert client_of(database, allowed=[listed]).get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.7:80", "[::ffff:192.0.2.7]"])
@pytest.mark.parametrize("reached", ["192.0.2.7", "::ffff:192.0.2.7"])  # the latter on a socket for both versions of IP
def test_the_address_that_was_reached_is_answered(database: Database, reached: str, host: str) -> None:
    client = TestClient(at(create_app(Settings(), database), reached))
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/healthz", headers={"Host": "192.0.2.8"}).status_code == 421


def at(app: FastAPI, address: str) -> App:
    """The app, for connections that arrive at `address`."""

    async def reached(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "server": (address, 8000)}, receive, send)

    return reached


def test_a_star_turns_the_check_off(database: Database) -> None:
    assert client_of(database, allowed=["*"]).get("/healthz", headers={"Host": "evil.example"}).status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.7", "stride.lan", "::2"])
def test_the_name_that_the_api_listens_on_is_answered(database: Database, host: str) -> None:
    client = client_of(database, host=host)
    assert client.get("/healthz", headers={"Host": f"[{host}]:80" if ":" in host else f"{host}:80"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 421


@contextmanager
def serving(database: Database) -> Iterator[int]:
    """A real server on all addresses of this machine; its port."""
    app = create_app(Settings(host="0.0.0.0"), database)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with listen("0.0.0.0", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(address: str, port: int, *lines: str) -> str:
    """The status line of the answer to a request of these lines."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return connection.makefile("rb").readline().decode().partition(" ")[2][:3]


def test_a_real_server_judges_what_is_on_the_wire(database: Database) -> None:
    with serving(database) as port:
        get = "GET /healthz HTTP/1.1"
        assert ask("127.0.0.1", port, get, f"Host: 127.0.0.1:{port}") == "200"
        assert ask("127.0.0.1", port, get, "Host: evil.example") == "421"
        # HTTP/1.0 need not name a host; browsers always do.
        assert ask("127.0.0.1", port, "GET /healthz HTTP/1.0") == "421"
        assert ask("127.0.0.1", port, "GET /healthz HTTP/1.0", "Host: localhost") == "200"
        upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        assert ask("127.0.0.1", port, get, "Host: evil.example", *upgrade) == "421"
        assert ask("127.0.0.1", port, get, "Host: localhost", "Host: evil.example") in ("400", "421")


def test_a_server_on_all_addresses_answers_to_the_one_that_was_reached(database: Database) -> None:
    own = own_address()
    if own is None:
        pytest.skip("this machine has a loopback address only")
    with serving(database) as port:
        assert ask(own, port, "GET /healthz HTTP/1.1", f"Host: {own}:{port}") == "200"
        assert ask(own, port, "GET /healthz HTTP/1.1", "Host: 192.0.2.1") == "421"


def own_address() -> str | None:
    """An address of this machine beside loopback. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address
