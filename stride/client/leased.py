"""The lease of a trial that this process trains: measurements and heartbeats are sent while it trains."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from stride.client.http import Http
from stride.errors import Refused, StrideError
from stride.reporting import NOTHING_SAVED, Encode, NoState

BATCH_S = 0.5
"""How long measurements may wait for others to be sent with, where no pruner is to be asked."""
MOST_AT_ONCE = 1_000
"""Measurements in one request."""
MOST_BYTES = 500_000
"""In one request, about: half of what a service takes. Measurements of many metrics pile up while it is away."""
TIMEOUT_S = 10.0
"""For one request, since the lease runs meanwhile."""
LONGEST_PAUSE_S = 2.0
"""Between two tries of the thread; less than what holders get to renew after an outage."""
LAST_S = 5.0
"""How long a process that leaves tries to give its lease back; the lease expires else."""
SHARE = 50
"""A state is kept in memory where so many times as long has passed as it took to encode the last: 2% of the time at most."""

GO_ON, STOP, LOST = "go_on", "stop", "lost"
LEASE_LOST = "lease-lost"
"""The kind of problem where another holds the trial, or nobody."""
BYTES = {"content-type": "application/octet-stream"}

log = logging.getLogger("stride")


class Leased:
    """The listener of one trial's reports. It is begun and then ended once, by `finish` or `release`.

    path: of the trial, in the API. asks_pruner: each step is sent when it is reported, since the trial may end there.
    resume_step: of the checkpoint at which it resumes; None: it begins. checkpoint_s: seconds between checkpoints.
    """

    def __init__(
        self,
        http: Http,
        path: str,
        token: str,
        lease_s: float,
        *,
        asks_pruner: bool,
        resume_step: int | None,
        checkpoint_s: float,
    ) -> None:
        self.answer = GO_ON
        """The last answer: whether the trial is to go on; LOST: it is another's."""
        self.failure: Refused | None = None
        """Why what was reported was refused."""
        self._http = http
        self._path = path
        self._token = token
        self._heartbeat_s, self._batch_s = lease_s / 3, min(BATCH_S, lease_s / 6)
        self._asks_pruner = asks_pruner
        self._resume_step = resume_step
        self._checkpoint_s = checkpoint_s
        self._waiting: list[Mapping[str, Any]] = []
        self._sending = threading.Lock()
        self._woken = threading.Condition()
        self._is_ending = False
        self._thread = threading.Thread(target=self._keep, name="stride-lease", daemon=True)
        self._stored_step, self._stored_at = resume_step or 0, time.monotonic()
        self._kept: tuple[int, bytes] | None = None
        """The last state that was encoded, with its step."""
        self._kept_at, self._took_s = 0.0, 0.0
        self._left: tuple[Mapping[str, Any], tuple[int, bytes] | None] | None = None
        """What a step measured that the block has left, and the state then: they do not count if that was by an interrupt."""
        self._stores = True
        self._sent_at = time.monotonic()

    def begin(self) -> None:
        """Renew the lease from now on."""
        self._thread.start()

    def saved(self) -> bytes:
        """The checkpoint at which the trial resumes; empty: it begins."""
        if self._resume_step is None:
            return b""
        try:
            return self._http.send("GET", f"{self._path}/checkpoint", query={"token": self._token}).content
        except Refused as refused:
            if refused.kind == "no-checkpoint":
                return b""
            raise

    def hear(self, report: dict[str, Any], encode: Encode) -> bool:
        """Take a measurement, and send it now or with others; returns whether the trial is to stop. Raises StrideError."""
        measurement = {name: report[name] for name in ("step", "metrics", "seconds")}
        if report["rate"] is not None:
            measurement["learning_rate"] = report["rate"]
        self._take_left()
        if report["is_leaving"]:
            self._left = measurement, self._encoded(report["step"], encode)
            return False
        self._add(measurement)
        if self._asks_pruner or len(self._waiting) >= MOST_AT_ONCE:
            self._send()
        if self.failure is not None:
            raise self.failure
        if self.answer in (GO_ON, STOP):
            self._keep_state(report["step"], encode)
        if self.answer == STOP or (self.answer == GO_ON and time.monotonic() - self._stored_at >= self._checkpoint_s):
            self._store(0.0)
        return self.answer != GO_ON

    def finish(self, attributes: Mapping[str, Any], error: Mapping[str, Any] | None) -> dict[str, Any]:
        """End the trial with what was reported; returns what has become of it. error: the exception that ended it.

        Raises StrideError; of a lease that was lost, Refused.
        """
        self._end()
        self._take_left()
        while len(self._batch()) < len(self._waiting) and self.answer != LOST:
            self._send()
        document = {"token": self._token, "measurements": self._waiting, "attributes": attributes}
        if error is not None:
            document["error"] = error
        try:
            ended: dict[str, Any] = self._http.post(f"{self._path}/finish", document)
        except Refused:
            self._waiting = []
            raise
        self._kept = None  # the trial may be kept for long
        return ended

    def release(self, reason: str, *, is_whole: bool) -> None:
        """Give the trial back, with the last state that is known, for whoever claims it next.

        is_whole: whether its last step came to its end. In vain where the service is away: the lease expires then.
        """
        self._end()
        if is_whole:
            self._take_left()
        self._store(LAST_S)
        self.give_up(reason)

    def give_up(self, reason: str) -> None:
        """Give a trial back that was not begun."""
        try:
            self._http.post(f"{self._path}/release", {"token": self._token, "reason": reason}, retry_s=LAST_S)
        except StrideError as error:
            log.warning("The trial at %s could not be given back, so its lease has to expire: %s", self._path, error)

    def _end(self) -> None:
        with self._woken:
            self._is_ending = True
            self._woken.notify()
        self._thread.join()

    def _keep(self) -> None:
        """The thread: send what waits, and a heartbeat where nothing was sent for a third of the lease."""
        pause_s = self._batch_s
        while True:
            with self._woken:
                due_s = self._sent_at + self._heartbeat_s - time.monotonic()
                self._woken.wait_for(lambda: self._is_ending or bool(self._waiting), max(due_s, 0.0))
                # What comes within this time goes along; and a service that is away gets it.
                if self._woken.wait_for(lambda: self._is_ending, pause_s):
                    return
            try:
                self._send(retry_s=0.0)
            except Refused as refused:
                self.failure = refused
                return
            except StrideError as error:  # it is away: whoever reports or finishes waits for it
                log.debug("%s: %s", self._path, error)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                pause_s = self._batch_s
                if self.answer == LOST:
                    return

    def _send(self, retry_s: float | None = None) -> None:
        """Send what waits, or else a heartbeat. Raises StrideError."""
        with self._sending:
            batch = self._batch()
            document: dict[str, Any] = {"token": self._token}
            what, document = ("measurements", document | {"measurements": batch}) if batch else ("heartbeat", document)
            try:
                self._ask("POST", what, retry_s, document=document)
            except Refused:
                self._drop(len(batch))  # it would be refused again
                raise
            self._drop(len(batch))

    def _batch(self) -> list[Mapping[str, Any]]:
        """As much of what waits as one request may have."""
        size, batch = 0, list[Mapping[str, Any]]()
        for measurement in self._waiting[:MOST_AT_ONCE]:
            size += 100 + sum(len(name) + 30 for name in measurement["metrics"])
            if batch and size > MOST_BYTES:
                break
            batch.append(measurement)
        return batch

    def _drop(self, n: int) -> None:
        with self._woken:
            del self._waiting[:n]

    def _ask(self, method: str, what: str, retry_s: float | None, **request: Any) -> None:
        """Send a request, and note its answer: the first that is not to go on counts. Raises StrideError."""
        try:
            told = self._http.send(method, f"{self._path}/{what}", timeout_s=TIMEOUT_S, retry_s=retry_s, **request).json()
        except Refused as refused:
            if refused.kind != LEASE_LOST:
                raise
            self.answer = LOST
        else:
            self.answer = told["answer"] if self.answer == GO_ON else self.answer
            self._sent_at = time.monotonic()

    def _keep_state(self, step: int, encode: Encode) -> None:
        """Keep what was saved for this step, encoded, if that is not too soon or a checkpoint is due."""
        began = time.monotonic()
        is_due = self.answer == STOP or began - self._stored_at >= self._checkpoint_s
        if not self._stores or (began - self._kept_at < SHARE * self._took_s and not is_due):
            return
        if (state := self._encoded(step, encode)) is not None:
            self._kept, self._kept_at = state, time.monotonic()
            self._took_s = self._kept_at - began

    def _encoded(self, step: int, encode: Encode) -> tuple[int, bytes] | None:
        """What was saved for this step; None: nothing, or what cannot be stored."""
        try:
            return step, encode(None)
        except NoState as flaw:
            if str(flaw) not in ("", NOTHING_SAVED):
                self._stores = False
                log.warning("No checkpoint of the trial at %s can be stored: %s", self._path, flaw)
            return None

    def _take_left(self) -> None:
        """Have a step that was left count: the block has gone on, or come to its end."""
        if self._left is not None:
            (measurement, state), self._left = self._left, None
            self._add(measurement)
            self._kept = state or self._kept

    def _add(self, measurement: Mapping[str, Any]) -> None:
        with self._woken:
            self._waiting.append(measurement)
            self._woken.notify()

    def _store(self, retry_s: float) -> None:
        """Store the last state that was kept as a checkpoint, after the measurements up to it."""
        if self._kept is None or self._kept[0] <= self._stored_step or not self._stores:
            return
        self._stored_at = time.monotonic()
        (step, content), query = self._kept, {"token": self._token}
        try:
            while self._waiting and self.answer != LOST:
                self._send(retry_s)
            if self.answer != LOST:
                self._ask("PUT", "checkpoint", retry_s, query=query | {"step": step}, content=content, headers=BYTES)
                self._stored_step = step
        except Refused as refused:
            self._stores = False
            log.warning("No checkpoint of the trial at %s can be stored: %s", self._path, refused)
        except StrideError as error:  # it is away: the next checkpoint will do
            log.debug("%s: %s", self._path, error)
