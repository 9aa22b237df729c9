"""What the client raises:

StrideError
├── Unreachable      no Stride answers at the URL
├── Refused          it answered that the request is wrong (4xx)
├── ServiceFailed    it answered that it failed (5xx)
└── NotStarted       the Stride of this machine did not start
"""

from typing import Any


class StrideError(Exception):
    """The root of all of them. The message is a sentence, for people."""


class Unreachable(StrideError):
    """No Stride answers at the URL."""


class Refused(StrideError):
    """The service refused the request: what was asked for is not possible.

    status: of HTTP. kind: of problem, such as "job-not-found". problem: the whole document (RFC 9457).
    """

    def __init__(self, message: str, status: int, kind: str, problem: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.problem = problem


class ServiceFailed(StrideError):
    """The service could not serve the request, for a reason of its own."""


class NotStarted(StrideError):
    """The Stride of this machine did not start."""
