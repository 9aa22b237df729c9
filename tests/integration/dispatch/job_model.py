"""A simple model of a job's life: what should be so, whatever happens to it and in whatever order."""

from dataclasses import dataclass, field

from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.domain.trial import TrialError

TRIALS, FAILURES, MAX_ATTEMPTS, TARGET = 3, 2, 2, 0.5
RESULTS: dict[str, Result] = {
    "complete": Completed(value=1.0),
    "target": Completed(value=0.4),
    "infeasible": Infeasible(step=1, fraction=0.25, evidence="loss became inf"),
    "pruned": Pruned(value=2.0, step=1),
    "failed": Failed(error=TrialError(type="RuntimeError", message="told to fail")),
}


@dataclass
class ModelLease:
    number: int
    last_step: int | None = None
    expired_at: int | None = None
    """By the model's clock."""
    released: bool = False
    outcome: str | None = None

    @property
    def is_open(self) -> bool:
        return self.outcome is None


@dataclass
class ModelTrial:
    state: str
    leases: list[ModelLease] = field(default_factory=list)
    steps: int = 0

    @property
    def lease(self) -> ModelLease | None:
        return self.leases[-1] if self.leases and self.leases[-1].is_open else None

    @property
    def fruitless(self) -> int:
        """Attempts in a row, up to the last, that died without a step beyond those before."""
        count = furthest = 0
        for lease in self.leases:
            if (lease.last_step or 0) > furthest:
                count, furthest = 0, lease.last_step or 0
            elif lease.outcome in ("trainer_died", "vanished"):
                count += 1
        return count


@dataclass
class ModelJob:
    """The rules of DESIGN sections 2 and 3."""

    grid: bool
    max_parallel: int | None
    state: str = "queued"
    started: bool = False
    points: int = 0
    failures: int = 0
    reached: bool = False
    trials: list[ModelTrial] = field(default_factory=list)
    events: list[str] = field(default_factory=lambda: ["job.submitted"])
    clock: int = 0

    @property
    def open_leases(self) -> list[ModelLease]:
        return [trial.lease for trial in self.trials if trial.lease is not None]

    @property
    def all_issued(self) -> bool:
        return (self.points if self.grid else len(self.trials)) >= TRIALS

    @property
    def waiting(self) -> int | None:
        return next((number for number, trial in enumerate(self.trials) if trial.state == "waiting"), None)

    def claim(self) -> tuple[int, int] | None:
        """The number and the attempt that a claim gets."""
        expired = [lease for lease in self.open_leases if lease.expired_at is not None]
        if self.state == "running" and expired:
            lease = min(expired, key=lambda lease: lease.expired_at or 0)
            lease.outcome = "released" if lease.released else "vanished"
            self.events.append("lease.taken_over")
            if self.trials[lease.number].fruitless < MAX_ATTEMPTS:
                return self.begin(lease.number)
            self.end_trial(lease.number, "failed")
        full = self.max_parallel is not None and len(self.open_leases) >= self.max_parallel
        if self.state not in ("queued", "running") or full or (self.waiting is None and self.all_issued):
            return None
        if self.state == "queued":
            self.state, self.started = "running", True
            self.events.append("job.started")
        self.events.append("trial.started")
        number = self.waiting
        if number is None:
            number, self.points = len(self.trials), self.points + 1
            self.trials.append(ModelTrial("running"))
        self.trials[number].state = "running"
        return self.begin(number)

    def begin(self, number: int) -> tuple[int, int]:
        trial = self.trials[number]
        trial.leases.append(ModelLease(number))
        return number, len(trial.leases)

    def end_trial(self, number: int, state: str, *, target: bool = False) -> None:
        """A trial has got its result, and its lease has ended."""
        self.trials[number].state = state
        self.events.append({"complete": "trial.completed"}.get(state, f"trial.{state}"))
        self.failures = self.failures + 1 if state == "failed" else 0
        self.reached |= target
        self.end_if_done(reached=target)

    def end_if_done(self, *, reached: bool) -> None:
        if self.state != "running":
            return
        if self.failures >= FAILURES:
            self.end("failed")
        elif reached or (self.all_issued and not self.open_leases and self.waiting is None):
            self.end("completed")

    def end(self, state: str) -> None:
        self.state = state
        self.events.append(f"job.{state}")
        for trial in self.trials:
            if trial.lease is not None:
                trial.lease.outcome = "stopped"
                trial.state = "pruned" if trial.steps else "failed"
            elif trial.state == "waiting":
                trial.state = "failed"

    def tick(self) -> int:
        self.clock += 1
        return self.clock
