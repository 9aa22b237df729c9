"""What `--watch` shows in place on a terminal: the job's state, its trials, its best rate so far, and the time left."""

import threading
import time
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from service.analysis.words.summary import so_far
from service.commands.api_client import ApiClient
from service.commands.output import parsed
from service.commands.tables import Document, best_rate, finished, plain, planned, state, trial_counts, trials_done
from service.domain.answer import Answer
from service.domain.job import FINAL
from service.errors import StrideError

ASK_EVERY_S = 3.0
"""How soon the rate is asked for again, at the earliest."""
REST = 4.0
"""After an answer nothing is asked for this many times as long as it took: of thousands of trials it takes seconds."""
BAR_WIDTH = 32


class RateSoFar:
    """A job's answer so far, asked for in a thread of its own since it may take long; only when further trials have ended."""

    def __init__(self, url: str, job_id: str) -> None:
        self._url = url
        self._job_id = job_id
        self._ended = 0
        self._due_at = 0.0
        self._asking: threading.Thread | None = None
        self.answer: Answer | None = None

    def look(self, job: Document) -> None:
        """Ask, if it is time to."""
        busy = self._asking is not None and self._asking.is_alive()
        if busy or finished(job) == self._ended or time.monotonic() < self._due_at:
            return
        self._ended = finished(job)
        self._asking = threading.Thread(target=self._ask, name="rate-so-far", daemon=True)
        self._asking.start()

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            with ApiClient(self._url) as client:
                self.answer = parsed(Answer, client.get(f"/v1/jobs/{self._job_id}/best-lr"))
        except StrideError:  # there is none yet; or the service is away, which whoever polls the job says
            pass
        self._due_at = time.monotonic() + max(ASK_EVERY_S, REST * (time.monotonic() - began))


class Progress:
    """The lines of a job, redrawn in place while the block runs, and gone after it."""

    def __init__(self, console: Console, page_url: str) -> None:
        self._page_url = page_url
        self._spinner = Spinner("dots")
        self._drawn: RenderableType = ""
        self._live = Live(console=console, transient=True, get_renderable=lambda: self._drawn)

    def __enter__(self) -> "Progress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, job: Document, left_s: float | None, answer: Answer | None) -> None:
        """Draw the job as it is now. left_s: seconds left, None where it is not known; answer: so far."""
        self._drawn = lines(job, left_s, answer, self._page_url, self._spinner)


def lines(
    job: Document, left_s: float | None, answer: Answer | None, page_url: str, spinner: RenderableType = ""
) -> RenderableType:
    """What is drawn of a job."""
    bar = ProgressBar(total=planned(job), completed=finished(job), width=BAR_WIDTH, pulse=planned(job) is None)
    head = Table.grid(padding=(0, 1))
    head.add_row(spinner, state(job), bar, trials_done(job), left(job, left_s))
    doing = ", ".join(each for each in (trial_counts(job), confirming(job)) if each)
    told = [plain(doing)] if doing else []
    if job["waiting_for"]:
        told.append(plain(f"waiting for {job['waiting_for']}"))
    if answer is not None:
        before, rate, after = so_far(answer)
        told.append(plain(before) + Text(rate, style="bold green") + plain(after))
    if best := best_rate(job):
        told.append(plain(best))
    return Group(head, *(Text("  ") + line for line in told), Text(f"  {page_url}", style="dim"))


def left(job: Document, left_s: float | None) -> str:
    """The time left, in words; empty where it is not known."""
    if left_s is None or job["state"] != "running" or job["waiting_for"]:
        return ""
    return f"about {timedelta(seconds=round(left_s))} left"


def confirming(job: Document) -> str:
    """That the job's last phase runs; empty where it does not."""
    return "confirming the best points" if job["phase"] == "confirm" and job["state"] not in FINAL else ""
