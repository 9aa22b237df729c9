"""Jobs compared in Chromium: from the list of jobs, live while one runs, and readable by everybody."""

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.browser.readable import check_readable
from tests.factories import submit_job
from tests.integration.api.training import Worker, diverged

pytestmark = pytest.mark.browser

RATES = {"type": "float", "low": 1e-4, "high": 0.4, "log": True}


@pytest.fixture
def recipes(database: Database) -> list[Job]:
    """Two that are done, one that diverged, one with two of twelve trials."""
    jobs, worker = [], Worker(database)
    for mode, trials in (("plain", 12), ("fancy", 12), ("<b>wild</b>", 12), ("new", 2)):
        space = {"learning_rate": RATES, "epochs": 4, "mode": mode}
        jobs.append(submit_job(database, name=f"the {mode} recipe", search_space=space, budget={"trials": 12}))
        worker.train(trials, diverged if mode == "<b>wild</b>" else None)
    return jobs


def address(url: str, jobs: list[Job]) -> str:
    return f"{url}/compare?jobs={','.join(str(job.id) for job in jobs)}"


def test_jobs_are_ticked_on_the_list_and_compared(url: str, recipes: list[Job], look: Look, database: Database) -> None:
    look.page.goto(url)
    for name in ("plain", "fancy"):
        look.page.get_by_label(f"Compare the {name} recipe").check()
    Worker(database).train(1)
    expect(look.page.locator("tr", has_text="the new recipe")).to_contain_text("3/12", timeout=10_000)
    # The list has changed meanwhile; what was ticked stays so.
    look.page.get_by_role("button", name="Compare the ticked").click()
    expect(look.page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    for name in ("curves", "best-values"):
        drawn = look.page.locator(f'[data-part="{name}"] .js-plotly-plot .trace.scatter')
        expect(drawn.first).to_be_visible(timeout=20_000)
    expect(look.page.locator(".headline")).to_contain_text("is best: it expects")
    look.picture("compare")
    assert look.complaints == []


def test_what_has_the_focus_keeps_it_when_the_list_changes(url: str, recipes: list[Job], look: Look, database: Database) -> None:
    look.page.goto(url)
    box = look.page.get_by_label("Compare the plain recipe")
    box.focus()
    Worker(database).train(1)
    expect(look.page.locator("tr", has_text="the new recipe")).to_contain_text("3/12", timeout=10_000)
    expect(box).to_be_focused()


def test_a_comparison_begins_when_its_jobs_have_enough_trials(
    url: str, recipes: list[Job], look: Look, database: Database
) -> None:
    look.page.goto(address(url, [recipes[0], recipes[3]]))
    expect(look.page.locator(".headline")).to_have_text("There is nothing to compare yet.")
    Worker(database).train(10)
    expect(look.page.locator(".headline")).to_contain_text("is best: it expects", timeout=20_000)
    expect(look.page.locator('[data-part="curves"] .trace.scatter').first).to_be_visible(timeout=20_000)
    look.page.get_by_label("one learning rate for all").fill("0.01")
    look.page.get_by_role("button", name="Show").click()
    expect(look.page.locator(".answer")).to_contain_text("one learning rate of 0.01 for all", timeout=20_000)
    assert look.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400, 2560])
def test_everybody_can_read_a_comparison(url: str, recipes: list[Job], browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in (address("", recipes), f"{address('', recipes)}&learning_rate=0.01", address("", recipes[2:]), "/compare", "/"):
        page.goto(url + path)
        page.wait_for_load_state("load")
        check_readable(page)
    context.close()


def test_the_document_and_the_page_say_the_same(url: str, recipes: list[Job], look: Look) -> None:
    jobs = ",".join(str(job.id) for job in recipes[:3])
    found = httpx2.get(f"{url}/v1/compare?jobs={jobs}", timeout=60).json()
    look.page.goto(address(url, recipes[:3]))
    said = look.page.locator(".answer").inner_text().replace("\n", " ")
    for sentence in found["because"].split(". "):
        assert sentence.removesuffix(".") in said
