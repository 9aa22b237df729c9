"""Requests to a Stride service: JSON in, JSON out, sent again while it is away, one error for each kind of failure."""

import math
import random
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from stride.errors import Refused, ServiceFailed, StrideError, Unreachable

TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 300.0
"""For answers about many trials, which are computed when they are asked for."""
RETRY_S = 300.0
"""How long a service that has answered before may be away."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between two tries; each pause is twice the one before."""
AWAY = frozenset({408, 502, 503, 504})
"""Statuses of a service, or of a proxy before it, that may soon answer; 408: this process was stopped while it sent."""
NOT_FOUND = 404
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Http:
    """The connection to one service, for all threads of this process.

    Every request may be sent again, since each of the service's changes is safe to ask for twice. Raises Unreachable, Refused
    (4xx) and ServiceFailed (5xx), each with a sentence.
    """

    def __init__(self, url: str, retry_s: float = RETRY_S) -> None:
        """url: of the service. retry_s: how long requests are sent again while it is away. Raises ValueError."""
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            parsed = httpx2.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"the URL of a Stride looks like http://127.0.0.1:8000, not {url!r}")
        self.url = url.rstrip("/")
        self._retry_s = retry_s
        self._has_answered = False
        # The proxy of the environment is not for requests to this machine; to read certificates takes longer than most of them.
        local = parsed.host in LOCAL_HOSTS
        verify = parsed.scheme == "https" or not local
        self._client = httpx2.Client(base_url=parsed, timeout=TIMEOUT_S, trust_env=not local, verify=verify)

    def get(self, path: str, timeout_s: float = TIMEOUT_S, **query: Any) -> Any:
        """The document at `path`. Query parameters that are None are left out."""
        return self.send("GET", path, query=query, timeout_s=timeout_s).json()

    def post(self, path: str, document: Any = None, *, key: str | None = None, retry_s: float | None = None) -> Any:
        """Post a document; returns the response's. key: an Idempotency-Key, where nothing else tells that it is sent again."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.send("POST", path, document=document, headers=headers, retry_s=retry_s).json()

    def delete(self, path: str) -> None:
        """Delete what is at `path`."""
        self.send("DELETE", path)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        document: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        retry_s: float | None = None,
    ) -> httpx2.Response:
        """The response, which is a success. content: a body of bytes. retry_s: in place of that of all requests."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        body: dict[str, Any] = {"json": _plain(document)} if content is None else {"content": content}
        until = time.monotonic() + (self._retry_s if retry_s is None else retry_s)
        pause_s, was_sent = FIRST_PAUSE_S, False
        while True:
            failure: StrideError
            try:
                response = self._client.request(method, path, params=params, headers=headers, timeout=timeout_s, **body)
            except httpx2.HTTPError as error:
                failure = Unreachable(self._unreachable(error))
                failure.__cause__ = error
            else:
                self._has_answered = True
                if response.is_success or (method == "DELETE" and was_sent and response.status_code == NOT_FOUND):
                    return response
                failure = self._failure(response, f"{method} {path}")
                if response.status_code not in AWAY:
                    raise failure
            if not self._has_answered or time.monotonic() + pause_s > until:
                raise failure
            was_sent = True
            time.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _unreachable(self, error: httpx2.HTTPError) -> str:
        if isinstance(error, httpx2.ReadTimeout):
            return f"Stride at {self.url} has not answered in time. It may be busy: try again later."
        cause = re.sub(r"^\[Errno -?\d+\] ", "", str(error) or type(error).__name__).rstrip(".").lower()
        return (
            f"Stride does not answer at {self.url}: {cause}. Start it with `stride up`, or give Client its URL (or set"
            " STRIDE_URL), or use Client.local(), which starts one for this process."
        )

    def _failure(self, response: httpx2.Response, what: str) -> StrideError:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or "title" not in problem:
            return Unreachable(f"The server at {self.url} is not Stride: it answered {what} with status {response.status_code}.")
        if response.status_code >= 500 or response.status_code in AWAY:
            return ServiceFailed(_in_words(problem))
        kind = str(problem.get("type", "")).removeprefix("urn:stride:")
        return Refused(_in_words(problem), response.status_code, kind, problem)


def _in_words(problem: dict[str, Any]) -> str:
    """A problem (RFC 9457) as a sentence, with a further line for each of its faults."""
    title, detail = problem["title"].rstrip("."), (problem.get("detail") or "").rstrip(".")
    summary = detail if detail.startswith(title) else f"{title}: {detail}" if detail else title
    faults = [f"  {fault['pointer'] or '/'}: {fault['detail']}" for fault in problem.get("errors") or []]
    return "\n".join([f"{summary}:" if faults else f"{summary}.", *faults])


def _plain(value: Any) -> Any:
    """A document in which numbers that JSON does not have are text, as the service takes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
