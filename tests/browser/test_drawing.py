"""How figures are drawn: in a resized window as in a new one of that size, with text as large as the page's, or not at all."""

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from service.domain.job import Job
from tests.browser.conftest import Look

pytestmark = pytest.mark.browser

PLACES = """() => Array.from(document.querySelectorAll(".js-plotly-plot"), (plot) => {
  const [of, legend] = [plot, plot.querySelector(".legend .bg")].map((each) => each?.getBoundingClientRect());
  const {_size: {t, l, w, h}, font} = plot._fullLayout;
  return [t, l, w, h, font.size, legend ? legend.x - of.x : null, legend ? legend.y - of.y : null].map(Math.round);
})"""


def places(page: Page) -> list[list[float]]:
    """Of each figure: the place and the size of what it plots, the size of its text, and the place of its legend, in pixels."""
    figures = page.locator("[data-figure]").count()
    expect(page.locator(".js-plotly-plot .main-svg:first-child")).to_have_count(figures, timeout=20_000)
    page.wait_for_function("undrawn.length === 0")
    found: list[list[float]] = page.evaluate(PLACES)
    return found


@pytest.mark.parametrize(("before", "after"), [(390, 700), (700, 390), (1280, 3840)])
def test_a_resized_window_shows_what_a_new_one_of_that_size_does(
    url: str, job: Job, browser: Browser, before: int, after: int
) -> None:
    size = ViewportSize(width=after, height=900)
    fresh = browser.new_page(viewport=size, bypass_csp=True)
    fresh.goto(f"{url}/jobs/{job.id}")
    expected = places(fresh)
    fresh.close()
    resized = browser.new_page(viewport=ViewportSize(width=before, height=900), bypass_csp=True)
    resized.goto(f"{url}/jobs/{job.id}")
    assert places(resized) != expected
    resized.set_viewport_size(size)
    resized.wait_for_function("drawnWidth === window.innerWidth && undrawn.length === 0")
    assert places(resized) == expected
    resized.close()


def test_text_in_figures_grows_with_that_of_the_page(url: str, job: Job, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 3840, "height": 2160}, bypass_csp=True)
    page.goto(f"{url}/jobs/{job.id}")
    assert {size for *_, size, _, _ in places(page)} == {round(12 * 1.4)}
    page.close()


def test_a_page_without_plotly_says_so_in_the_place_of_each_figure(url: str, job: Job, look: Look) -> None:
    look.page.route("**/assets/plotly.js", lambda route: route.abort())
    look.page.goto(f"{url}/jobs/{job.id}")
    figures = look.page.locator("[data-figure]")
    expect(figures.first).to_contain_text("Plotly's script did not load", timeout=20_000)
    expect(figures.filter(has_text="cannot be drawn")).to_have_count(figures.count())
    assert [complaint for complaint in look.complaints if "plotly.js" not in complaint and "ERR_FAILED" not in complaint] == []
