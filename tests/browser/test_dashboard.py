import httpx2
import pytest
from playwright.sync_api import expect

from service.domain.job import Job
from tests.browser.conftest import Look

pytestmark = pytest.mark.browser


def test_the_list_shows_the_job_by_its_name(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/dashboard")
    expect(look.page.get_by_text(job.study_name)).to_be_visible(timeout=20_000)
    look.picture("list")
    assert look.page.url.startswith(f"{url}/dashboard")
    assert look.complaints == []


def test_the_study_shows_its_metric_its_history_and_the_best_trial(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}")
    expect(look.page.get_by_text("digits, what learning rate?").first).to_be_visible(timeout=20_000)
    expect(look.page.get_by_text("Best Trial").first).to_be_visible(timeout=20_000)
    expect(look.page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    expect(look.page.get_by_text("Intermediate values").first).to_be_visible(timeout=20_000)
    look.picture("study")
    assert look.complaints == []


def test_a_diverged_trial_is_shown_as_infeasible(url: str, job: Job, look: Look) -> None:
    trials = httpx2.get(f"{url}/v1/jobs/{job.id}/trials", timeout=60).json()["items"]
    number = next(trial["number"] for trial in trials if trial["state"] == "infeasible")
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}/trials?numbers={number}")
    expect(look.page.get_by_text(f"Trial {number} (trial_id=")).to_be_visible(timeout=20_000)
    expect(look.page.get_by_text("divergence loss became inf at update 1")).to_be_visible()
    look.picture("trial")
    # Its plots know the state, its list of trials does not.
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}")
    expect(look.page.locator("#graph-timeline").get_by_text("Infeasible")).to_be_visible(timeout=20_000)
    assert look.complaints == []


def test_the_analysis_draws_loss_over_learning_rate(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}/analytics")
    expect(look.page.get_by_text("Param learning_rate").first).to_be_visible(timeout=20_000)
    expect(look.page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    look.picture("analysis")
    assert look.complaints == []
