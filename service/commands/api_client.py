"""The REST API as the commands use it: JSON in, JSON out, and one clear error for each kind of failure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Self
from uuid import UUID

import httpx2

from service.commands.configuration import read_settings
from service.errors import ConfigurationError, StrideError

TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 300.0
"""Comparing twenty jobs with thousands of trials takes a minute or more; what waits for the database times out in the service."""
TIMEOUTS = httpx2.Timeout(TIMEOUT_S, read=ANSWER_TIMEOUT_S)
LATEST = "latest"
NO_CONTENT = 204
BEGINNING = re.compile("[0-9A-Fa-f]{8}[0-9A-Fa-f-]*")
"""Of a job's id: as much as the API takes for it."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Unreachable(StrideError):
    """The service cannot be reached."""


class Refused(StrideError):
    """The service refused the request."""


class ServiceFailed(StrideError):
    """The service cannot serve the request now."""


class ApiClient:
    """A client of one Stride service. Raises Unreachable, Refused (4xx), ServiceFailed (5xx)."""

    def __init__(self, url: str | None) -> None:
        """url: of the API; None: the one in the settings."""
        self.url = url or read_settings().url
        try:
            parsed = httpx2.URL(self.url)
        except httpx2.InvalidURL:
            parsed = httpx2.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigurationError(
                f"The API's URL should look like http://127.0.0.1:8000, not {self.url!r} (--url, STRIDE_URL)."
            )
        # The proxy of the environment is not for requests to this machine; to read certificates takes longer than most of them.
        local = parsed.host in LOCAL_HOSTS
        verify = parsed.scheme == "https" or not local
        self._http = httpx2.Client(base_url=parsed, timeout=TIMEOUTS, trust_env=not local, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The document at `path`; query parameters that are None are left out."""
        return self._ask("GET", path, query)

    def post(self, path: str, document: Any = None, *, key: str | None = None, **query: Any) -> Any:
        """Post `document`, or an empty body; returns the response's document. key: of a request that may be sent again."""
        return self._ask("POST", path, query, document, {} if key is None else {"Idempotency-Key": key})

    def text(self, path: str, media_type: str) -> str:
        """The text at `path`, which is of this media type."""
        response = self._send("GET", path, {})
        if response.is_success and response.headers.get("content-type", "").partition(";")[0] == media_type:
            return response.text
        raise self._error(response, "GET", path)

    def delete(self, path: str) -> None:
        """Delete what is at `path`."""
        self._ask("DELETE", path, {})

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """All pages of a list."""
        cursor = None
        while True:
            page = self.get(path, limit=100, cursor=cursor, **query)
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def items(self, path: str, **query: Any) -> Iterator[Any]:
        """All items of a list, page after page."""
        for page in self.pages(path, **query):
            yield from page["items"]

    def whole(self, path: str, **query: Any) -> Any:
        """A list with all its items, as one page."""
        return {"items": list(self.items(path, **query)), "next_cursor": None}

    def page_url(self, job_id: str) -> str:
        """Where a browser finds the job's page."""
        return f"{self.url.rstrip('/')}/jobs/{job_id[:8]}"

    def job_id(self, job: str) -> str:
        """The id of the job that `job` names: by its id, an unambiguous prefix of it, or 'latest'. Raises Refused."""
        if job == LATEST:
            for newest in self.get("/v1/jobs", limit=1)["items"]:
                return str(newest["id"])
            raise Refused("There are no jobs yet.")
        try:
            return str(UUID(job))
        except ValueError:
            pass
        if BEGINNING.fullmatch(job):
            return str(self.get(f"/v1/jobs/{job}")["id"])
        matching = [item["id"] for item in self.items("/v1/jobs") if item["id"].startswith(job.lower())] if job else []
        if len(matching) == 1:
            return str(matching[0])
        if not matching:
            raise Refused(f"There is no job whose id begins with {job!r}.")
        raise Refused(
            f"{len(matching)} jobs have ids that begin with {job!r}: {', '.join(sorted(matching)[:3])}... Give more of the id."
        )

    def _ask(
        self, method: str, path: str, query: dict[str, Any], document: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        response = self._send(method, path, query, document, headers)
        answer = _document(response)
        if response.is_success and (answer is not None or response.status_code == NO_CONTENT):
            return answer
        raise self._error(response, method, path)

    def _send(
        self, method: str, path: str, query: dict[str, Any], document: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            return self._http.request(method, path, params=params, json=document, headers=headers)
        except httpx2.ReadTimeout as error:
            raise Unreachable(
                f"Stride at {self.url} has not answered {method} {path} within {ANSWER_TIMEOUT_S:.0f} s."
                " It may be busy: try again later."
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"Stride does not answer at {self.url}: {_cause(error)}. Is it running (`stride up`)? See --url."
            ) from error

    def _error(self, response: httpx2.Response, method: str, path: str) -> StrideError:
        """What to raise for a response that is not what was asked for."""
        answer = _document(response)
        if not isinstance(answer, dict) or "title" not in answer:
            return Unreachable(f"The server at {self.url} is not Stride: {method} {path} returned status {response.status_code}.")
        return (Refused if response.status_code < 500 else ServiceFailed)(_in_words(answer))


def _document(response: httpx2.Response) -> Any:
    """The JSON of a response; None where it holds none."""
    try:
        return response.json()
    except ValueError:
        return None


def _cause(error: httpx2.HTTPError) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error) or type(error).__name__).rstrip(".").lower()


def _in_words(problem: dict[str, Any]) -> str:
    """A problem (RFC 9457) in one line, with a further line for each of its faults."""
    title, detail = problem["title"].rstrip("."), (problem.get("detail") or "").rstrip(".")
    summary = detail if detail.startswith(title) else f"{title}: {detail}" if detail else title
    faults = [f"  {fault['pointer'] or '/'}: {fault['detail']}" for fault in problem.get("errors") or []]
    return "\n".join([f"{summary}:" if faults else f"{summary}.", *faults])
