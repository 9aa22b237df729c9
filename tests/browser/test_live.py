"""A page that follows its job undoes nothing that a user does, and says what became of a request."""

import re
import time

import httpx2
import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.integration.api.training import Worker

pytestmark = pytest.mark.browser


def rows(page: Page) -> int:
    return page.locator("#trials-table tbody tr").count()


def test_what_a_user_does_stays_when_a_trial_ends(url: str, job: Job, look: Look, database: Database) -> None:
    page = look.page
    page.set_viewport_size({"width": 1400, "height": 500})
    page.goto(f"{url}/jobs/{job.id}")
    page.get_by_role("button", name="learning_rate").click()
    page.locator("summary", has_text="Events").click()
    page.get_by_label("Filter").fill("e")
    page.get_by_label("Filter").evaluate("(input) => input.setSelectionRange(0, 0)")
    order = page.locator("#trials-table tbody tr th").all_inner_texts()
    table = page.locator(".tall")
    table.evaluate("(table) => { table.style.maxHeight = '200px'; table.scrollTop = 120; }")
    pressed = page.get_by_role("button", name="Pause")
    pressed.hover()
    page.mouse.down()
    Worker(database).train(1)
    expect(page.locator("#trials-table tbody tr")).to_have_count(len(order) + 1, timeout=10_000)
    assert table.evaluate("(table) => table.scrollTop") == 120
    assert page.locator("details", has=page.locator("#events")).evaluate("(details) => details.open")
    assert page.get_by_label("Filter").evaluate("(input) => input.selectionStart") == 0
    after = page.locator("#trials-table tbody tr th").all_inner_texts()
    assert [each for each in after if each in order] == order, "the order that was chosen"
    assert after != sorted(after, key=int)
    page.mouse.up()
    expect(page.locator(".facts .state")).to_have_text("paused", timeout=10_000)
    assert look.complaints == []


def test_a_button_pressed_in_two_tabs_does_its_work_once(url: str, job: Job, browser: Browser) -> None:
    httpx2.post(f"{url}/v1/jobs/{job.id}/cancel")
    pages = [browser.new_page() for _ in range(2)]
    for page in pages:
        page.route("**/changes", lambda route: route.abort())  # neither sees what the other does
        page.goto(f"{url}/jobs/{job.id}")
    more = [page.get_by_role("button", name="more") for page in pages]
    budgets = []
    for page, button in zip(pages, more, strict=True):
        button.click()
        expect(page.locator(".facts .state")).to_have_text("running")
        budgets.append(httpx2.get(f"{url}/v1/jobs/{job.id}").json()["budget"]["trials"])
    assert budgets[0] == budgets[1]
    for page in pages:
        page.close()


def test_a_refusal_stays_until_the_next_request(url: str, job: Job, look: Look) -> None:
    page = look.page
    page.goto(f"{url}/jobs/{job.id}")
    page.route("**/v1/jobs/*/pause", lambda route: route.fulfill(status=409, json={"detail": "It has just ended."}))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("alert")).to_have_text("It has just ended.")
    page.evaluate("update()")
    page.wait_for_timeout(500)
    expect(page.get_by_role("alert")).to_have_text("It has just ended.")
    page.route("**/v1/jobs/*/pause", lambda route: route.fulfill(status=502, body="<html>bad gateway</html>"))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("alert")).to_contain_text("answered 502: it is not known whether this was done")
    page.unroute_all()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".facts .state")).to_have_text("paused")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_cancelling_asks_first(url: str, job: Job, look: Look) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss() if len(asked) == 1 else dialog.accept()

    look.page.on("dialog", answer)
    look.page.goto(f"{url}/jobs/{job.id}")
    look.page.get_by_role("button", name="Cancel").click()
    expect(look.page.locator(".facts .state")).to_have_text("running")
    look.page.get_by_role("button", name="Cancel").click()
    expect(look.page.locator(".facts .state")).to_have_text("cancelled")
    assert len(asked) == 2


def test_a_page_comes_back_after_a_proxy_refused_its_stream(url: str, job: Job, look: Look, database: Database) -> None:
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=502, body="bad gateway")

    look.page.route("**/changes", refuse_once)
    look.page.goto(f"{url}/jobs/{job.id}")
    before = rows(look.page)
    Worker(database).train(1)
    expect(look.page.locator("#trials-table tbody tr")).to_have_count(before + 1, timeout=15_000)
    assert refused


def test_a_page_says_that_its_job_is_gone(url: str, job: Job, look: Look) -> None:
    httpx2.post(f"{url}/v1/jobs/{job.id}/cancel")
    look.page.goto(f"{url}/jobs/{job.id}")
    assert httpx2.delete(f"{url}/v1/jobs/{job.id}").is_success
    expect(look.page.locator("#lost")).to_contain_text("There is no such job", timeout=10_000)


def test_every_rate_is_shown_though_jobs_change_while_rates_are_computed(
    url: str, job: Job, look: Look, database: Database
) -> None:
    asked: list[str] = []

    def slowly(route: Route) -> None:
        asked.append(route.request.url)
        time.sleep(0.3)
        route.continue_()

    look.page.route("**/rate", slowly)
    look.page.goto(url)
    look.page.evaluate("for (let i = 0; i < 5; i++) setTimeout(() => update(), 60 * i)")
    expect(look.page.locator("svg.range")).to_be_visible(timeout=20_000)
    assert len(asked) == 1, "asked for once, though the page was made anew"
    Worker(database).train(1)
    expect(look.page.locator("[data-load]")).to_have_attribute("data-seen", re.compile("^20 "), timeout=10_000)
    expect(look.page.locator("svg.range")).to_be_visible(timeout=20_000)
