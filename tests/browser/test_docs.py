import json

import pytest
from playwright.sync_api import expect

from service.api.examples import JOBS
from tests.browser.conftest import Look

pytestmark = pytest.mark.browser


def test_the_documentation_shows_every_endpoint_and_needs_no_network(url: str, look: Look) -> None:
    elsewhere: list[str] = []
    look.page.on("request", lambda request: None if request.url.startswith((url, "data:")) else elsewhere.append(request.url))
    look.page.goto(f"{url}/docs")
    for path in ("/v1/jobs", "/v1/jobs/{job_id}/best-lr", "/v1/objectives", "/readyz"):
        expect(look.page.locator(f'[data-path="{path}"]').first).to_be_visible(timeout=20_000)
    look.picture("docs")
    assert elsewhere == []
    assert look.complaints == []


def test_every_example_can_be_chosen_and_sent(url: str, look: Look) -> None:
    look.page.goto(f"{url}/docs")
    submission = look.page.locator("#operations-jobs-submit_job_v1_jobs_post")
    submission.locator(".opblock-summary-control").click(timeout=20_000)
    submission.get_by_role("button", name="Try it out").click()
    choice = submission.locator(".examples-select select").first
    look.picture("submission")
    for name, example in JOBS.items():
        choice.select_option(name)
        assert json.loads(submission.locator("textarea").input_value()) == example["value"]
        submission.get_by_role("button", name="Execute").click()
        expect(submission.locator(".live-responses-table .response-col_status").last).to_contain_text("202", timeout=20_000)
    look.picture("sent")
    assert look.complaints == []
