import json
import re

import httpx2
import pytest
from playwright.sync_api import expect

from service.api.kept_answers import KeptAnswers
from service.api.notes import write_next
from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look

pytestmark = pytest.mark.browser


MARKUP = "<img src=x onerror=alert(1)> [a link](http://127.0.0.1:1/x) http://127.0.0.1:1/y **bold** me@x.example"


def refused_buttons(look: Look) -> int:
    """How many buttons that create, delete, rename or edit can be seen; they are all in the page."""
    found = look.page.locator(
        '[aria-label="delete study"], [aria-label="rename study"], [data-testid="AddBoxIcon"], [data-testid="EditIcon"]'
    ).all()
    assert found, "the dashboard's page has no such buttons any more"
    return sum(button.is_visible() for button in found)


def test_the_list_shows_the_job_by_its_name(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/dashboard")
    expect(look.page.get_by_text(job.study_name)).to_be_visible(timeout=20_000)
    look.picture("list")
    assert refused_buttons(look) == 0
    expect(look.page.get_by_role("button", name="Reload")).to_be_visible()
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


def test_the_study_shows_the_response_curve_and_the_answer_in_words(url: str, job: Job, look: Look, database: Database) -> None:
    assert write_next(database, KeptAnswers())
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}")
    plot = look.page.locator('[id="user-defined-plot:stride-response"]')
    expect(plot.get_by_text(re.compile(r"^Learning rate 0\.\d+ with momentum="))).to_be_visible(timeout=20_000)
    expect(plot.get_by_text("learning rate", exact=True)).to_be_visible()
    look.picture("answer")
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}/note")
    expect(look.page.get_by_role("heading", name="Learning rate ")).to_be_visible(timeout=20_000)
    expect(look.page.get_by_text("The dashboard's Best Trial is the one with the best value")).to_be_visible()
    look.picture("note")
    assert refused_buttons(look) == 0
    link = look.page.get_by_role("link", name="The job's page")
    color = "element => getComputedStyle(element).color"
    assert link.evaluate(color) == look.page.get_by_role("heading", name="Learning rate ").evaluate(color), "on the dark page too"
    link.click()
    expect(look.page).to_have_url(f"{url}/jobs/{job.id}")
    assert look.complaints == []


def test_what_anybody_wrote_is_inert_in_the_note_of_a_trial(url: str, job: Job, look: Look, database: Database) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)"
            " SELECT trial_id, 'diagnosis', %(said)s FROM optuna.trials WHERE study_id = %(study_id)s AND number = 0",
            {"study_id": job.study_id, "said": json.dumps({MARKUP: MARKUP})},
        )
    assert write_next(database, KeptAnswers())
    look.page.goto(f"{url}/dashboard/studies/{job.study_id}/trials?numbers=0")
    note = look.page.locator("li").filter(has_text="onerror")
    expect(note).to_be_visible(timeout=20_000)
    assert note.inner_text().replace("\u2060", "") == f"{MARKUP}: {MARKUP}"
    assert note.locator("img, a").count() == 0
    look.picture("trial's note")
    assert refused_buttons(look) == 0
    look.page.get_by_role("link", name="Its curves, attempts and log").click()
    expect(look.page).to_have_url(f"{url}/jobs/{job.id}/trials/0")
    assert look.complaints == []
