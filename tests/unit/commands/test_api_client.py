import httpx2
import pytest

from service.commands.api_client import ApiClient, Refused, ServiceFailed, Unreachable
from service.errors import ConfigurationError


def client_that_gets(monkeypatch: pytest.MonkeyPatch, *responses: httpx2.Response | Exception) -> ApiClient:
    """A client that gets these answers, one after the other."""
    left = list(responses)

    def answer(self: httpx2.Client, method: str, path: str, **_: object) -> httpx2.Response:
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    monkeypatch.setattr(httpx2.Client, "request", answer)
    return ApiClient("http://127.0.0.1:8000")


def problem(status: int, **members: object) -> httpx2.Response:
    return httpx2.Response(status, json={"type": "urn:stride:x", "status": status} | members)


def test_a_problem_is_told_with_title_detail_and_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [{"pointer": "/search_space/learning_rate", "detail": "is empty"}, {"pointer": "", "detail": "is no object"}]
    answer = problem(422, title="The job cannot be run", detail="Two faults.", errors=faults)
    with client_that_gets(monkeypatch, answer) as client, pytest.raises(Refused) as refused:
        client.post("/v1/jobs", {})
    assert str(refused.value) == "The job cannot be run: Two faults:\n  /search_space/learning_rate: is empty\n  /: is no object"


def test_a_detail_that_repeats_the_title_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with client_that_gets(monkeypatch, problem(404, title="No such job", detail="No such job 7.")) as client:
        with pytest.raises(Refused, match=r"^No such job 7\.$"):
            client.get("/v1/jobs/7")


def test_what_the_service_cannot_do_now_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with client_that_gets(monkeypatch, problem(503, title="The database is away")) as client:
        with pytest.raises(ServiceFailed, match=r"^The database is away\.$"):
            client.get("/v1/jobs")


@pytest.mark.parametrize(
    "answer", [httpx2.Response(200, text="<html>"), httpx2.Response(502, text=""), httpx2.Response(404, json=[])]
)
def test_another_kind_of_server_is_told_apart(monkeypatch: pytest.MonkeyPatch, answer: httpx2.Response) -> None:
    with client_that_gets(monkeypatch, answer) as client, pytest.raises(Unreachable, match="is not Stride"):
        client.get("/v1/jobs")


def test_who_cannot_be_connected_to_in_time_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    with client_that_gets(monkeypatch, httpx2.ConnectTimeout("timed out")) as client:
        with pytest.raises(Unreachable, match=r"does not answer at http://127\.0\.0\.1:8000: timed out"):
            client.get("/v1/jobs")


def test_who_was_connected_to_and_takes_too_long_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    with client_that_gets(monkeypatch, httpx2.ReadTimeout("timed out")) as client:
        with pytest.raises(
            Unreachable, match=r"http://127\.0\.0\.1:8000 has not answered GET /v1/compare within 300 s\. It may be"
        ):
            client.get("/v1/compare")


def test_a_list_is_read_page_after_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [httpx2.Response(200, json={"items": [{"id": "aa1"}], "next_cursor": "x"})]
    pages += [httpx2.Response(200, json={"items": [{"id": "ab2"}], "next_cursor": None})]
    with client_that_gets(monkeypatch, *pages) as client:
        assert client.job_id("ab") == "ab2"


def test_eight_digits_of_an_id_are_looked_up_by_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    found = httpx2.Response(200, json={"id": "8d8a199b-1d62-4654-a5f0-e5312a20323e"})
    with client_that_gets(monkeypatch, found) as client:
        assert client.job_id("8D8a199b-1") == "8d8a199b-1d62-4654-a5f0-e5312a20323e"
    several = problem(409, title="Several jobs", detail="Several jobs: a, b.")
    with client_that_gets(monkeypatch, several) as client, pytest.raises(Refused, match=r"^Several jobs: a, b\.$"):
        client.job_id("8d8a199b")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://stride", "http://", "/v1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="should look like http"):
        ApiClient(url)
