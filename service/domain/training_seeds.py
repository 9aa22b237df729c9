"""Which seed a trial is trained with.

What is asked is the best learning rate over training seeds. Where each trial has a seed of its own, the noise of training shows
in the trials; where all share one, they tell of that seed alone. Replicates are the same point trained with several seeds, the
same for all points, so that points can be compared in pairs.
"""

import hashlib
from collections.abc import Mapping, Set
from typing import Any

from service.domain.spec import JobSpec

TRAINING_SEED = "training_seed"
"""The user attribute of a trial that holds the seed it is trained with."""
REPLICATE = "replicate"
"""The user attribute of a trial that says which of the job's replicates it is: 0, 1, 2, ..."""

SEED_BITS = 53
"""A seed drawn for a trial or for a grid point is exact as a double, which is what JSON readers make of it."""


def has_own_seeds(spec: JobSpec) -> bool:
    """Whether each of the job's trials is trained with a seed of its own."""
    return spec.training_seed == "per_trial" and spec.replicates == 1


def only_seed(spec: JobSpec, seeds: Set[int]) -> int | None:
    """The seed that all of the job's trials share; None where they have several, as foreign trials may have in any job.

    seeds: of its trials.
    """
    return spec.seed if spec.training_seed == "shared" and seeds <= {spec.seed} else None


def training_seed(spec: JobSpec, *, number: int, grid_point: int | None = None, replicate: int = 0) -> int:
    """The seed of a job's trial `number`, by sha256, so that it does not matter who trains it and when.

    A trial's own is drawn from the job's seed and its number; of a grid from the job's seed and the index of the grid point.
    Where all trials share one it is the job's seed; replicates have the seeds of `replicate_seed`.
    """
    if not has_own_seeds(spec):
        return replicate_seed(spec.seed, replicate)
    of = f"trial {number}" if grid_point is None else f"point {grid_point}"
    return _drawn(spec.seed, of, SEED_BITS)


def replicate_seed(job_seed: int, replicate: int) -> int:
    """The seed of all trials of a replicate: the job's own for replicate 0, else 63 bits of sha256(job seed, replicate)."""
    return job_seed if replicate == 0 else _drawn(job_seed, f"replicate {replicate}", 63)


def stored_seed(user_attrs: Mapping[str, Any]) -> int | None:
    """The seed that a stored trial was trained with; None where the attribute names none: foreign scripts may write anything."""
    named = user_attrs.get(TRAINING_SEED)
    return named if type(named) is int and 0 <= named < 2**63 else None


def replicate_of(user_attrs: Mapping[str, Any], replicates: int) -> int:
    """Which of a job's `replicates` a stored trial is; 0 where the attribute names none: foreign scripts may write anything."""
    named = user_attrs.get(REPLICATE)
    return named if type(named) is int and 0 <= named < replicates else 0


def marks(replicate: int, replicates: int) -> dict[str, int]:
    """The user attributes that say which replicate a trial is; none in a job that has no others."""
    return {} if replicates == 1 else {REPLICATE: replicate}


def _drawn(job_seed: int, of: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{job_seed}/{of}".encode()).digest()[:8]) >> (64 - bits)
