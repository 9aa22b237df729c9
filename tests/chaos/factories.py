"""Histories for the tests of the checks, with keyword overrides: a job of two trials of two steps, as after a calm run."""

from typing import Any

from tests.chaos.history import Event, JobHistory, Lease, Step, Trial, Written
from tests.chaos.verify import ALL_DONE


def step(number: int = 1, loss: float | str = 1.0, **overrides: Any) -> Step:
    """One step of two."""
    return Step(
        **{
            "step": number,
            "fraction": number / 2,
            "in_warmup": False,
            "metrics": {"loss": loss},
            "learning_rate": 0.1,
            "details": None,
            "intermediate_value": (loss, "FINITE"),
        }
        | overrides
    )


def lease(attempt: int = 1, **overrides: Any) -> Lease:
    """An attempt that began ten seconds after the one before, and finished its trial."""
    return Lease(
        **{
            "attempt": attempt,
            "worker_id": "worker",
            "started_at": 10.0 * attempt,
            "released_at": None,
            "ended_at": 10.0 * attempt + 9,
            "outcome": "finished",
            "last_step": 2,
            "from_step": None,
        }
        | overrides
    )


def written(number: int, at: float, *, loss: float = 1.0, seconds: float = 0.1) -> Written:
    """A write of a step."""
    return Written(at=at, step=number, metrics={"loss": loss}, learning_rate=0.1, seconds=seconds)


def trial(number: int = 0, **overrides: Any) -> Trial:
    """A complete trial."""
    return Trial(
        **{
            "trial_id": number + 100,
            "number": number,
            "state": "COMPLETE",
            "value": (1.0, "FINITE"),
            "params": {"learning_rate": (0.1, "{}")},
            "user_attrs": {"test_loss": 1.0, "training_seed": number},
            "system_attrs": {"constraints": [-1.0]},
            "steps": (step(1), step(2)),
            "leases": (lease(),),
            "written": (written(1, 11.0), written(2, 12.0)),
        }
        | overrides
    )


def events(*types_and_payloads: tuple[str, dict[str, Any]], at: float = 20.0) -> tuple[Event, ...]:
    """Events in this order, from seq 1 on."""
    return tuple(
        Event(seq=seq, at=at, type=type_, payload=payload) for seq, (type_, payload) in enumerate(types_and_payloads, start=1)
    )


LIFE = (
    ("trial.started", {"trial": 0}),
    ("trial.started", {"trial": 1}),
    ("trial.completed", {"trial": 0}),
    ("trial.completed", {"trial": 1}),
)


def job(**overrides: Any) -> JobHistory:
    """A completed job of two trials."""
    history: dict[str, Any] = {
        "id": "job",
        "name": "0: random",
        "spec": {"seed": 7, "metric": "loss", "budget": {"trials": 2}},
        "budget": 2,
        "state": "completed",
        "reason": ALL_DONE,
        "trials": (trial(0), trial(1)),
        "events": events(*LIFE),
    } | overrides
    return JobHistory(**{"event_seq": len(history["events"])} | history)
