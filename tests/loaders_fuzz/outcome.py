"""How a case may end."""

from typing import Literal

Outcome = Literal["read", "read, damaged", "refused"]
"""read: as the file says; damaged: bytes were changed, and what is left was read."""
