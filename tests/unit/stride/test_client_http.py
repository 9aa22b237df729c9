"""What a client makes of an answer that says: not now."""

import httpx2
import pytest

from stride.client.http import Http
from stride.errors import ServiceFailed


@pytest.mark.parametrize("status", [408, 503])
def test_what_may_be_sent_again_is_no_refusal(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    answers = [httpx2.Response(status, json={"title": "Not now"}), httpx2.Response(200, json={"answer": "go_on"})]
    monkeypatch.setattr(httpx2.Client, "request", lambda *_, **__: answers.pop(0))
    http = Http("http://127.0.0.1:8000")
    with pytest.raises(ServiceFailed, match=r"^Not now\.$"):  # else no further checkpoint would be stored
        http.send("PUT", "/checkpoint", content=b"x", retry_s=0.0)
    answers.insert(0, httpx2.Response(status, json={"title": "Not now"}))
    assert http.send("PUT", "/checkpoint", content=b"x").json() == {"answer": "go_on"}
    http.close()
