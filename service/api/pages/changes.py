"""Tells a page when what it shows has changed, by server-sent events; the page then asks for itself again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.errors import StrideError

EVERY_S = 1.0
"""How often it is looked."""
FOR_S = 60.0
"""After which the stream ends; the browser then asks for it again."""
RETRY_MS = 1_000


def stream(seen: Callable[[], Hashable], is_stopping: Callable[[], bool]) -> StreamingResponse:
    """An event `changed` whenever `seen` gives another value; and one at once, for what has changed since the page was made."""
    return StreamingResponse(_events(seen, is_stopping), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(seen: Callable[[], Hashable], is_stopping: Callable[[], bool]) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    before: Hashable = None
    for _ in range(round(FOR_S / EVERY_S)):
        if is_stopping():
            return
        try:
            now = await run_in_threadpool(seen)
        except StrideError:  # such as an outage of the database: the page itself says what it is
            now = "lost"
        if now != before:
            before = now
            yield "event: changed\ndata:\n\n"
        await asyncio.sleep(EVERY_S)
