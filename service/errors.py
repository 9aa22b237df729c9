"""The errors that Stride raises. They know nothing of HTTP; `api/problems.py` maps them to responses.

StrideError
├── ConfigurationError        settings, folders, ports: one line on stderr, exit code 2
├── DatabaseUnavailable       it did not respond, or not in time: try again later
├── DatabaseNotMigrated       `stride migrate` has not been run, or another version ran it
├── JobNotFound
├── AmbiguousJob              several jobs' ids begin like this; carries them
├── TrialNotFound
├── InvalidJob                what was submitted cannot be run; carries one `Invalid` per fault
├── InvalidQuestion           a request's parameters are not valid; carries one `Invalid` per fault
├── NotComparable             the jobs' metrics are not the same measure; carries one `Invalid` per fault
├── TooFewToCompare           fewer than two of the jobs can be judged yet
├── IdempotencyKeyReused
├── IllegalMove               the job's state does not allow the request
├── NotExtendable             the job cannot be given more trials or seconds like this
├── NothingFinished           there is no answer yet
├── NoModel                   the best trial's weights are not stored, or cannot be read here
├── NoLearningRate            the objective has no learning rate among its parameters
├── NoBatchScaling            the trials do not show how the best rate depends on the batch size
├── InvalidCursor
├── NotExternal               clients cannot train this job: workers do
├── TokenInUse                the token belongs to another client or another job
├── NoCheckpoint              nothing is stored that the trial could go on from
└── LeaseLost                 the lease has ended: drop the result
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


class StrideError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class ConfigurationError(StrideError):
    """The configuration cannot be used."""


class DatabaseUnavailable(StrideError):
    """The database did not answer in time."""


class DatabaseNotMigrated(StrideError):
    """The database has not been migrated: run `stride migrate`."""


class JobNotFound(StrideError):
    """There is no such job."""

    def __init__(self, job_id: UUID | str) -> None:
        """job_id: or the digits with which no job's id begins."""
        super().__init__(f"There is no job {'whose id begins with ' if isinstance(job_id, str) else ''}{job_id}.")
        self.job_id = job_id


class AmbiguousJob(StrideError):
    """Several jobs have ids that begin like this: give more of the id."""

    def __init__(self, digits: str, job_ids: Sequence[UUID], *, more: bool) -> None:
        """job_ids: some of the jobs. more: whether there are others."""
        listed = ", ".join([*map(str, job_ids), *(["..."] if more else [])])
        super().__init__(f"Several jobs have ids that begin with {digits}: {listed} (give more of the id).")
        self.job_ids = job_ids


class TrialNotFound(StrideError):
    """There is no such trial."""

    def __init__(self, job_id: UUID, number: int) -> None:
        super().__init__(f"Job {job_id} has no trial {number}.")
        self.job_id = job_id
        self.number = number


@dataclass(frozen=True)
class Invalid:
    """One fault of a submitted document: where it is, and what would be valid."""

    pointer: str
    """A JSON pointer (RFC 6901) into the document."""
    detail: str


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


class InvalidJob(StrideError):
    """The job cannot be run as submitted."""

    def __init__(self, faults: list[Invalid]) -> None:
        super().__init__()
        self.faults = faults


class InvalidQuestion(StrideError):
    """The request is not valid."""

    def __init__(self, faults: list[Invalid]) -> None:
        super().__init__()
        self.faults = faults


class NotComparable(StrideError):
    """The jobs cannot be compared."""

    def __init__(self, faults: list[Invalid]) -> None:
        super().__init__()
        self.faults = faults


class TooFewToCompare(StrideError):
    """Fewer than two of the jobs can be judged yet."""


class IdempotencyKeyReused(StrideError):
    """This Idempotency-Key was used within the last 7 days with another body: use a new key for a new request."""


class IllegalMove(StrideError):
    """The job's state does not allow this."""

    def __init__(self, job_id: UUID, state: str, asked: str) -> None:
        super().__init__(f"Job {job_id} is {state}; {asked}")
        self.job_id = job_id
        self.state = state


class NotExtendable(StrideError):
    """The job cannot be extended like this: `args[0]` says why."""


class NothingFinished(StrideError):
    """No trial has finished yet, so there is no answer: ask again when one has."""


class NoModel(StrideError):
    """No model of the best trial is kept."""


class NoLearningRate(StrideError):
    """The job's objective has no learning rate among its parameters, so there is no best one."""


class NoBatchScaling(StrideError):
    """The trials do not show yet how the best learning rate depends on the batch size."""


class InvalidCursor(StrideError):
    """The cursor was not issued by this list: start again without it."""


class LeaseLost(StrideError):
    """The lease has ended, so nothing was written."""


class NotExternal(StrideError):
    """Clients cannot train this job: its objective is trained by workers."""

    def __init__(self, job_id: UUID, objective: str) -> None:
        super().__init__(
            f"Job {job_id} is trained by workers that offer {objective}: clients train jobs whose objective is external."
        )
        self.job_id = job_id


class TokenInUse(StrideError):
    """The token belongs to another client, or to another job."""

    def __init__(self, token: UUID) -> None:
        super().__init__(f"Token {token} was used by another client, or for another job: draw a new one for every trial.")
        self.token = token


class NoCheckpoint(StrideError):
    """The trial has no checkpoint: it begins at its first step."""
