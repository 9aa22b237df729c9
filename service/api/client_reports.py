"""/v1/jobs/{id}/trials/{n}/measurements, heartbeat, release and finish: what clients report of the trials that they train."""

from collections.abc import Iterator, Sequence, Set
from itertools import islice

from fastapi import APIRouter

from service.api.clients import AskingClients, ServedClients
from service.api.dependencies import JobId
from service.api.json_body import MAX_FAULTS, JsonRoute
from service.api.problems import documented
from service.api.schemas.claims import (
    Finished,
    FinishRequest,
    HeartbeatRequest,
    MeasurementsRequest,
    Released,
    ReleaseRequest,
    Report,
    StepReport,
)
from service.api.trials import Number
from service.dispatch.client_finish import End
from service.dispatch.client_runs import Told
from service.dispatch.clients import Run
from service.domain.objective import ExternalObjective
from service.errors import Invalid, InvalidQuestion, pointer
from stride.metrics import ALSO_TAKEN, is_taken

router = APIRouter(prefix="/v1/jobs/{job_id}/trials/{number}", tags=["ask and tell"], route_class=JsonRoute)

_PROBLEMS = documented(400, 403, 404, 409, 413, 415, 422)


@router.post("/measurements", responses=_PROBLEMS)
def report_measurements(job_id: JobId, number: Number, request: MeasurementsRequest, clients: AskingClients) -> Report:
    """Store what was measured, and renew the lease. Steps that are sent again are overwritten."""
    run = Run(job_id=job_id, number=number, token=request.token)
    _check(clients, run, request.measurements)
    return answer_of(clients.runs.report(run, [item.as_step for item in request.measurements]), clients)


@router.post("/heartbeat", responses=_PROBLEMS)
def report_heartbeat(job_id: JobId, number: Number, request: HeartbeatRequest, clients: AskingClients) -> Report:
    """Renew the lease: at least three times in `lease_s`, where measurements do not come as often."""
    return answer_of(clients.runs.heartbeat(Run(job_id=job_id, number=number, token=request.token), request.log), clients)


@router.post("/release", responses=_PROBLEMS)
def release_trial(job_id: JobId, number: Number, request: ReleaseRequest, clients: AskingClients) -> Released:
    """Give a trial back: the next claim gets it, and goes on from its checkpoint."""
    return Released(state=clients.runs.release(Run(job_id=job_id, number=number, token=request.token), request.reason))


@router.post("/finish", responses=_PROBLEMS)
def finish_trial(job_id: JobId, number: Number, request: FinishRequest, clients: AskingClients) -> Finished:
    """End a trial: it is judged by what was measured, and its result is stored."""
    run = Run(job_id=job_id, number=number, token=request.token)
    _check(clients, run, request.measurements)
    end = End(
        value=request.value,
        user_attrs=request.attributes,
        test_metrics=request.test_metrics,
        error=None if request.error is None else request.error.as_error,
    )
    ended = clients.runs.finish(run, end, [item.as_step for item in request.measurements])
    return Finished(result=ended.result, value=ended.value, state=ended.state)


def answer_of(told: Told, clients: ServedClients) -> Report:
    """The answer to a report."""
    return Report(answer=told.answer, reason=told.reason, lease_s=clients.lease_s, state=told.state)


def _check(clients: ServedClients, run: Run, measured: Sequence[StepReport]) -> None:
    """Raises JobNotFound, NotExternal, and InvalidQuestion for what the job does not declare."""
    if not measured:
        return
    spec = clients.clients.spec_of(run)
    assert isinstance(spec.objective, ExternalObjective)
    declared = {metric.name for metric in spec.objective.metrics}
    faults = list(islice(_faults(spec.metric, declared, measured), MAX_FAULTS))
    if faults:
        raise InvalidQuestion(faults)


def _faults(metric: str, declared: Set[str], measured: Sequence[StepReport]) -> Iterator[Invalid]:
    before = 0
    for index, item in enumerate(measured):
        if item.step <= before:
            detail = f"step {item.step} comes after step {before}: the steps of a request go upwards"
            yield Invalid(pointer("measurements", index, "step"), detail)
        before = item.step
        for name in sorted(name for name in item.metrics if not is_taken(name, declared)):
            detail = f"the job declares no metric {name!r}; it takes: {', '.join(sorted({*declared, *ALSO_TAKEN}))}"
            yield Invalid(pointer("measurements", index, "metrics", name), detail)
        if metric not in item.metrics:
            yield Invalid(pointer("measurements", index, "metrics"), f"{metric} is missing, the job's metric")
