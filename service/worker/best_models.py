"""Which trials' weights are worth keeping: those of the best trial of a job, as far as one worker knows.

Every worker keeps the weights of its own best trial, and the sweeper those of the best of all.
"""

from uuid import UUID

from service.domain.job import Job


class BestModels:
    """The best values that one worker has seen of its jobs. Forgetting one costs an unneeded checkpoint, nothing else."""

    def __init__(self) -> None:
        self._best: dict[UUID, float] = {}
        self._without: set[str] = set()

    def wants(self, job: Job, value: float) -> bool:
        """Whether a trial that has reached `value` may be the job's best."""
        if job.spec.objective.name in self._without:
            return False
        best, sign = self._best.get(job.id), job.spec.cost_sign
        return best is None or sign * value <= sign * best

    def finished(self, job: Job, value: float) -> None:
        """To be called when a trial's value has been stored."""
        if self.wants(job, value):
            if len(self._best) >= _JOBS_REMEMBERED:
                self._best.clear()
            self._best[job.id] = value

    def has_none(self, job: Job) -> None:
        """To be called when the job's objective turns out to have no weights."""
        self._without.add(job.spec.objective.name)


_JOBS_REMEMBERED = 1_000
