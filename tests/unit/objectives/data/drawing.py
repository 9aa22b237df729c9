"""Image files to be read back."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image


def draw(pixels: np.ndarray, file_format: str = "PNG", **options: Any) -> bytes:
    """Pixels as (height, width) or (height, width, 3), in a file of that format."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
