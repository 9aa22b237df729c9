"""How long ago something was."""

from datetime import UTC, datetime


def age(created: datetime) -> str:
    """How long ago, in the largest unit of which at least one has passed."""
    seconds = max(0, round((datetime.now(UTC) - created).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
