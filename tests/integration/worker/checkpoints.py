"""What tests look at of stored checkpoints."""

from pathlib import Path

from service.domain.job import Job
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.supervised import (
    curve_of,
    trial_of,
)


def states(database: Database) -> list[tuple[int, int, str | None]]:
    """Id, step and path of the checkpoints to go on from, the newest first."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql("SELECT id, step, path FROM stride.checkpoints WHERE kind = 'state' ORDER BY id DESC")
        return [(row.id, row.step, row.path) for row in rows]


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def assert_complete(database: Database, job: Job, epochs: int = 12) -> None:
    """Every step was measured, whatever happened in between."""
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert [item.step for item in curve] == list(range(1, epochs + 1))
    assert trial.value == curve[-1].metrics["loss"]
