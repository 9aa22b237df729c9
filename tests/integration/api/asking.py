"""Questions to the API, and their answers."""

from typing import Any

from starlette.testclient import TestClient


def ask(client: TestClient, path: str, status: int = 200, /, **params: Any) -> Any:
    """What is answered with this status: JSON, of problems as RFC 9457 has it."""
    answer = client.get(path, params=params)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()
