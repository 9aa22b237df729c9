"""Events of a job, as the API returns them."""

from typing import Any

from service.api.schemas.view import Moment, View


class EventView(View):
    """What happened to a job, its trials, or the attempts at them."""

    seq: int
    """Its number in the job: the order in which events were committed."""
    at: Moment
    type: str
    """What happened: job.submitted, trial.started, lease.taken_over, sampler.failed, and so on. A newer API may add types."""
    payload: dict[str, Any]
    """Facts of the event, such as the trial's number, its value or the reason; they depend on the type."""
