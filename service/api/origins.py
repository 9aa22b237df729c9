"""Refuses changes that the page of another site asks for, in the browser of somebody who can reach the API.

A browser sends them without asking, where they are as simple as a form. What gives them away are headers that browsers set and
pages cannot: `Sec-Fetch-Site` and `Origin`. Clients that are no browsers send neither, and pass.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from service.api.dashboard import App, Receive, Scope, Send
from service.api.hosts import SETTING, HostNames, name_in
from service.api.problems import problem

CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""The safe methods of RFC 9110."""
OWN = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of requests by pages of ours, and of those by no page."""


class OwnOrigin:
    """ASGI middleware that answers 403 to changes which a page of another site asks for.

    A page is ours if its host is the one that the request is addressed to, at any port, or one of those in `allowed`.
    """

    def __init__(self, app: App, allowed: Sequence[str]) -> None:
        self._app = app
        self._names = HostNames(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in CHANGES_NOTHING:
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if self._is_own(site, origin, headers.get(b"host", "")):
            await self._app(scope, receive, send)
            return
        detail = (
            f"A page of {origin or 'another site'} asked for this, and pages of other sites may change nothing here."
            f" If it is yours, list the name of its host in {SETTING}."
        )
        await problem("foreign-origin", "The request comes from another site", 403, detail)(scope, receive, send)

    def _is_own(self, site: str | None, origin: str | None, host: str) -> bool:
        if site in OWN or (site is None and origin is None):
            return True
        if site == "cross-site" or origin is None:
            return False
        name = _host_of(origin)
        return name is not None and (name == name_in(host) or name in self._names)


def _host_of(origin: str) -> str | None:
    """The host's name in a header `Origin`; None for `null`, as pages without an address of their own send."""
    try:
        return name_in(urlsplit(origin).netloc)
    except ValueError:
        return None
