"""Random generators by name, so that no two uses of a run's seed share a stream."""

from hashlib import sha256

import torch


def named_generator(seed: int, name: str) -> torch.Generator:
    """A CPU generator seeded from sha256 of `seed` and `name`: the same draws whatever device the run is on."""
    digest = sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
