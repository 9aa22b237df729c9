"""Stock optuna-dashboard in the API process, read-only.

It has no authentication, would delete a study on request, and cannot be mounted under a prefix. So requests for its own paths
are passed to it, if they are GET or HEAD. It has no setting that hides the buttons that are refused then, so a style sheet in
its page does.
"""

import re
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from starlette.concurrency import run_in_threadpool

from service.api import problems
from service.errors import StrideError
from service.store import revision
from service.store.optuna_tables import dashboard_storage
from service.store.postgres import Database

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PATHS = re.compile(r"/(dashboard(/.*)?|static/.*|favicon\.ico|api/(meta|studies.*|compare-studies.*)|csv/\d+|artifacts/.*)")

_ANY_ENCODING = (b"accept-encoding", b"identity")
"""The dashboard fails on requests without the header Accept-Encoding."""


_STYLE = b"""<style>
button[aria-label="rename study"], button[aria-label="delete study"],
button:has(> .MuiButton-startIcon > [data-testid="AddBoxIcon"]), button:has(> [data-testid="EditIcon"]) { display: none }
.MuiCardContent-root a:not([class]) { color: inherit }
</style>"""
"""Hides the buttons that rename, delete and create studies, and those that edit notes. Links in notes are readable on the dark
page too."""
_HEAD_END = b"</head>"
_CONDITIONS = frozenset({b"if-modified-since", b"if-none-match", b"if-range", b"range"})


class Dashboard:
    """ASGI middleware that serves the dashboard's paths and passes all others to `app`."""

    def __init__(self, app: App, database: Database) -> None:
        self._app = app
        self._database = database
        self._dashboard: App | None = None
        self._close: Callable[[], None] = _nothing_to_close
        self._creating = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            self._close()
        elif scope["type"] != "http" or not _PATHS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            detail = "The dashboard shows jobs; to change them, use /v1/jobs."
            answer = problems.problem("read-only", "The dashboard is read-only", 405, detail)
            answer.headers["Allow"] = "GET, HEAD"
            await answer(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            dashboard = await run_in_threadpool(self._ready_dashboard)
        except StrideError as error:
            await problems.of(error)(scope, receive, send)
            return
        if not any(name == b"accept-encoding" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], _ANY_ENCODING]}
        if scope["path"].startswith("/dashboard"):
            await _with_style(dashboard, scope, receive, send)
        else:
            await dashboard(scope, receive, send)

    def _ready_dashboard(self) -> App:
        """The dashboard, created on first use. The transaction on each use makes an outage of the database a clear error."""
        # Not at the top: it takes as long to import as everything else together, and not every API process serves it.
        import optuna_dashboard  # type: ignore[import-untyped]

        with self._database.transaction() as conn, self._creating:
            if self._dashboard is None:
                revision.check(conn)
                storage = dashboard_storage(self._database.url.render_as_string(hide_password=False))
                self._close = storage.engine.dispose
                self._dashboard = cast(App, WSGIMiddleware(optuna_dashboard.wsgi(storage)))
            return self._dashboard


async def _with_style(dashboard: App, scope: Scope, receive: Receive, send: Send) -> None:
    """The dashboard's page with our style sheet, always as a whole: its file may be older than the style."""
    scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in _CONDITIONS]}
    start: MutableMapping[str, Any] = {}
    body = b""

    async def styled(message: MutableMapping[str, Any]) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            start = message
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        whole = body.replace(_HEAD_END, _STYLE + _HEAD_END, 1)
        left_out = (b"last-modified", b"etag", b"accept-ranges", b"content-length")
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in left_out]
        if scope["method"] == "GET":
            headers.append((b"content-length", str(len(whole)).encode()))
        await send({**start, "headers": headers})
        await send({**message, "body": whole})

    await dashboard(scope, receive, styled)


def _nothing_to_close() -> None:
    """Stands for closing the dashboard's storage until there is one."""
