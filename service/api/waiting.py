"""What a job waits for: a worker that can train it, where none that runs can."""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import Connection

from service.domain.job import OPEN, Job, JobState
from service.store import workers


def waiting_for(conn: Connection, listed: Iterable[Job]) -> dict[UUID, str]:
    """What each of the jobs waits for, in words, by id; those that wait for nothing are left out."""
    by_id = {job.id: job for job in listed if job.state in OPEN}
    offered = workers.offered(conn, {job.spec.objective.name for job in by_id.values()})
    found = {job_id: _waiting_for(job, offered) for job_id, job in by_id.items()}
    return {job_id: said for job_id, said in found.items() if said is not None}


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
