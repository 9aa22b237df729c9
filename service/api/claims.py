"""/v1/jobs/{id}/claims: clients get trials to train elsewhere, of jobs that declare their objective themselves."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends

from service.api.clients import AskingClients, ServedClients
from service.api.dependencies import JobId
from service.api.json_body import JsonRoute
from service.api.problems import documented
from service.api.schemas.claims import Claimed, ClaimedTrial, ClaimRequest
from service.domain.job import FINAL

router = APIRouter(prefix="/v1/jobs", tags=["ask and tell"], route_class=JsonRoute)


async def _turn(job_id: JobId, clients: AskingClients) -> AsyncIterator[ServedClients]:
    async with clients.turn(job_id):  # waits without a thread: all endpoints share them
        yield clients


@router.post("/{job_id}/claims", responses=documented(400, 403, 404, 409, 413, 415, 422))
def claim_trials(job_id: JobId, request: ClaimRequest, clients: Annotated[ServedClients, Depends(_turn)]) -> Claimed:
    """Claim trials to train. A token that holds a lease is answered with its trial again, so a request may be sent twice."""
    answered = clients.clients.claim(job_id, request.worker, request.tokens)
    lacks = len(answered.trials) < len(request.tokens)
    retry_after_s = None if answered.state in FINAL else clients.retry_after_s if lacks else 0.0
    return Claimed(
        state=answered.state,
        trials=[
            ClaimedTrial(
                number=trial.claim.lease.number,
                token=trial.token,
                params=dict(trial.claim.params),
                seed=trial.claim.training_seed,
                attempt=trial.claim.lease.attempt,
                lease_s=clients.lease_s,
                resume_step=trial.resume_step,
            )
            for trial in answered.trials
        ],
        retry_after_s=retry_after_s,
    )
