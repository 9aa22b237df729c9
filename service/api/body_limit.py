"""Refuses request bodies over a size limit, with a problem and not with plain text."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from service.api.dashboard import App, Receive, Scope, Send
from service.api.problems import problem


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware that answers 413 to bodies of more than `max_bytes`. larger: other limits, by the paths that have them."""

    def __init__(self, app: App, max_bytes: int, larger: Mapping[re.Pattern[str], int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        others = (limit for path, limit in self._larger.items() if path.fullmatch(scope["path"]))
        max_bytes = next(others, self._max_bytes)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        read = 0
        started = False

        async def receive_counted() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > max_bytes:  # a chunked body has no Content-Length
                raise _TooLarge
            return message

        async def send_noted(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if length.isdigit() and int(length) > max_bytes:
                raise _TooLarge
            await self._app(scope, receive_counted, send_noted)
        except _TooLarge:
            if started:
                raise
            detail = f"The body may have {max_bytes:,} bytes at most."
            await problem("body-too-large", "The body is too large", 413, detail)(scope, receive, send)
