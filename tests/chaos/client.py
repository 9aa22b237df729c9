"""A client of the API under fault injection: retries until it gets an answer, and submits with a key, so never twice."""

import time
from typing import Any

import httpx2

ANSWER_WITHIN_S = 60.0
PAUSE_S = 0.2
TIMEOUT_S = 5.0


class NoAnswer(Exception):
    """The API did not answer for a minute."""


class Client:
    """A client of one API. Answers of 500 and above are retried like broken connections."""

    def __init__(self, url: str) -> None:
        self.mistakes: list[str] = []
        """Answers of exactly 500, which are bugs: an unavailable database is a 503."""
        # Ignores proxies set in the environment: the API is local.
        self._http = httpx2.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def submit(self, document: dict[str, Any]) -> str:
        """Submit a job under its name as key; returns its id."""
        answer = self._ask("POST", "/v1/jobs", json=document, headers={"Idempotency-Key": document["name"]})
        assert answer.status_code in (200, 202), answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def job(self, job_id: str) -> Any:
        """A job as the API shows it."""
        answer = self._ask("GET", f"/v1/jobs/{job_id}")
        assert answer.is_success, answer.text
        return answer.json()

    def move(self, job_id: str, verb: str) -> bool:
        """Pause or resume a job; False when it is over."""
        answer = self._ask("POST", f"/v1/jobs/{job_id}/{verb}")
        assert answer.is_success or answer.status_code == 409, answer.text
        return answer.is_success

    def extend(self, job_id: str, trials: int) -> None:
        """Extend a job; the key makes this safe to repeat."""
        answer = self._ask("POST", f"/v1/jobs/{job_id}/extend", json={"trials": trials}, headers={"Idempotency-Key": job_id})
        assert answer.status_code == 202, answer.text

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **content: Any) -> httpx2.Response:
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while True:
            try:
                answer = self._http.request(method, path, **content)
                if answer.status_code < 500:
                    return answer
                said = answer.text
                if answer.status_code == 500:
                    self.mistakes.append(f"{method} {path} was answered 500: {said}")
            except httpx2.TransportError as error:
                said = str(error)
            if time.monotonic() > deadline:
                raise NoAnswer(f"{method} {path}: {said}")
            time.sleep(PAUSE_S)
