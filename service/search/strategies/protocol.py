"""The interface of a strategy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from service.domain.job import Job
from service.domain.meaning import Meaning
from service.domain.measurement import CurvePoint
from service.domain.request import JobRequest
from service.domain.space import Range, Scalar, SearchSpace
from service.domain.spec import JobSpec
from service.domain.strategy import PhaseStrategies
from service.domain.trial import Trial
from service.errors import Invalid
from service.search.sampling import Proposal
from service.search.snapshot import StudySnapshot

Curves = Mapping[int, Sequence[CurvePoint]]
"""How the metric was measured in each trial, by trial number."""


class Strategy(Protocol):
    """How a job chooses its points. A strategy keeps no state: its proposals depend only on the arguments."""

    needs_history: bool
    """Whether the next point depends on the study. It is then proposed with no transaction open."""
    counts_points: bool = False
    """Whether the strategy's share of the budget counts the points that the job's row counts, instead of trial numbers."""
    needs_results: bool = False
    """Whether the strategy is chosen by the job's results when its phase begins: see `begin`."""
    needs_torch: bool = False
    """Whether the sampler imports PyTorch."""
    keeps_attrs: bool = False
    """Whether the sampler writes system attributes of the study."""

    def check(self, request: JobRequest, space: SearchSpace, meaning: Meaning) -> Iterator[Invalid]:
        """The reasons why the request cannot be run with this strategy.

        space: its search space, with defaults filled in. meaning: of its parameters.
        """

    def n_points(self, space: SearchSpace) -> int | None:
        """How many points the space has for this strategy; None: unlimited."""

    def axis(self, name: str, dimension: Range) -> list[Scalar] | None:
        """The values that one parameter takes, all equally often; None: any value of its range."""

    def sampler(self, job_seed: int, number: int) -> BaseSampler:
        """The sampler that draws a trial's point, or the parameters that an enqueued trial leaves open."""

    def propose(self, spec: JobSpec, snapshot: StudySnapshot, *, number: int, next_point: int, first_number: int = 0) -> Proposal:
        """A point for the trial `number`. Raises Unsampleable.

        spec: its trial numbers are below `budget.trials`. snapshot: of the study; empty where no history is needed. next_point:
        the counter in the job's row, which the caller has locked; not valid where history is needed. first_number: the next
        trial number at the time this strategy began; lower numbers belong to earlier strategies.
        """

    def begin(
        self, job: Job, trials: Sequence[Trial], curves: Curves, *, n_trials: int | None, more_to_come: bool
    ) -> PhaseStrategies | None:
        """The strategy of a phase that begins now, with what it takes from the job's results; None: they do not suffice.

        job: before the phase. trials, curves: its finished trials, as answers use them. n_trials: of the phase; None: limited by
        time. more_to_come: whether trials are still running. Called only where results are needed, with no transaction open.
        """
        return None

    def may_repeat(self, spec: JobSpec, number: int) -> bool:
        """Whether the trial `number` may repeat an earlier point because of its result, so that it cannot be previewed."""
        return False

    def is_repeat(self, spec: JobSpec, trial: FrozenTrial) -> bool:
        """Whether a trial repeats an earlier point because of its result.

        Such a trial is not pruned, and pruners do not see it. If only the lucky seeds of a point were trained to the end, they
        would not measure its noise; and repeats of good points would raise the bar for trials that explore.
        """
        return False
