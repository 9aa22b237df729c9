"""What is read of a study that stock Optuna has made, and what is refused."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from objectives.contract import DataProblem
from service.imports.optuna_study import log_of_study
from service.imports.run import Log

SPACE = {
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "momentum": FloatDistribution(0.0, 0.9, step=0.1),
    "layers": IntDistribution(1, 4),
    "schedule": CategoricalDistribution((None, "cosine")),
}
PARAMS = {"lr": 0.1, "momentum": 0.3, "layers": 2, "schedule": None}


def trial(state: TrialState = TrialState.COMPLETE, value: float | None = 1.0, **of: Any) -> optuna.trial.FrozenTrial:
    params, space = of.pop("params", PARAMS), of.pop("space", SPACE)
    return create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params=params,
        distributions={name: space[name] for name in params},
        **of,
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "journal.log")


def study(file: str, *trials: optuna.trial.FrozenTrial, name: str = "mine", **of: Any) -> optuna.Study:
    made = optuna.create_study(study_name=name, storage=JournalStorage(JournalFileBackend(file)), **of)
    made.add_trials(trials)
    return made


def read(file: str, name: str | None = None, **asked: Any) -> Log:
    return log_of_study(file, name, place="here", **asked)


def test_distributions_become_ranges_and_trials_runs(file: str) -> None:
    study(
        file,
        trial(value=0.5, intermediate_values={0: 2.0, 1: 0.6}, user_attrs={"host": "a", "training_seed": 7}),
        trial(params=PARAMS | {"schedule": "cosine", "lr": 1e-3}, value=math.inf),
        trial(TrialState.PRUNED, intermediate_values={0: 3.0}),
        direction="maximize",
    )
    log = read(file)
    assert (log.source, log.learning_rate, log.metric, log.direction) == ("study 'mine' of here", "lr", "value", "maximize")
    assert log.space == {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
        "layers": {"type": "int", "low": 1, "high": 4},
        "schedule": {"type": "categorical", "choices": ["None", "cosine"]},
    }
    first, second, third = log.runs
    assert first.params == {"lr": 0.1, "momentum": 0.3, "layers": 2, "schedule": "None"}
    assert (first.value, first.seed, first.attributes) == (0.5, 7, {"host": "a"})
    assert [(step.step, dict(step.metrics)) for step in first.steps] == [(1, {"value": 2.0}), (2, {"value": 0.6})]
    assert (second.value, second.params["schedule"], second.last_step) == (math.inf, "cosine", 1)
    assert (third.ending, third.value, third.last_step) == ("pruned", None, 1)


def test_failed_trials_say_nothing_unless_they_are_said_to_have_diverged(file: str) -> None:
    study(
        file,
        *(trial(), trial(TrialState.FAIL), trial(TrialState.FAIL, intermediate_values={3: math.nan})),
        *(trial(TrialState.FAIL, params={}), trial(TrialState.WAITING), trial(TrialState.RUNNING)),
        trial(system_attrs={"constraints": [0.5]}),
    )
    log = read(file)
    assert [run.ending for run in log.runs] == ["completed", "failed", "diverged"]
    assert log.notes == [
        "Left out, waiting or running: 2 trials.",
        "Left out, violating the study's constraints: 1 trial.",
        "Left out, failed before they had all parameters: 1 trial.",
        "2 trials failed. With Optuna a trial that returns nan fails, too: --missing diverged counts them as diverged.",
    ]
    assert [run.ending for run in read(file, missing="diverged").runs] == ["completed", "diverged", "diverged"]


def test_parameters_that_not_every_trial_has_become_attributes_and_ranges_that_changed_are_wide(file: str) -> None:
    wide = {"lr": FloatDistribution(1e-3, 10.0, log=True), "k": IntDistribution(8, 64, step=8)}
    study(file, trial(params={"lr": 0.1}), trial(params={"lr": 2.0, "k": 16}, space=wide))
    log = read(file)
    assert log.space == {"lr": {"type": "float", "low": 1e-5, "high": 10.0, "log": True}}
    assert [run.attributes for run in log.runs] == [{}, {"k": 16}]
    assert log.notes == ["Not every trial has k: kept as attributes of trials, not as parameters of the job."]


def test_attributes_of_any_kind_are_kept_as_json_has_them(file: str) -> None:
    noted = {"test": math.nan, "all": [math.inf, {"a": -math.inf}], "text": "a\0\ud800", "n" * 300: 1, "": 2, "k": None}
    study(file, trial(user_attrs=noted), trial(user_attrs={f"a{n}": n for n in range(150)}))
    first, second = (run.attributes for run in read(file).runs)
    assert first == {"test": "nan", "all": ["inf", {"a": "-inf"}], "text": "a\ufffd?", "k": None}
    assert second == {f"a{n}": n for n in range(100)}, "an import takes no more"


@pytest.mark.parametrize(
    ("trials", "asked", "said"),
    [
        ([trial()], {"name": "other"}, "There is no study 'other' in here; it has: mine"),
        ([trial(TrialState.FAIL)], {}, "has no trial that is complete or pruned"),
        ([], {}, "has no trial that is complete or pruned"),
        ([trial()], {"learning_rate": "eta"}, "has no parameter 'eta' (--learning-rate); its trials have lr, momentum"),
        ([trial(params={"layers": 1})], {}, "has no parameter called learning_rate or lr: name the learning rate"),
        ([trial(), trial(params={"layers": 1})], {}, "has trials without lr, such as trial 1"),
        ([trial()], {"direction": "maximize"}, "was made to minimize its value, not to maximize it"),
        ([trial(intermediate_values={-1: 1.0})], {}, "trial 0 of the study 'mine' of here, step -1 was reported"),
        (
            [trial(params={"lr": 0.0}, space={"lr": FloatDistribution(0.0, 1.0)})],
            {},
            "trial 0 of the study 'mine' of here, lr is 0.0, which is no learning rate",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    file: str, trials: list[optuna.trial.FrozenTrial], asked: dict[str, Any], said: str
) -> None:
    study(file, *trials)
    with pytest.raises(DataProblem) as refused:
        read(file, **asked)
    assert said in str(refused.value)


def test_several_objectives_several_studies_and_studies_of_jobs_are_refused(file: str) -> None:
    study(file, directions=["minimize", "maximize"], name="two")
    with pytest.raises(DataProblem, match="has 2 objectives"):
        read(file)
    study(file, name="third")
    with pytest.raises(DataProblem, match="Name a study of here with --study; it has: third, two"):
        read(file)
    study(file, name="digits").set_user_attr("job", "1234")
    with pytest.raises(DataProblem, match="that of a job, which has its answer already: stride best-lr 1234"):
        read(file, "digits")


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("none.log", "there is no such file"),
        ("sqlite:///none.db", "there is no file none.db"),
        ("postgresql+psycopg://nobody@127.0.0.1:9/x", "Connection refused"),
        ("nosuch://x/y", "cannot be read as a storage of Optuna"),
    ],
)
def test_a_storage_that_is_not_there_is_named_and_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataProblem, match="here cannot be read as a storage of Optuna") as refused:
        read(storage, "mine")
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())
