"""Random generators by name, so that no two uses of a run's seed share a stream."""

from hashlib import sha256

import torch

CPU = torch.device("cpu")


def named_generator(seed: int, name: str, device: torch.device = CPU) -> torch.Generator:
    """A generator on `device` seeded from sha256 of `seed` and `name`: on the CPU, the same draws whatever the run is on."""
    digest = sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big"))
