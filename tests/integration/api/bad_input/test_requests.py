"""Requests for what there is not, and questions that cannot be asked."""

import base64
import json
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient

from tests.integration.api.asking import faults, problem

IDS = ("x", "%00", str(UUID(int=7))[:-1], "%ff")


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{}"),
        ("DELETE", "/v1/jobs/{}"),
        ("POST", "/v1/jobs/{}/cancel"),
        ("POST", "/v1/jobs/{}/pause"),
        ("POST", "/v1/jobs/{}/resume"),
        ("POST", "/v1/jobs/{}/extend"),
        ("GET", "/v1/jobs/{}/best-lr"),
        ("GET", "/v1/jobs/{}/trials"),
        ("GET", "/v1/jobs/{}/trials/0"),
        ("GET", "/v1/jobs/{}/trials/0/measurements"),
        ("GET", "/v1/jobs/{}/trials/0/log"),
    ],
)
def test_what_is_no_job_id_is_refused(client: TestClient, method: str, path: str, id_: str) -> None:
    problem(client.request(method, path.format(id_)), 404, 405, 422)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_job_is_a_404(client: TestClient, method: str) -> None:
    id_ = uuid4()
    assert problem(client.request(method, f"/v1/jobs/{id_}"), 404)["detail"] == f"There is no job {id_}."


@pytest.mark.parametrize("path", ["cancel", "pause", "resume"])
def test_an_unknown_job_cannot_be_moved(client: TestClient, path: str) -> None:
    assert problem(client.post(f"/v1/jobs/{uuid4()}/{path}"), 404)["type"] == "urn:stride:job-not-found"


@pytest.mark.parametrize("path", ["best-lr", "trials", "trials/0", "trials/0/measurements", "trials/0/log"])
def test_an_unknown_job_has_no_trials(client: TestClient, path: str) -> None:
    assert problem(client.get(f"/v1/jobs/{uuid4()}/{path}"), 404)["type"] == "urn:stride:job-not-found"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=" + "9" * 5000,
        "limit=1e999",
        "limit=%00",
        "cursor=%00",
        "cursor=" + "x" * 501,
        "cursor=%ff",
        "cursor=eyJhIjoxfQ",
        "state=nonsense",
        "state=%00",
        "label=team",
        "label=%00:x",
        "label=a:%00",
        "label=" + quote("a:b") * 30,
        "&".join(["label=a:b"] * 21),
    ],
    ids=lambda text: text[:20],
)
def test_a_wrong_query_is_refused(client: TestClient, query: str) -> None:
    if query.startswith("label=a%3Ab"):
        assert client.get(f"/v1/jobs?{query}").status_code == 200  # one odd label
    else:
        problem(client.get(f"/v1/jobs?{query}"), 422)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("objective=", "/objective"),
        ("objective=nonsense", "/objective"),
        ("objective=%00", "/objective"),
        ("objective=" + "x" * 201, "/objective"),
        ("objective=quadratic&metric=nonsense", "/metric"),
        ("objective=quadratic&metric=validation_accuracy", "/metric"),
        ("metric=nonsense", "/metric"),
        ("metric=%00", "/metric"),
        ("label=team", "/label/0"),
        ("label=a:b&label=%00:x", "/label/1"),
        ("&".join(["label=a:b"] * 21), "/label"),
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_question_across_jobs_is_refused(client: TestClient, query: str, where: str) -> None:
    assert faults(client.get(f"/v1/best-lr?{query}")).keys() == {where}


def test_an_unknown_name_across_jobs_is_answered_with_those_that_are_known(client: TestClient) -> None:
    assert "quadratic" in faults(client.get("/v1/best-lr?objective=nonsense"))["/objective"]
    of_objective = faults(client.get("/v1/best-lr?objective=quadratic&metric=nonsense"))["/metric"]
    assert of_objective == "quadratic has no metric 'nonsense'; it has: loss, score"
    assert faults(client.get("/v1/best-lr?metric=nonsense"))["/metric"].startswith("there is no metric 'nonsense'; there are: ")


@pytest.mark.parametrize(
    "position", [[], ["x" * 64, "0.5", "0.0", str(uuid4())], ["x", "nan", "0.0", str(uuid4())], ["x", "0", "0", "7"]]
)
def test_a_cursor_across_jobs_that_was_not_issued_is_refused(client: TestClient, position: list[str]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
    assert problem(client.get(f"/v1/best-lr?cursor={cursor}"), 422)["type"] == "urn:stride:invalid-cursor"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_a_method_that_a_path_does_not_take_is_a_405_that_says_which_it_takes(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/jobs")
    assert method in problem(answer, 405)["detail"]
    assert answer.headers["allow"]


def test_nothing_lies_at_an_unknown_path(client: TestClient) -> None:
    assert problem(client.get("/v1/nothing"), 404)["detail"] == "There is nothing at /v1/nothing; /docs lists what there is."
