"""Checkpoints on the worker's side: how often they are taken, where they go, and what a model's file says of itself."""

import json
from dataclasses import dataclass
from pathlib import Path

from service.dispatch.attempt import Claim
from service.worker.trainer.messages import CheckpointPlace


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """How often, where and how large."""

    interval_s: float
    folder: Path | None
    """None: in the database."""
    max_bytes: int

    @property
    def folder_name(self) -> str | None:
        """The absolute path of the folder, for a process with another working directory."""
        return None if self.folder is None else str(self.folder.absolute())

    def place(self, claim: Claim) -> CheckpointPlace:
        """Where an attempt's checkpoints go. File names contain the lease's id, so no two attempts write the same file."""
        return CheckpointPlace(
            folder=self.folder_name,
            name=f"{claim.job.id}/{claim.lease.number}-{claim.lease.id}",
            max_bytes=self.max_bytes,
        )


def model_metadata(claim: Claim, value: float) -> dict[str, str]:
    """The metadata of a best model's file: safetensors allows strings only."""
    spec = claim.job.spec
    return {
        "format": "pt",
        "objective": spec.objective.name,
        "settings": json.dumps(spec.objective.settings, sort_keys=True),
        "params": json.dumps(dict(claim.params), sort_keys=True),
        "metric": spec.metric,
        "value": repr(value),
        "seed": str(claim.training_seed),
        "job": str(claim.job.id),
        "trial": str(claim.lease.number),
    }
