"""Refuses requests that were addressed to another host name, so that a web page cannot reach the API by DNS rebinding.

A page whose name its owner has pointed at this machine is allowed by the browser to read the answers. What gives it away is the
name in the header Host.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from service.api.dashboard import App, Receive, Scope, Send
from service.api.problems import problem

SETTING = "STRIDE_ALLOWED_HOSTS"
ANY = "*"

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?", re.IGNORECASE)


class HostNames:
    """A list of host names and addresses, where one that begins with `*.` stands for all names that end with the rest."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = {normal(name) for name in names}
        self._names = {name for name in listed if not name.startswith("*")}
        self._endings = tuple(name[1:] for name in listed if name.startswith("*."))

    def __contains__(self, name: str) -> bool:
        """name: as `name_in` gives it."""
        return name in self._names or name.endswith(self._endings)


class AllowedHosts:
    """ASGI middleware that answers 421 to requests that do not name an allowed host.

    Allowed are loopback names, the IP address at which the connection arrived, and the names in `allowed`, at any port. `*`
    stands for any name.
    """

    def __init__(self, app: App, allowed: Sequence[str]) -> None:
        self._app = app
        self._any = ANY in allowed
        self._names = HostNames((*allowed, "localhost"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._any or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(given) == 1 and self._is_allowed(given[0], scope):
            await self._app(scope, receive, send)
            return
        said = f"The request is addressed to {given[0]!r}" if given else "The request does not name a host"
        detail = f"{said}. The API answers to 127.0.0.1, localhost, [::1], and the names in {SETTING}: add yours there."
        await problem("host-not-allowed", "The API does not answer to this host name", 421, detail)(scope, receive, send)

    def _is_allowed(self, host: str, scope: Scope) -> bool:
        name = name_in(host)
        if name is None:
            return False
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or address == _address((scope.get("server") or ("",))[0]))


def name_in(host: str) -> str | None:
    """The host's name, as names are compared, in a header `Host`, which may have a port; None if it is none."""
    matched = _HOST.fullmatch(host)
    return None if matched is None else normal(matched[1])


def normal(name: str) -> str:
    """A host name in the form in which names are compared: in lower case, without brackets and the final dot.

    An address in its shortest form: IPv6 has many for one.
    """
    name = name.lower().strip("[]").removesuffix(".")
    return str(_address(name) or name)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a name is; None if it is none. One of IPv4 is the same within IPv6, as a socket for both shows it."""
    try:
        address = ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
