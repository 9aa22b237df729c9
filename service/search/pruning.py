"""Whether to prune a running trial: Optuna's pruner runs on a view in memory, and nothing is written."""

from typing import Any

import optuna
from optuna.trial import FrozenTrial

from service.domain.spec import JobSpec
from service.search.pruners import pruner
from service.search.samplers import silenced, view_name
from service.search.sampling_view import SamplingView
from service.search.snapshot import StudySnapshot
from service.search.strategies import strategy_of


def ask_pruner(spec: JobSpec, snapshot: StudySnapshot, own: FrozenTrial) -> tuple[bool, dict[str, Any]]:
    """Whether to prune `own`, a running trial of the snapshot, and the system attributes (rungs) that the pruner writes to it."""
    is_repeat = strategy_of(spec).is_repeat
    view = SamplingView(
        name=view_name(spec.seed),
        direction=spec.direction,
        trials=[trial for trial in snapshot.trials if trial is not own and not is_repeat(spec, trial)],
        next_number=own.number,
        study_attrs=snapshot.attrs,
        own=own,
    )
    with silenced():
        study = optuna.study.Study(
            study_name=view_name(spec.seed),
            storage=view,
            sampler=optuna.samplers.RandomSampler(),  # a study needs one, which no pruner asks; seeded, it takes half of the time
            pruner=pruner(spec.pruner),
        )
        prune = study.pruner.prune(study, own)
    return prune, view.written_trial_attrs
