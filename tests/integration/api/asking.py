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


def problem(answer: Any, *statuses: int) -> dict[str, Any]:
    """The problem in an answer, which holds nothing that clients must not see."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("urn:stride:")
    assert body["title"]
    assert body.get("detail") or body.get("errors")
    assert "Traceback" not in answer.text
    assert "psycopg" not in answer.text
    assert "pydantic" not in answer.text
    return body


def faults(answer: Any) -> dict[str, str]:
    """What is wrong with a document, by where."""
    return {fault["pointer"]: fault["detail"] for fault in problem(answer, 422)["errors"]}
