"""Random search: points drawn independently (uniform) or spread evenly (qmc), each tried with all its training seeds."""

from collections.abc import Sequence
from dataclasses import replace

from optuna.samplers import BaseSampler, QMCSampler
from optuna.trial import FrozenTrial

from service.domain.space import Point
from service.domain.spec import JobSpec
from service.search.samplers import at_random, silenced
from service.search.sampling import Proposal, at_point, distributions, point_of, propose
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies.sampled import Sampled

POINT = "stride:point"
"""System attribute of a trial of qmc search with replicates: the index of its point among the strategy's own points."""


class Uniform(Sampled):
    """Points drawn independently of each other."""

    needs_history = False

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        return at_random(job_seed, number)

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        if spec.replicates == 1:
            return super().propose(spec, snapshot, number=number, next_point=next_point, first_number=first_number)
        # The index of the point seeds the draw, so all replicates get one point, the same as in a job without replicates.
        index, replicate = divmod(next_point, spec.replicates)
        drawn = propose(spec, EMPTY, self.sampler, number=first_number + len(spec.try_first) + index)
        return replace(drawn, number=number, replicate=replicate, takes_point=True)


class Qmc(Sampled):
    """One scrambled Sobol sequence for the whole job."""

    needs_history = True
    keeps_attrs = True

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        # Until a trial has finished, points come from the independent sampler; seeded by trial number, they all differ.
        with silenced():
            return QMCSampler(scramble=True, seed=job_seed, independent_sampler=at_random(job_seed, number))

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        if spec.replicates == 1:
            return super().propose(spec, snapshot, number=number, next_point=next_point, first_number=first_number)
        # Each point takes one place of the sequence: replicate 0 draws it, and the others copy it.
        index, replicate, point = _next_own(spec, snapshot.trials)
        if point is not None:
            proposal = at_point(spec, number, point, replicate)
        else:
            proposal = propose(spec, snapshot, self.sampler, number=number)
        return replace(proposal, replicate=replicate, trial_attrs={**proposal.trial_attrs, POINT: index})


def _next_own(spec: JobSpec, trials: Sequence[FrozenTrial]) -> tuple[int, int, Point | None]:
    """The point index and replicate index of the next trial, and its point; None for replicate 0, which draws it."""
    own = [trial for trial in trials if POINT in trial.system_attrs]
    index, replicate = divmod(len(own), spec.replicates)
    return index, replicate, point_of(own[-1], distributions(spec)) if replicate else None
