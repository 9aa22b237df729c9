"""The pages in Chromium: they draw, follow a running job, sort and filter, and can be read by everybody."""

import re

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.browser.readable import check_readable
from tests.factories import submit_job
from tests.integration.api.training import Worker

pytestmark = pytest.mark.browser


def numbers(look: Look) -> list[str]:
    """The trials that the table shows, in its order."""
    return look.page.locator("#trials-table tbody tr:not([hidden]) th").all_inner_texts()


def test_the_list_of_jobs_leads_to_one_with_its_rate_in_its_range(url: str, job: Job, look: Look) -> None:
    look.page.goto(url)
    expect(look.page.locator("svg.range")).to_be_visible(timeout=20_000)
    look.picture("jobs")
    look.page.get_by_role("link", name="digits, what learning rate?").click()
    expect(look.page.get_by_role("heading", level=1)).to_have_text("digits, what learning rate?")
    assert look.complaints == []


def test_a_job_shows_its_answer_its_curve_and_its_trials(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    expect(look.page.locator(".headline")).to_contain_text(re.compile(r"^Learning rate 0\.\d+"))
    expect(look.page.locator(".js-plotly-plot .trace.scatter").first).to_be_visible(timeout=20_000)
    assert len(numbers(look)) == 20
    look.picture("job")
    assert look.complaints == []


FIGURES = ["response", "losses", "schedules", "gaps", "importance", "interaction"]


def test_all_figures_are_drawn_each_with_a_sentence(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    for name in FIGURES:
        part = look.page.locator(f'[data-part="{name}"]')
        expect(part.locator(".main-svg").first).to_be_visible(timeout=20_000)
        expect(part.locator("p.text")).to_have_text(re.compile(r"\.$"))
    assert look.complaints == []


def test_a_trial_opens_from_the_table_and_follows_its_training(url: str, job: Job, look: Look, database: Database) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    look.page.get_by_role("link", name="19", exact=True).click()
    expect(look.page.get_by_role("heading", level=1)).to_have_text("Trial 19")
    expect(look.page.locator('[data-part="metrics"] p.text')).to_contain_text("After epoch 3")
    expect(look.page.locator('[data-part="rates"] .main-svg').first).to_be_visible(timeout=20_000)
    look.picture("trial")
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)"
            ' SELECT trial_id, 4, 1, false, \'{"loss": "0.5"}\', 0.1, 1 FROM optuna.trials WHERE number = 19'
        )
    expect(look.page.locator('[data-part="metrics"] p.text')).to_contain_text("After epoch 4", timeout=10_000)
    look.page.get_by_role("link", name="trial 18").click()
    expect(look.page.get_by_role("heading", level=1)).to_have_text("Trial 18")
    assert look.complaints == []


def test_a_table_sorts_by_a_column_both_ways_and_filters_by_words(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    assert numbers(look) == [str(number) for number in range(20)]
    header = look.page.get_by_role("button", name="trial", exact=True)
    header.click()
    header.click()
    assert numbers(look) == [str(number) for number in reversed(range(20))]
    look.page.get_by_role("button", name="learning_rate").click()
    shown = look.page.locator("#trials-table tbody td:nth-child(4)")
    rates = [float(cell.get_attribute("data-value") or "nan") for cell in shown.all()]
    assert rates == sorted(rates)
    look.page.get_by_label("Filter").fill("pruned")
    assert len(numbers(look)) == 3


def test_a_page_follows_its_job_and_keeps_what_one_did_with_it(url: str, job: Job, look: Look, database: Database) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    look.page.get_by_label("Filter").fill("complete")
    before = len(numbers(look))
    look.page.evaluate("window.scrollTo(0, 300)")
    Worker(database).train(4)
    expect(look.page.locator(".progress")).to_contain_text("23 of 30 trials", timeout=10_000)
    assert look.page.get_by_label("Filter").input_value() == "complete"
    assert len(numbers(look)) > before
    assert look.page.evaluate("window.scrollY") == 300
    assert look.complaints == []


def test_a_tab_that_nobody_looks_at_holds_no_connection_and_catches_up(
    url: str, job: Job, look: Look, database: Database
) -> None:
    with look.page.expect_response(lambda response: response.request.resource_type == "fetch" and url in response.url):
        look.page.goto(f"{url}/jobs/{job.id}")  # the stream begins with one event, for what changed meanwhile
    look.page.wait_for_timeout(500)
    hide = "hidden => { Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    look.page.evaluate(hide, True)
    Worker(database).train(4)
    look.page.wait_for_timeout(2_500)
    expect(look.page.locator(".progress")).to_contain_text("19 of 30 trials")
    look.page.evaluate(hide, False)
    expect(look.page.locator(".progress")).to_contain_text("23 of 30 trials", timeout=10_000)


def test_buttons_move_the_job_and_say_what_is_refused(url: str, job: Job, look: Look) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    look.page.get_by_role("button", name="Pause").click()
    expect(look.page.locator(".facts .state")).to_have_text("paused")
    look.page.get_by_role("button", name="Resume").click()
    expect(look.page.locator(".facts .state")).to_have_text("running")
    look.page.on("dialog", lambda dialog: dialog.accept())
    stale = look.page.get_by_role("button", name="Cancel")
    look.page.evaluate(
        "document.body.querySelectorAll('[data-post$=cancel]').forEach((b) => (b.dataset.post = '/v1/jobs/0/cancel'))"
    )
    stale.click()
    expect(look.page.get_by_role("alert")).to_be_visible()
    httpx2.post(f"{url}/v1/jobs/{job.id}/cancel")
    further = httpx2.get(f"{url}/v1/jobs/{job.id}/best-lr", timeout=60).json()["further_trials"]
    more = look.page.get_by_role("button", name=f"Try {further} more")
    expect(more).to_be_visible(timeout=10_000)
    more.click()
    expect(look.page.locator(".facts .state")).to_have_text("running")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400, 2560])
def test_everybody_can_read_every_page(url: str, job: Job, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("/", f"/jobs/{job.id}", f"/jobs/{job.id}/trials/0", "/jobs/ffffffff"):
        page.goto(url + path)
        page.wait_for_load_state("load")
        check_readable(page)
    context.close()


def test_the_next_job_of_an_advice_is_submitted_by_its_button_and_shown(url: str, look: Look, database: Database) -> None:
    low = {"type": "float", "low": 1e-5, "high": 1e-3, "log": True}
    job = submit_job(database, name="too low", search_space={"learning_rate": low, "epochs": 4}, budget={"trials": 12})
    Worker(database).train(12)
    look.page.goto(f"{url}/jobs/{job.id}")
    advice = look.page.locator('[data-part="advice"]')
    expect(advice).to_contain_text("Look at higher learning rates: from 0.0001 to 0.1.")
    look.picture("advice")
    check_readable(look.page)
    advice.get_by_role("button", name="Submit this job").click()
    expect(look.page.get_by_role("heading", level=1)).to_have_text("too low, next: rates 0.0001 to 0.1", timeout=10_000)
    assert look.complaints == []
