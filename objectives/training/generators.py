"""Named random generators, so that no two uses of a run's seed share a random stream."""

from hashlib import sha256

import torch

CPU = torch.device("cpu")


def named_seed(seed: int, name: str) -> int:
    """The first 8 bytes of the SHA-256 of `seed` and `name`, as an integer."""
    return int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def named_generator(seed: int, name: str, device: torch.device = CPU) -> torch.Generator:
    """A generator on `device`, seeded with `named_seed`. One on the CPU draws the same numbers whatever device the run is on."""
    return torch.Generator(device).manual_seed(named_seed(seed, name))
