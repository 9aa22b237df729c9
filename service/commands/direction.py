"""Whether the metric of a user's own training is minimized where it should be maximized, or the other way round."""

from collections.abc import Sequence
from typing import NamedTuple

from objectives.contract import Direction
from service.commands.api_client import ApiClient

FEWEST = 5
"""Trials without which nothing is said."""
MOST = 16
"""Trials that are looked at."""
SHARE = 0.8
"""Of the trials: where so many got worse while they trained, it is asked whether the direction is meant."""


class Ends(NamedTuple):
    """The metric at a trial's first step, and its value in the end."""

    first: float
    last: float


def ends_of(client: ApiClient, job: str, metric: str) -> list[Ends]:
    """Of the first trials that trained to their end, in more than one step."""
    trials = client.get(f"/v1/jobs/{job}/trials", limit=100)["items"]
    finished = [
        each for each in trials if each["state"] == "complete" and each["value"] is not None and (each["last_step"] or 0) > 1
    ]
    found = []
    for trial in finished[:MOST]:
        [first] = client.get(f"/v1/jobs/{job}/trials/{trial['number']}/measurements", limit=1)["items"]
        if (value := first["metrics"].get(metric)) is not None:
            found.append(Ends(value, trial["value"]))
    return found


def doubt(ends: Sequence[Ends], metric: str, direction: Direction) -> str | None:
    """A sentence where most trials got worse while they trained; None otherwise.

    A loss may rise in a few trials, by overfitting or near divergence, and hardly in most.
    """
    is_minimized = direction == "minimize"
    worse = sum(last > first if is_minimized else last < first for first, last in ends)
    if len(ends) < FEWEST or worse < SHARE * len(ends):
        return None
    went, best, better, other = (
        ("rose", "lowest", "higher", "maximize") if is_minimized else ("fell", "highest", "lower", "minimize")
    )
    return (
        f"While they trained, {metric} {went} in {worse} of {len(ends)} trials, and the {best} counts as the best: if {better} is"
        f' better, say --direction {other}, or direction="{other}" of @stride.objective.'
    )
