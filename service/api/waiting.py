"""What a job waits for: a worker that can train it, where none that runs can; or a client, where clients train it."""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import Connection

from service.domain.job import OPEN, Job, JobState
from service.domain.objective import ExternalObjective
from service.store import claims, workers

ATTENDED_S = 60.0
"""Seconds after a claim for which a client that holds no trial is taken to be there still."""


def waiting_for(conn: Connection, listed: Iterable[Job]) -> dict[UUID, str]:
    """What each of the jobs waits for, in words, by id; those that wait for nothing are left out."""
    by_id = {job.id: job for job in listed if job.state in OPEN}
    external = {job_id for job_id, job in by_id.items() if isinstance(job.spec.objective, ExternalObjective)}
    attended = claims.attended(conn, external, within_s=ATTENDED_S) if external else set()
    names = {job.spec.objective.name for job_id, job in by_id.items() if job_id not in external}
    offered = workers.offered(conn, names) if names else {}
    found = {
        job_id: _waiting_for_client(job, job_id in attended) if job_id in external else _waiting_for(job, offered)
        for job_id, job in by_id.items()
    }
    return {job_id: said for job_id, said in found.items() if said is not None}


def _waiting_for_client(job: Job, is_attended: bool) -> str | None:
    if is_attended or job.state not in (JobState.QUEUED, JobState.RUNNING):
        return None
    return "a client that claims its trials"


def _waiting_for(job: Job, offered: Mapping[str, Collection[bytes | None]]) -> str | None:
    name = job.spec.objective.name
    versions = offered.get(name, ())
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        return None
    if not versions:
        return f"a worker that offers {name}"
    if job.objective_sha256 is None or job.objective_sha256 in versions:
        return None
    return f"a worker that offers {name} as it was when the job was submitted: those that run have another version of it"
