"""/v1/jobs/{id}/claims: clients get trials to train elsewhere, of jobs that declare their objective themselves."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends

from service.api.clients import AskingClients
from service.api.dependencies import JobId
from service.api.json_body import JsonRoute
from service.api.problems import documented
from service.api.schemas.claims import Claimed, ClaimedTrial, ClaimRequest
from service.domain.job import FINAL

router = APIRouter(prefix="/v1/jobs", tags=["ask and tell"], route_class=JsonRoute)


WAITS_S = 5.0
"""How long a claim waits for its turn: its sender would give up before long, and its leases would run unheard of."""


async def _turn(job_id: JobId, clients: AskingClients) -> AsyncIterator[bool]:
    """Whether it has become this request's turn. It waits without a thread: all endpoints share them."""
    turn = clients.turn(job_id)
    try:
        async with asyncio.timeout(WAITS_S):
            await turn.acquire()
    except TimeoutError:
        yield False
        return
    try:
        yield True
    finally:
        turn.release()


@router.post("/{job_id}/claims", responses=documented(400, 403, 404, 409, 413, 415, 422))
def claim_trials(
    job_id: JobId, request: ClaimRequest, clients: AskingClients, has_turn: Annotated[bool, Depends(_turn)]
) -> Claimed:
    """Claim trials to train. A token that holds a lease is answered with its trial again, so a request may be sent twice."""
    answered = clients.clients.claim(job_id, request.worker, request.tokens, has_turn=has_turn)
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
