"""A report in Chromium: opened from its file, without a network, and printed."""

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.browser.readable import check_readable
from tests.factories import submit_job
from tests.integration.api.training import Worker, trained

pytestmark = pytest.mark.browser


@pytest.fixture
def file(url: str, job: Job, tmp_path: Path) -> Path:
    """The report of the job, as a file."""
    path = tmp_path / "report.html"
    path.write_bytes(httpx2.get(f"{url}/v1/jobs/{job.id}/report", timeout=60).content)
    return path


def test_it_opens_without_a_network_and_asks_for_nothing(file: Path, look: Look) -> None:
    asked: list[str] = []
    look.page.on("request", lambda request: asked.append(request.url))
    look.page.context.set_offline(True)
    look.page.goto(file.as_uri())
    expect(look.page.locator(".headline")).to_contain_text(re.compile(r"^Learning rate 0\.\d+"))
    figures = look.page.locator("[data-figure]")
    expect(look.page.locator(".js-plotly-plot")).to_have_count(figures.count(), timeout=20_000)
    look.page.get_by_label("Filter").fill("pruned")
    assert look.page.locator("#trials-table tbody tr:not([hidden])").count() == 3
    look.picture("report")
    assert asked == [file.as_uri()]
    assert look.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400, 2560])
def test_everybody_can_read_it(file: Path, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=20_000)
    check_readable(page)
    context.close()


@pytest.fixture
def usual_job(database: Database) -> Job:
    """Forty trials that search three parameters, and nearly all figures that there are."""
    space = {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9},
        "batch_size": {"type": "categorical", "choices": [16, 32, 64]},
        "epochs": 4,
    }
    job = submit_job(database, name="digits, what learning rate?", search_space=space, budget={"trials": 40})
    worker = Worker(database)
    for _ in range(40):
        claim = worker.claim()
        for step in (1, 2, 3, 4):
            worker.report(claim, 2.0 / step + claim.lease.number / 100, step, learning_rate=0.1 / step)
        worker.finish(claim, trained(claim))
    return job


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_prints_on_two_pages(url: str, usual_job: Job, browser: Browser, tmp_path: Path, paper: str, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(httpx2.get(f"{url}/v1/jobs/{usual_job.id}/report", timeout=60).content)
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(path.as_uri())
    # Printed at once, before all figures are drawn: what is printed has them nevertheless.
    printed = page.pdf(path=tmp_path / f"{paper}.pdf", format=paper, prefer_css_page_size=True)
    assert len(re.findall(rb"/Type ?/Page\b", printed)) == 2
    expect(page.locator(".js-plotly-plot")).to_have_count(page.locator("[data-figure]").count())
    page.emulate_media(media="print")
    expect(page.locator("#trials-table tbody tr:visible")).to_have_count(20)
    expect(page.get_by_text("The 20 best of 40 trials.")).to_be_visible()
    page.close()


def test_what_is_printed_is_light_and_small_and_the_page_is_as_before_after_it(file: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="dark")
    page.goto(file.as_uri())
    figure = page.locator('[data-part="response"] .main-svg').first
    expect(figure).to_be_visible(timeout=20_000)

    def seen() -> tuple[str, str]:
        text = page.locator('[data-part="response"] .xtitle').first
        return str(figure.get_attribute("width")), str(text.evaluate("element => getComputedStyle(element).fill"))

    before = seen()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert seen() == ("695", "rgb(27, 31, 36)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen() == before
    page.close()
