"""The REST API as the commands use it: JSON in, JSON out, and one clear error for whatever goes wrong."""

import re
from collections.abc import Iterator
from typing import Any, Self
from uuid import UUID

import httpx2

from service.commands.configuration import read_settings
from service.errors import ConfigurationError, StrideError

TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 300.0
"""To compare twenty jobs of thousands of trials takes a minute or more; what waits for the database gives up by itself."""
TIMEOUTS = httpx2.Timeout(TIMEOUT_S, read=ANSWER_TIMEOUT_S)
LATEST = "latest"
OURSELVES = frozenset({"127.0.0.1", "localhost", "::1"})


class Unreachable(StrideError):
    """The service cannot be reached."""


class Refused(StrideError):
    """The service refuses what was asked."""


class ServiceFailed(StrideError):
    """The service cannot do now what was asked."""


class ApiClient:
    """Talks to one Stride. Raises Unreachable, Refused (4xx), ServiceFailed (5xx)."""

    def __init__(self, url: str | None) -> None:
        """`url`: left out, that of the settings."""
        self.url = url or read_settings().url
        try:
            parsed = httpx2.URL(self.url)
        except httpx2.InvalidURL:
            parsed = httpx2.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigurationError(
                f"The API's URL should look like http://127.0.0.1:8000, not {self.url!r} (--url, STRIDE_URL)."
            )
        # No proxy stands between us and our own machine.
        self._http = httpx2.Client(base_url=parsed, timeout=TIMEOUTS, trust_env=parsed.host not in OURSELVES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """What is at `path`; a query parameter that is None is left out."""
        return self._ask("GET", path, query)

    def post(self, path: str, document: Any = None, **query: Any) -> Any:
        """Post `document`, or nothing."""
        return self._ask("POST", path, query, document)

    def items(self, path: str, **query: Any) -> Iterator[Any]:
        """All items of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, limit=100, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def job_id(self, job: str) -> str:
        """The id of the job that is called `job`: by its id, by an unambiguous beginning of it, or as the latest."""
        if job == LATEST:
            for found in self.get("/v1/jobs", limit=1)["items"]:
                return str(found["id"])
            raise Refused("There are no jobs yet.")
        try:
            return str(UUID(job))
        except ValueError:
            pass
        found = [item["id"] for item in self.items("/v1/jobs") if item["id"].startswith(job.lower())] if job else []
        if len(found) == 1:
            return str(found[0])
        if not found:
            raise Refused(f"There is no job whose id begins with {job!r}.")
        raise Refused(f"{len(found)} jobs have ids that begin with {job!r}: {', '.join(sorted(found)[:3])}... Give more of it.")

    def _ask(self, method: str, path: str, query: dict[str, Any], document: Any = None) -> Any:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            response = self._http.request(method, path, params=params, json=document)
        except httpx2.ReadTimeout as error:
            raise Unreachable(
                f"Stride at {self.url} has not answered {method} {path} within {ANSWER_TIMEOUT_S:.0f} s."
                " It may be busy: try again later."
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"Stride does not answer at {self.url}: {_why(error)}. Is it running (`stride up`)? See --url."
            ) from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and answer is not None:
            return answer
        if not isinstance(answer, dict) or "title" not in answer:
            raise Unreachable(f"What answers at {self.url} is not Stride: {method} {path} gave status {response.status_code}.")
        raise (Refused if response.status_code < 500 else ServiceFailed)(_told(answer))


def _why(error: httpx2.HTTPError) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error) or type(error).__name__).rstrip(".").lower()


def _told(problem: dict[str, Any]) -> str:
    """A problem (RFC 9457) in one line, and one more for each of its faults."""
    title, detail = problem["title"].rstrip("."), (problem.get("detail") or "").rstrip(".")
    told = detail if detail.startswith(title) else f"{title}: {detail}" if detail else title
    faults = [f"  {fault['pointer'] or '/'}: {fault['detail']}" for fault in problem.get("errors") or []]
    return "\n".join([f"{told}:" if faults else f"{told}.", *faults])
