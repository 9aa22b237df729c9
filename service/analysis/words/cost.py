"""What a job has cost, in a sentence."""

from collections.abc import Sequence

from service.analysis.words.numbers import counted
from service.domain.lease import TimeSpent


def cost(spent: Sequence[TimeSpent], seconds: float | None) -> str | None:
    """Workers' time beside the time that passed. seconds: since the job's first claim. None before that."""
    attempts, total = sum(each.attempts for each in spent), sum(each.seconds for each in spent)
    if not attempts or seconds is None:
        return None
    at_once = f", {total / seconds:.1f} workers on average" if seconds > 0 else ""
    return (
        f"{counted(attempts, 'attempt', 'attempts')} took {duration(total)} of workers' time within {duration(seconds)}{at_once}."
    )


def duration(seconds: float) -> str:
    """In the two largest units: `2 h 5 min`, `3 min 12 s`, `4.2 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 60:
        return f"{minutes} min {whole % 60} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"
