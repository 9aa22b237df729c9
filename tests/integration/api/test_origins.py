"""What a page of another site asks a browser to send changes nothing; what our pages and programs send does."""

from collections.abc import Mapping

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.asking import problem

LISTED = "stride.example.com,*.lab.example,*"


@pytest.fixture
def listing(database: Database) -> TestClient:
    """An API with listed names. Not entered: its lifespan would start the sweeper."""
    app = create_app(Settings.model_validate({"allowed_hosts": LISTED}), database)
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)


FOREIGN: list[Mapping[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8000"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.example"},
    {"Sec-Fetch-Site": "odd"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1.evil.example:8000"},
    {"Origin": "http://127.0.0.1@evil.example"},
    {"Origin": "https://stride.example.com.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://[::1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_changes_nothing(listing: TestClient, database: Database, headers: Mapping[str, str]) -> None:
    job = submit_job(database)
    for method, path in (
        ("POST", "/v1/jobs"),
        ("POST", f"/v1/jobs/{job.id}/cancel"),
        ("DELETE", f"/v1/jobs/{job.id}"),
        ("PUT", "/"),
        ("PATCH", "/api/studies"),
    ):
        body = problem(listing.request(method, path, headers=headers), 403)
        assert body["type"] == "urn:stride:foreign-origin"
        assert "STRIDE_ALLOWED_HOSTS" in body["detail"]
    assert listing.get(f"/v1/jobs/{job.id}", headers=headers).json()["state"] == "queued"


OWN: list[Mapping[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8000"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8888"},
    {"Origin": "http://127.0.0.1:8000"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "https://STRIDE.example.com"},
    {"Origin": "https://stride.example.com:8443"},
    {"Origin": "https://notebooks.lab.example"},
]


@pytest.mark.parametrize("headers", OWN)
def test_our_pages_and_programs_change_what_they_ask_for(
    listing: TestClient, database: Database, headers: Mapping[str, str]
) -> None:
    job = submit_job(database)
    answer = listing.post(f"/v1/jobs/{job.id}/cancel", headers=headers)
    assert (answer.status_code, answer.json().get("state")) == (200, "cancelled"), answer.text
