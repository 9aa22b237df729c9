"""The pages of /learn as they are served, and the jobs that they offer."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.pages.lessons import EXPLAINED, LESSONS, Lesson
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.training import Worker


class Attributes(HTMLParser):
    """The attributes of the elements that have one of these names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append({"tag": tag} | dict(attrs))

    def of(self, name: str) -> list[Any]:
        return [each[name] for each in self.found if name in each]


def page(client: TestClient, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8"), response.text
    assert "script-src 'self';" in response.headers["content-security-policy"]
    return response.text


def test_all_lessons_are_listed_in_their_order_and_every_page_leads_to_them(client: TestClient) -> None:
    hrefs = Attributes(page(client, "/learn")).of("href")
    assert [href for href in hrefs if href.startswith("/learn/")] == [f"/learn/{lesson.name}" for lesson in LESSONS]
    assert "/learn" in Attributes(page(client, "/")).of("href")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_has_text_sources_picture_and_a_job_that_can_be_run(client: TestClient, lesson: Lesson) -> None:
    text = page(client, f"/learn/{lesson.name}")
    found = Attributes(text)
    [figure] = found.of("data-figure")
    assert json.loads(figure) == json.loads(json.dumps(lesson.draw(lesson.recorded()).to_json()))
    assert "<h2>Sources</h2>" in text
    assert found.of("data-post") == ["/v1/jobs"]
    [body] = found.of("data-body")
    answer = client.post("/v1/jobs?dry_run=true", json=json.loads(body))
    assert answer.status_code == 200, answer.text
    assert answer.json()["warnings"] == []


def test_each_lesson_leads_to_the_one_before_and_the_one_after(client: TestClient) -> None:
    for place, lesson in enumerate(LESSONS):
        found = Attributes(page(client, f"/learn/{lesson.name}")).found
        links = {each["rel"]: each["href"] for each in found if each.get("rel") in ("prev", "next")}
        beside = {"prev": place - 1, "next": place + 1}
        assert links == {rel: f"/learn/{LESSONS[at].name}" for rel, at in beside.items() if 0 <= at < len(LESSONS)}


def test_a_lesson_that_there_is_not_is_a_page_and_nothing_of_its_name_is_shown_as_markup(client: TestClient) -> None:
    found = page(client, "/learn/<b>nothing", 404)
    assert "There is no such lesson" in found
    assert "<b>" not in found


def test_the_figures_of_a_job_lead_to_the_lessons_that_explain_them(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = submit_job(database)
    worker.train(3)
    text = page(client, f"/jobs/{job.id}")
    shown = [each["data-part"] for each in Attributes(text).found if each.get("class") == "figure"]
    assert "response" in shown
    found = [each["href"] for each in Attributes(text).found if each.get("class") == "explained"]
    assert found == [f"/learn/{EXPLAINED[name]}" for name in shown if name in EXPLAINED]
    assert 'class="explained"' not in client.get(f"/v1/jobs/{job.id}/report").text, "a file has no lessons beside it"
    assert set(EXPLAINED.values()) <= {lesson.name for lesson in LESSONS}
