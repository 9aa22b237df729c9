"""Which trials' weights are worth keeping: those of the best trial of a job, and of the best of each point that is trained again
to confirm it, as far as one worker knows.

Every worker keeps the weights of its own best trials, and the sweeper those of the best of all.
"""

from collections.abc import Hashable

from service.dispatch.attempt import Claim


class BestModels:
    """The best values that one worker has seen of its jobs. Forgetting one costs an unneeded checkpoint, nothing else."""

    def __init__(self) -> None:
        self._best: dict[Hashable, float] = {}
        self._without: set[str] = set()

    def wants(self, claim: Claim, value: float) -> bool:
        """Whether a trial that has reached `value` may be the best of its job or, where its phase confirms, of its point."""
        job = claim.job
        if job.spec.objective.name in self._without:
            return False
        best, sign = self._best.get(_of(claim)), job.spec.cost_sign
        return best is None or sign * value <= sign * best

    def finished(self, claim: Claim, value: float) -> None:
        """To be called when a trial's value has been stored."""
        if self.wants(claim, value):
            if len(self._best) >= _REMEMBERED:
                self._best.clear()
            self._best[_of(claim)] = value

    def has_none(self, claim: Claim) -> None:
        """To be called when the job's objective turns out to have no weights."""
        self._without.add(claim.job.spec.objective.name)


def _of(claim: Claim) -> Hashable:
    """What a trial may be the best of. One that confirms and is the best of its job is the best of its point, too."""
    return (claim.job.id, *sorted(claim.params.items())) if claim.job.phase.is_confirming else claim.job.id


_REMEMBERED = 1_000
