"""The form for a new job in Chromium: from empty to a finished job, with every fault beside its field, and nothing lost."""

import json
import re
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from service.domain.job import Job
from service.store.postgres import Database
from tests.browser.conftest import Look
from tests.browser.readable import check_readable
from tests.integration.api.test_pages import MARKUP
from tests.integration.api.training import Worker

pytestmark = pytest.mark.browser


@pytest.fixture
def worker(database: Database) -> Worker:
    """One that offers `quadratic`, so that the form begins with it."""
    return Worker(database)


def opened(page: Page, address: str) -> Page:
    """The form, once its job has been checked."""
    page.goto(address)
    expect(page.locator("#plan li").first).to_be_visible(timeout=20_000)
    return page


def document(page: Page) -> Any:
    return json.loads(page.locator("#json").input_value())


def checked(page: Page, said: str | re.Pattern[str]) -> None:
    expect(page.locator("#status")).to_contain_text(said, timeout=10_000)


def parameter(page: Page, name: str) -> Any:
    return page.locator(f'[data-parameter="{name}"]')


def jobs(url: str) -> Any:
    return httpx2.get(f"{url}/v1/jobs", timeout=60).json()["items"]


def test_one_click_from_an_empty_form_to_a_running_job_which_ends(
    url: str, worker: Worker, look: Look, database: Database
) -> None:
    look.page.goto(url)
    look.page.get_by_role("link", name="New job").click()
    checked(look.page, "32 trials of bayesian search (tpe).")
    look.picture("empty")
    look.page.get_by_role("button", name="Submit").dblclick()
    expect(look.page.locator(".facts .state")).to_have_text("queued", timeout=20_000)
    [made] = jobs(url)
    assert look.page.url == f"{url}/jobs/{made['id']}"
    worker.train(32)
    expect(look.page.locator(".facts .state")).to_have_text("completed", timeout=20_000)
    assert look.complaints == []


def test_what_is_filled_in_is_what_is_sent(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.get_by_label("name", exact=True).fill(MARKUP)
    page.get_by_label("strategy").select_option("random")
    page.locator('[data-variant="strategy random"]').get_by_label("sampler").select_option("qmc")
    page.get_by_label("trials", exact=True).fill("6")
    page.get_by_label("metric").select_option(label="score, maximized")
    rate = parameter(page, "learning_rate")
    rate.get_by_label("from").fill("1e-4")
    rate.get_by_label("to", exact=True).fill(".5")
    parameter(page, "momentum").locator("[data-mode]").select_option("value")
    page.get_by_text("Further parameters").click()
    parameter(page, "mode").locator("[data-mode]").select_option("choices")
    parameter(page, "mode").get_by_label("plain").check()
    parameter(page, "mode").get_by_label("fancy").check()
    parameter(page, "epochs").locator("[data-mode]").select_option("choices")
    parameter(page, "epochs").locator('[data-kind="list"]').fill("2, 4")
    page.get_by_text("Settings of the objective").click()
    page.get_by_label("seed_noise").fill("0.5")
    page.get_by_label("state", exact=True).select_option("numpy")
    page.get_by_text("Pruning, seeds, labels and limits").click()
    page.get_by_label("pruner").select_option("percentile")
    page.locator('[data-variant="pruner percentile"]').get_by_label("percentile").fill("25")
    page.get_by_label("labels").fill("team: vision\nstage:<b>")
    page.get_by_label("try_first").fill('[{"learning_rate": 0.01}]')
    page.get_by_label("memory_mb").fill("1000")
    checked(page, "6 trials of random search (qmc).")
    look.picture("filled")
    expected = {
        "objective": {"name": "quadratic", "settings": {"seed_noise": 0.5, "state": "numpy"}},
        "name": MARKUP,
        "strategy": {"type": "random", "sampler": "qmc"},
        "budget": {"trials": 6},
        "metric": "score",
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 0.5, "log": True, "points": 11},
            "momentum": 0.9,
            "mode": {"type": "categorical", "choices": ["plain", "fancy"]},
            "epochs": {"type": "categorical", "choices": [2, 4]},
        },
        "pruner": {"type": "percentile", "percentile": 25},
        "labels": {"team": "vision", "stage": "<b>"},
        "try_first": [{"learning_rate": 0.01}],
        "limits": {"memory_mb": 1000},
    }
    assert document(page) == expected
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP, timeout=20_000)
    spec = jobs(url)[0]["spec"]
    assert spec["search_space"]["epochs"] == expected["search_space"]["epochs"]
    assert (spec["pruner"]["percentile"], spec["labels"]) == (25.0, expected["labels"])
    assert look.complaints == []


def test_what_is_emptied_again_is_left_out_again(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    before = document(page)
    page.get_by_label("trials", exact=True).fill("6")
    page.get_by_label("trials", exact=True).fill("")
    page.get_by_label("strategy").select_option("grid")
    page.get_by_label("strategy").select_option("bayesian")
    page.locator('[data-variant="strategy bayesian"]').get_by_label("sampler").select_option("gp")
    page.locator('[data-variant="strategy bayesian"]').get_by_label("sampler").select_option("tpe (default)")
    parameter(page, "learning_rate").get_by_label("from").fill("0.001")
    page.get_by_role("button", name="Default search space").click()
    assert document(page) == before
    expect(parameter(page, "learning_rate").get_by_label("from")).to_have_value("1e-5")


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"budget": {"trials": 0}}, "/budget/trials", "greater than or equal to 1"),
    ({"budget": {"trials": "many"}}, "/budget/trials", "should be a whole number"),
    ({"seed": -1}, "/seed", "greater than or equal to 0"),
    ({"objective": {"name": "quadratic", "settings": {"raise_at": 0}}}, "/objective/settings/raise_at", "0 is less than"),
    ({"objective": {"name": "nobody"}}, "/objective/name", "there is no objective 'nobody'"),
    ({"metric": "beauty"}, "/metric", "has no metric 'beauty'"),
    (
        {"search_space": {"learning_rate": {"type": "float", "low": "a", "high": 1}}},
        "/search_space/learning_rate/low",
        "should be a number",
    ),
    ({"search_space": {"learning_rate": {"type": "float", "low": 1}}}, "/search_space/learning_rate/high", "is missing"),
    ({"search_space": {"learning_rate": {"type": "float", "low": 2, "high": 1}}}, "/search_space/learning_rate", "is empty"),
    ({"search_space": {"momentum": 2}}, "/search_space/momentum", "2 must be below 1"),
    ({"search_space": {"mode": {"type": "categorical", "choices": []}}}, "/search_space/mode/choices", "at least 1 entries"),
    ({"strategy": "luck"}, "/strategy", "there is no type 'luck'"),
    ({"pruner": {"type": "hyperband", "min_resource": 9}}, "/pruner", "must be less than parts"),
    ({"try_first": [{"learning_rate": 7}]}, "/try_first", "0/learning_rate: 7 lies outside the range"),
    ({"labels": {"team": 3}}, "/labels", "should be a string"),
    ({"limits": {"memory_mb": 0.5}}, "/limits/memory_mb", "should be a whole number"),
]


def test_each_fault_stands_beside_its_field(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new?objective=quadratic")
    for changes, pointer, said in FAULTS:
        page.locator("#json").fill(json.dumps({"objective": {"name": "quadratic"}} | changes))
        field = page.locator(f'[data-pointer="{pointer}"][aria-invalid="true"]')
        expect(field, str(changes)).to_be_visible(timeout=10_000)
        slot = page.locator(f"#{field.get_attribute('id')}-error")
        expect(slot).to_contain_text(said)
        expect(slot).to_be_visible()
        expect(page.locator("#faults")).to_be_empty()
        expect(page.locator("[aria-invalid]")).to_have_count(1)
        checked(page, "One thing is wrong.")


def test_other_faults_are_on_top_and_a_doubt_stands_beside_its_field(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.locator("#json").fill('{"objective": {"name": "quadratic"}, "<b>": 1, "seed": -1}')
    expect(page.locator("#faults")).to_contain_text("/<b>: is not a field here", timeout=10_000)
    checked(page, "2 things are wrong.")
    look.picture("faults")
    page.locator("#json").fill('{"objective": {"name": "quadratic"')
    expect(page.locator("#json-error")).to_contain_text("The body is not JSON", timeout=10_000)
    expect(page.locator("#faults")).to_be_empty()
    wide = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1}}
    page.locator("#json").fill(json.dumps({"objective": {"name": "quadratic"}, "search_space": wide}))
    expect(parameter(page, "learning_rate").locator(".warning")).to_contain_text("low rates are hardly tried", timeout=10_000)
    checked(page, "It can be submitted")


def test_a_refused_job_leads_to_what_is_wrong(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.get_by_text("Pruning, seeds, labels and limits").click()
    page.get_by_label("max_attempts").fill("0")
    page.get_by_label("max_attempts").press("Enter")
    expect(page.get_by_label("max_attempts")).to_have_attribute("aria-invalid", "true", timeout=10_000)
    expect(page.get_by_label("max_attempts")).to_be_focused()
    page.get_by_label("name", exact=True).fill("elsewhere")
    page.get_by_role("button", name="Show the first").click()
    expect(page.get_by_label("max_attempts")).to_be_focused()
    assert jobs(url) == []


def test_only_the_newest_check_counts(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")

    def late(route: Route) -> None:
        if '"trials": 0' in (route.request.post_data or ""):
            page.wait_for_timeout(1_500)
        route.continue_()

    page.route("**/v1/jobs?dry_run=true", late)
    page.get_by_label("trials", exact=True).fill("0")
    page.wait_for_timeout(500)
    page.get_by_label("trials", exact=True).fill("7")
    checked(page, "7 trials of bayesian")
    page.wait_for_timeout(2_000)
    checked(page, "7 trials of bayesian")
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_another_objective_brings_its_own_fields_and_the_first_comes_back_as_it_was(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.get_by_label("trials", exact=True).fill("9")
    parameter(page, "learning_rate").get_by_label("from").fill("0.002")
    page.get_by_label("what is trained").select_option("image-classification")
    expect(parameter(page, "batch_size")).to_be_visible(timeout=10_000)
    checked(page, "9 trials of bayesian")
    assert document(page) == {"objective": {"name": "image-classification"}, "budget": {"trials": 9}}
    expect(page.locator("#objective-hint")).to_contain_text("No worker offers it now")
    page.get_by_text("Further parameters").click()
    expect(parameter(page, "beta1")).to_be_hidden()
    expect(page.locator("#idle")).to_contain_text(", beta1, beta2,")
    parameter(page, "optimizer").locator("[data-mode]").select_option("value")
    parameter(page, "optimizer").get_by_label("Value of optimizer").select_option("adam")
    expect(parameter(page, "beta1")).to_be_visible(timeout=10_000)
    expect(page.locator("#idle")).not_to_contain_text("beta1")
    page.get_by_label("what is trained").select_option("quadratic")
    expect(parameter(page, "mode")).to_have_count(1, timeout=10_000)
    expect(parameter(page, "learning_rate").get_by_label("from")).to_have_value("0.002")
    checked(page, "9 trials of bayesian")
    assert look.complaints == []


def test_a_draft_outlives_a_reload_and_an_outage(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.get_by_label("name", exact=True).fill("kept")
    page.get_by_label("trials", exact=True).fill("no number")
    page.reload()
    expect(page.get_by_label("name", exact=True)).to_have_value("kept")
    expect(page.get_by_label("trials", exact=True)).to_have_value("no number")
    page.route("**/v1/jobs**", lambda route: route.abort())
    page.get_by_label("trials", exact=True).fill("8")
    checked(page, "Stride does not answer.")
    page.get_by_role("button", name="Submit").click()
    checked(page, "it will be one job")
    page.unroute("**/v1/jobs**")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("kept", timeout=20_000)
    opened(page, f"{url}/new")
    expect(page.get_by_label("name", exact=True)).to_have_value("")
    assert len(jobs(url)) == 1


def test_a_reply_that_was_lost_makes_no_second_job(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/v1/jobs", lose, times=1)
    page.get_by_role("button", name="Submit").click()
    checked(page, "it will be one job")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator(".facts .state")).to_have_text("queued", timeout=20_000)
    assert len(jobs(url)) == 1


def test_a_job_is_submitted_again_with_a_change(url: str, worker: Worker, look: Look) -> None:
    request = {"objective": {"name": "quadratic"}, "name": "wide", "strategy": "random", "labels": {"team": "vision"}}
    request |= {"search_space": {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}}}
    request["seed"] = 2**60 + 1  # which JavaScript's numbers cannot hold
    made = httpx2.post(f"{url}/v1/jobs", json=request).json()
    look.page.goto(f"{url}/jobs/{made['id']}")
    look.page.get_by_role("link", name="Submit again, changed").click()
    page = look.page
    expect(page.get_by_label("name", exact=True)).to_have_value("wide")
    rate = parameter(page, "learning_rate")
    expect(rate.get_by_label("from")).to_have_value("1e-5")
    expect(rate.get_by_label("logarithmic")).to_be_checked()
    expect(page.get_by_label("labels")).to_be_visible()
    expect(page.get_by_label("labels")).to_have_value("team: vision")
    checked(page, "32 trials of random search")
    look.picture("again")
    rate.get_by_label("from").fill("0.001")
    page.get_by_label("name", exact=True).fill("narrower")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("narrower", timeout=20_000)
    again = next(each["spec"] for each in jobs(url) if each["name"] == "narrower")
    before = made["spec"]
    assert again["search_space"].pop("learning_rate")["low"] == 0.001
    assert before["search_space"].pop("learning_rate")["low"] == 1e-5
    assert {**before, "name": "narrower"} == again
    assert look.complaints == []


def test_the_json_and_the_commands_can_be_copied_also_without_a_clipboard(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate(
        "document.execCommand = (command) => { window.copied = [command, document.getSelection().toString()"
        " || document.activeElement.value]; }"
    )
    page.get_by_label("name", exact=True).fill("it's")
    for button, said in (
        ("Copy JSON", '"name": "it\'s"'),
        ("Copy for stride", "|\n  stride submit - --url"),
        ("Copy for curl", "it'\\''s"),
    ):
        if button != "Copy JSON" and not page.get_by_role("button", name=button).is_visible():
            page.get_by_text("As a command").click()
        page.get_by_role("button", name=button).click()
        checked(page, "Copied.")
        command, text = page.evaluate("window.copied")
        assert command == "copy"
        assert said in text


def test_the_form_works_by_keyboard_alone(url: str, worker: Worker, look: Look) -> None:
    page = opened(look.page, f"{url}/new")

    def tab_to(selector: str) -> None:
        for _ in range(200):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} is not reached")

    tab_to("[data-pointer='/name']")
    page.keyboard.type("by keyboard")
    tab_to("[data-parameter=momentum] [data-mode]")
    page.keyboard.press("Home")
    tab_to("[data-pointer='/budget/trials']")
    page.keyboard.type("5")
    tab_to("button[type=submit]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("by keyboard", timeout=20_000)
    [made] = jobs(url)
    assert made["spec"]["budget"]["trials"] == 5
    assert made["spec"]["search_space"]["momentum"] == 0.9


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400, 2560])
def test_everybody_can_read_the_form(url: str, job: Job, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("/new?objective=quadratic", "/new?objective=image-classification", f"/new?from={job.id}"):
        opened(page, url + path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for text in (page.locator("#json").input_value(), '{"objective": {"name": "quadratic"}, "seed": -1, "x": 1}'):
            page.locator("#json").fill(text)
            page.wait_for_timeout(600)
            check_readable(page)
    context.close()
