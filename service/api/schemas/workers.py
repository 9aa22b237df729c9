"""Workers, as the API returns them."""

from uuid import UUID

from service.api.schemas.view import Moment, View


class WorkerView(View):
    """A worker."""

    id: UUID
    name: str
    state: str
    """idle, training, lost or stopped."""
    objectives: list[str]
    set_aside: dict[str, str]
    """Objectives that it could not train when it last tried, and why; it will try them again."""
    device: str
    version: str
    started_at: Moment
    seen_at: Moment
    open_leases: int
