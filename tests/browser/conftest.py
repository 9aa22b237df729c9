"""The API as a server of its own, with a job that has trials of every state, and Chromium to look at it."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, sync_playwright

from service.app import create_app
from service.dispatch.outcome import Pruned
from service.domain.job import Job
from service.settings import Settings
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.training import Worker, trained
from tests.quadratic import expected_loss

HOW_TO_GET_IT = "Chromium is missing: apt-get install chromium (Debian, Ubuntu), or brew install chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    executable = next((path for path in found if path), None)
    if executable is None:
        pytest.fail(HOW_TO_GET_IT)
    with sync_playwright() as playwright:
        # Without a sandbox, as containers and root allow none; it looks at nothing but the test's own server.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def job(database: Database) -> Job:
    """Twenty trials on the way to thirty: most complete, some infeasible, some pruned, one running."""
    rates = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}
    job = submit_job(
        database,
        name="digits, what learning rate?",
        search_space={"learning_rate": rates, "momentum": {"type": "float", "low": 0.0, "high": 0.9}, "epochs": 4},
        budget={"trials": 30},
        labels={"team": "vision"},
    )
    worker = Worker(database)
    for _ in range(16):
        claim = worker.claim()
        rate = float(claim.params["learning_rate"])
        for step in (1, 2, 3, 4):
            loss = expected_loss(rate) + 1 / step - 1 / 4
            metrics = {"loss": loss, "generalization_gap": 0.1 * step}
            worker.report(claim, loss, step, learning_rate=rate / step, metrics=metrics)
        worker.finish(claim, trained(claim))
    for loss in (3.0, 4.0, 5.0):
        claim = worker.claim()
        worker.report(claim, loss)
        worker.finish(claim, Pruned(value=loss, step=1))
    running = worker.claim()
    for step in (1, 2, 3):
        worker.report(running, 2.0 / step, step)
    return job


@pytest.fixture
def url(database: Database) -> Iterator[str]:
    """The address of a server on a free port."""
    app = create_app(Settings.model_validate({"objective_modules": "tests.quadratic"}), database)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server has not started"
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


class Look:
    """A page, what its console complained of, and which requests failed."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._folder = folder
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._failed)
        page.on(
            "response",
            lambda response: self.complaints.append(f"{response.status}: {response.url}") if response.status >= 400 else None,
        )

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # else the page was left
            self.complaints.append(f"failed: {request.url}")

    def picture(self, name: str) -> None:
        """Keep what the page shows in the test's folder, for people."""
        self.page.screenshot(path=self._folder / f"{name}.png", full_page=True)


@pytest.fixture
def look(browser: Browser, tmp_path: Path) -> Iterator[Look]:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    yield Look(page, tmp_path)
    page.close()
