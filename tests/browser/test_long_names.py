"""Names of any length and many columns: no page is wider than its window, and a table of recipes shows its last column."""

import pytest
from playwright.sync_api import Browser

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.api.test_comparisons import submit, train
from tests.integration.api.training import Worker

pytestmark = pytest.mark.browser

LONG = "a_name_that_somebody_made_by_a_program_and_that_never_ends_" * 3


@pytest.fixture
def recipes(database: Database) -> list[Job]:
    """Three that are done, each with a long name."""
    worker, jobs = Worker(database), []
    for number, mode in enumerate(("plain", "fancy", LONG)):
        jobs.append(submit(database, name=f"{number}_{LONG}", space={"mode": mode}, labels={"team": LONG[:60]}))
        train(worker, jobs[-1], shift=10 ** (number / 2), above=number / 10)
    return jobs


def wider(look: Look, selector: str) -> int:
    """By how many pixels what it holds is wider than the element."""
    found: int = look.page.locator(selector).evaluate("one => one.scrollWidth - one.clientWidth")
    return found


def test_no_page_is_wider_than_a_phone(url: str, recipes: list[Job], look: Look, database: Database) -> None:
    others = {f"{number}_{LONG}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(12)}
    many = submit_job(database, name=LONG, search_space={"learning_rate": LEARNING_RATE, "epochs": 4, **others})
    Worker(database).train(10)
    look.page.set_viewport_size({"width": 390, "height": 844})
    compared = ",".join(str(job.id) for job in recipes)
    paths = ("/", f"/jobs/{many.id}", f"/jobs/{many.id}/trials/0", f"/compare?jobs={compared}")
    form = f"/new?from={recipes[2].id}"  # of which the server says, by 422, that there is no such mode
    for number, path in enumerate((*paths, f"/?q={LONG}", f"/?label=team:{LONG[:60]}", form)):
        if path == form:
            assert look.complaints == []
        look.page.goto(url + path)
        look.page.wait_for_load_state("load")
        look.picture(f"phone-{number}")
        assert wider(look, "html") <= 0, path


def test_a_table_of_recipes_shows_its_last_column(url: str, recipes: list[Job], look: Look) -> None:
    look.page.set_viewport_size({"width": 1280, "height": 900})
    look.page.goto(f"{url}/compare?jobs={','.join(str(job.id) for job in recipes)}&learning_rate=0.05")
    look.picture("recipes")
    assert wider(look, '[data-part="recipes"] .wide') <= 0


def test_a_link_leads_past_the_table_by_the_keyboard(url: str, job: Job, look: Look, browser: Browser) -> None:
    look.page.goto(f"{url}/jobs/{job.id}")
    link = look.page.get_by_role("link", name="Past the trials")
    assert (link.bounding_box() or {})["x"] < 0, "out of sight until it has the focus"
    link.focus()
    assert (link.bounding_box() or {})["x"] >= 0
    look.page.keyboard.press("Enter")
    look.page.keyboard.press("Tab")
    focused = look.page.evaluate("document.activeElement.closest('[data-part]').dataset.part")
    assert focused in ("cost", "events")
