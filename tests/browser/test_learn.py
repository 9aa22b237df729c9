"""The lessons in Chromium: each draws, leads on, and can be read by everybody; what one tries becomes a job."""

import re

import pytest
from playwright.sync_api import Browser, expect

from service.api.pages.lessons import LESSONS
from tests.browser.conftest import Look
from tests.browser.readable import check_readable

pytestmark = pytest.mark.browser


def test_every_lesson_draws_and_leads_to_the_next(url: str, look: Look) -> None:
    look.page.goto(f"{url}/learn")
    look.picture("learn")
    look.page.get_by_role("link", name=LESSONS[0].title).click()
    for place, lesson in enumerate(LESSONS, 1):
        expect(look.page.get_by_role("heading", level=1)).to_have_text(lesson.title)
        expect(look.page.locator(".js-plotly-plot .trace.scatter").first).to_be_attached(timeout=20_000)
        look.picture(lesson.name)
        if place < len(LESSONS):
            look.page.locator("a[rel=next]").click()
    assert look.complaints == []


def test_what_one_tries_becomes_a_job_and_its_page_opens(url: str, look: Look) -> None:
    look.page.goto(f"{url}/learn/{LESSONS[1].name}")
    button = look.page.get_by_role("button", name="Try it")
    button.focus()
    look.page.keyboard.press("Enter")
    look.page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(look.page.get_by_role("heading", level=1)).to_have_text(str(LESSONS[1].job["name"]))
    assert look.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400, 2560])
def test_everybody_can_read_every_lesson(url: str, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("/learn", *(f"/learn/{lesson.name}" for lesson in LESSONS)):
        page.goto(url + path)
        page.wait_for_load_state("load")
        check_readable(page)
    context.close()
