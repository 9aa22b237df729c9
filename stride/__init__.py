"""What training scripts import of Stride: the decorator `objective`, the handle `Trial`, and its `steps` and `report`; and for
programs of their own `Client`.

Standard library only, but for the client, which is loaded when it is first named: a script is run in a process that holds nothing
else of Stride, so that its modules may have any names.
"""

from typing import TYPE_CHECKING, Any

from stride.declaration import objective
from stride.errors import NotStarted, Refused, ServiceFailed, StrideError, Unreachable
from stride.running import report, steps
from stride.trial import Trial

if TYPE_CHECKING:
    from stride.client import Client

__all__ = [
    "Client",
    "NotStarted",
    "Refused",
    "ServiceFailed",
    "StrideError",
    "Trial",
    "Unreachable",
    "objective",
    "report",
    "steps",
]


def __getattr__(name: str) -> Any:
    if name != "Client":
        raise AttributeError(f"module 'stride' has no attribute {name!r}")
    from stride.client import Client

    return Client
