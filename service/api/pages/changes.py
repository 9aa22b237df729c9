"""Tells a page when what it shows has changed, by server-sent events; the page then asks for itself again."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.errors import StrideError

EVERY_S = 1.0
"""How often it is looked."""
FOR_S = 60.0
"""After which the stream ends; the browser then asks for it again."""
RETRY_MS = 1_000
REST = 4.0
"""So many times as long as a page took to be made nothing is told: one that is open costs a fifth of a core at most."""


def stream(
    seen: Callable[[], Hashable], is_stopping: Callable[[], bool], took: Callable[[], float] = lambda: 0.0
) -> StreamingResponse:
    """An event `changed` whenever `seen` gives another value; and one at once, for what has changed since the page was made.

    took: the seconds of a core that the page takes to be made. After an event there is none for `REST` times as long.
    """
    events = _events(seen, is_stopping, took)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(seen: Callable[[], Hashable], is_stopping: Callable[[], bool], took: Callable[[], float]) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    before: Hashable = None
    ends_at = time.monotonic() + FOR_S
    told_at = -math.inf
    while not is_stopping():
        told = ":\n\n"  # a comment, since proxies end connections on which nothing comes
        # The page is made after the event: how long it took is known only then.
        if time.monotonic() >= told_at + (1 + REST) * took():
            if time.monotonic() >= ends_at:  # not while it rests: the next stream begins with an event
                return
            try:
                now = await run_in_threadpool(seen)
            except StrideError:  # such as an outage of the database: the page itself says what it is
                now = "lost"
            if now != before:
                before, told_at, told = now, time.monotonic(), "event: changed\ndata:\n\n"
        yield told
        await asyncio.sleep(EVERY_S)
