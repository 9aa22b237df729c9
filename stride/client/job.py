"""A job of the service, as the client shows it."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from socket import gethostname
from typing import Any, Self
from uuid import uuid4

from stride.client.claimed import ClaimedTrial
from stride.client.http import ANSWER_TIMEOUT_S, Http
from stride.client.leased import Leased

FINAL = frozenset({"completed", "failed", "cancelled"})
POLL_S = 0.5
CHECKPOINT_S = 30.0


@dataclass(frozen=True)
class Interval:
    """Learning rates from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class BestLearningRate:
    """A job's answer: the best learning rate, how certain it is, and how far one may move from it."""

    learning_rate: float | None
    """None: every rate that was tried diverged."""
    params: dict[str, Any]
    """The other searched parameters, at which that rate is best."""
    interval: Interval | None
    """Where the best rate lies with a probability of 90%; None: there are too few trials."""
    safe_range: Interval | None
    """Rates at which the metric is hardly worse; None: there are too few trials, or a part of them diverges at the best rate."""
    verdict: str
    """How far it can be relied on: confident, needs more trials, any rate will do, search range too narrow, nothing learned, all
    diverged."""
    because: str
    """The reason for the verdict, as a sentence."""
    document: dict[str, Any] = field(repr=False)
    """The whole answer, as GET /v1/jobs/{id}/best-lr has it."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """From the service's document."""
        return cls(
            learning_rate=document["learning_rate"],
            params=document["params"],
            interval=_interval(document["interval"]),
            safe_range=_interval(document["safe_range"]),
            verdict=document["verdict"],
            because=document["because"],
            document=document,
        )

    def __str__(self) -> str:
        rate = "no learning rate" if self.learning_rate is None else f"learning rate {self.learning_rate:.4g}"
        given = "".join(f" {name}={_shown(value)}" for name, value in self.params.items())
        within = "" if self.interval is None else f", 90%: {self.interval.low:.3g} to {self.interval.high:.3g}"
        return f"{rate}{' with' if given else ''}{given}{within}; {self.verdict}: {self.because}"


def _interval(document: Mapping[str, Any] | None) -> Interval | None:
    return None if document is None else Interval(document["low"], document["high"])


class Job:
    """One job. What it says of itself is asked for each time. Raises StrideError, as all of the client does."""

    def __init__(self, http: Http, document: dict[str, Any]) -> None:
        self.id: str = document["id"]
        self.url = f"{http.url}/jobs/{self.id[:8]}"
        """Of its page, for a browser."""
        self._http = http
        self._path = f"/v1/jobs/{self.id}"

    @property
    def document(self) -> dict[str, Any]:
        """The job as it is now, as GET /v1/jobs/{id} has it."""
        found: dict[str, Any] = self._http.get(self._path)
        return found

    @property
    def state(self) -> str:
        """queued, running, paused, completed, failed or cancelled."""
        return str(self.document["state"])

    def watch(self, *, quiet: bool = False) -> Self:
        """Wait until the job has ended, with a line of progress on a terminal or in a notebook; returns the job."""
        shows = not quiet and _shows_lines()
        width = 0
        while True:
            job = self.document
            is_over = job["state"] in FINAL
            if shows:
                line = progress(job)
                sys.stderr.write("\r" + line.ljust(width) + ("\n" if is_over else ""))
                sys.stderr.flush()
                width = len(line)
            if is_over:
                return self
            time.sleep(POLL_S)

    def best_lr(self, *, tolerance: float | None = None) -> BestLearningRate:
        """The best learning rate by the trials so far. tolerance: of the safe range, in the metric's units; None: it is chosen.

        Raises Refused while no trial has a result.
        """
        return BestLearningRate.of(self._http.get(f"{self._path}/best-lr", ANSWER_TIMEOUT_S, tolerance=tolerance))

    def extend(self, *, trials: int | None = None, seconds: float | None = None) -> Self:
        """Give the job more trials, or more seconds; one that has ended runs again."""
        given = {name: value for name, value in (("trials", trials), ("seconds", seconds)) if value is not None}
        self._http.post(f"{self._path}/extend", given, key=str(uuid4()))
        return self

    def pause(self) -> Self:
        """Start no further trials, and give back those that run."""
        return self._move("pause")

    def resume(self) -> Self:
        """Go on with a paused job."""
        return self._move("resume")

    def cancel(self) -> Self:
        """End the job; trials that run keep what they measured."""
        return self._move("cancel")

    def delete(self) -> None:
        """Delete the job, which has ended, with all its trials."""
        self._http.delete(self._path)

    def trials(self, *, worker: str | None = None, device: str | None = None) -> Iterator[ClaimedTrial]:
        """Trials to train here, one after the other, until the job has ended: `for trial in job.trials(): with trial: ...`

        Waits while there is none, as while the job is paused or others train the last ones. For a job of an external objective.
        worker: the name of this process in the service; by default host name and process id. device: what `trial.device` says; by
        default "cuda" where torch is imported and has a GPU, else "cpu". Raises RuntimeError where a trial is not trained, and
        ValueError where STRIDE_CHECKPOINT_S is no number.
        """
        worker = worker or f"{gethostname()}:{os.getpid()}"
        spec = self.document["spec"]
        while True:
            # A new token each time: one whose lease ended while its answer was lost, with this process stopped, gets no trial.
            claim = self._http.post(f"{self._path}/claims", {"worker": worker, "tokens": [str(uuid4())]})
            if claim["trials"]:
                (claimed,) = claim["trials"]
                yield from self._one(claimed, spec, device or _device())
            elif claim["retry_after_s"] is None:
                return
            else:
                time.sleep(max(claim["retry_after_s"], POLL_S))

    def _one(self, claimed: Mapping[str, Any], spec: Mapping[str, Any], device: str) -> Iterator[ClaimedTrial]:
        leased = Leased(
            self._http,
            f"{self._path}/trials/{claimed['number']}",
            claimed["token"],
            claimed["lease_s"],
            asks_pruner=spec["pruner"]["type"] != "none",
            resume_step=claimed["resume_step"],
            checkpoint_s=_checkpoint_s(),
        )
        trial = ClaimedTrial(
            leased,
            spec["metric"],
            [metric["name"] for metric in spec["objective"]["metrics"]],
            claimed["params"],
            claimed["seed"],
            device,
            claimed["number"],
            claimed["attempt"],
        )
        try:
            yield trial
        finally:
            if not trial.was_entered:
                trial.was_given_back = True
                leased.give_up("the client did not train it")
        if not trial.was_entered:
            raise RuntimeError(f"trial {trial.number} was not trained: write `with trial:` in the loop over job.trials()")

    def _move(self, to: str) -> Self:
        self._http.post(f"{self._path}/{to}")
        return self

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def _repr_html_(self) -> str:
        """In a notebook: a link to its page."""
        return f'Job <a href="{self.url}" target="_blank">{self.id[:8]}</a>'


def progress(job: Mapping[str, Any]) -> str:
    """A job's progress in a line: running 12/64, 2 running, best validation_loss 0.0412 at learning_rate 0.0213"""
    counts, best = job["progress"]["trials"], job["best"]
    done = counts["total"] - counts["running"] - counts["waiting"]
    parts = [f"{job['state']} {done}" + ("" if counts["planned"] is None else f"/{counts['planned']}")]
    if counts["running"]:
        parts.append(f"{counts['running']} running")
    if best is not None:
        rate = job["roles"].get("learning_rate")
        at = f" at {rate} {best['params'][rate]:.4g}" if rate in best["params"] else ""
        parts.append(f"best {job['spec']['metric']} {_shown(best['value'])}{at}")
    if job["waiting_for"]:
        parts.append(f"waiting for {job['waiting_for']}")
    return ", ".join(parts)


def _shown(value: Any) -> str:
    return format(value, ".4g") if isinstance(value, float) else str(value)


def _checkpoint_s() -> float:
    """Seconds between checkpoints. Raises ValueError."""
    text = os.environ.get("STRIDE_CHECKPOINT_S") or str(CHECKPOINT_S)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"STRIDE_CHECKPOINT_S is {text!r}: it must be a number of seconds") from None


def _shows_lines() -> bool:
    """Whether somebody sees a line that is written again and again: on a terminal, or in a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


def _device() -> str:
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"
