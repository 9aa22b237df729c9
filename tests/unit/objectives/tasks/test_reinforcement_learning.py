"""Reinforcement learning on Gymnasium: CartPole is learned in seconds; other environments are stepped through."""

import itertools
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import register, registry

from objectives.catalog import default_params
from objectives.contract import DataProblem, Measurement, NoState
from objectives.data.environments import Environment
from objectives.entries.reinforcement_learning import REINFORCEMENT_LEARNING
from objectives.tasks.reinforcement_learning import start
from objectives.training.policy_gradient import PolicyGradientRun
from objectives.training.rollouts import Rollouts
from tests.unit.objectives.runs import train

SHORT = {"iterations": 4, "transitions": 128, "batch_size": 32, "passes": 2}
FEW = {"parallel_environments": 3, "evaluation_episodes": 2, "width": 16}


def begin(environment: str = "CartPole-v1", settings: dict[str, Any] | None = None, **params: Any) -> PolicyGradientRun:
    run = start(SHORT | params, {"environment": environment, **FEW, **(settings or {})}, 0, "cpu", 1)
    assert isinstance(run, PolicyGradientRun)
    return run


def test_to_balance_a_pole_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objectives.training.policy_gradient.TEST_EPISODES", 9)
    run = start({"iterations": 4, "transitions": 1024, "learning_rate": 0.001}, {"evaluation_episodes": 3}, 0, "cpu", 1)
    first, *_, last = train(run)
    assert last.metrics["mean_return"] > 150 > first.metrics["policy_loss"]
    assert last.metrics["mean_return"] == last.metrics["episode_length"]
    assert run.evaluate()["test_mean_return"] > 150
    assert last.metrics["entropy"] < first.metrics["entropy"] < 0.6931
    assert (last.step, last.fraction) == (4, 1.0)
    assert last.update_losses[-1][0] == 4 * 10 * (1024 // 64)


def end_of(run: PolicyGradientRun) -> tuple[list[Measurement], list[float], dict[str, float]]:
    measurements = train(run)
    weights = torch.cat([each.flatten() for each in run.state_dict()["model"].values()])
    return measurements, weights.tolist(), run.evaluate()


@pytest.mark.parametrize(
    ("environment", "choices"),
    [
        ("CartPole-v1", {"schedule": "plateau", "plateau_patience": 0}),
        ("Pendulum-v1", {"schedule": "cyclical", "rise_iterations": 1, "early_stopping_patience": 1, "clip_norm": 0.5}),
        ("Blackjack-v1", {"initialization": "default", "optimizer": "sgd", "transitions": 32}),
    ],
)
def test_a_resumed_run_goes_on_bit_for_bit_within_episodes_too(
    environment: str, choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("objectives.training.policy_gradient.TEST_EPISODES", 3)
    whole = begin(environment, **choices)
    first = train(whole, 2)
    torch.save(whole.state_dict(), tmp_path / "state")
    resumed = begin(environment, **choices)
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert repr(resumed.state_dict()["rollouts"]) == repr(whole.state_dict()["rollouts"])
    assert repr(end_of(resumed)) == repr(end_of(whole))
    assert repr(first) == repr(train(begin(environment, **choices), 2))
    assert repr(first) != repr(train(start(SHORT | choices, {"environment": environment, **FEW}, 1, "cpu", 1), 2))


def test_rates_of_a_schedule_in_iterations_are_applied_and_its_cycles_measured() -> None:
    run = begin(schedule="cosine-restarts", restart_iterations=2, restart_factor=1, learning_rate=0.001)
    measured = train(run)
    first, second, third, fourth = (each.learning_rate for each in measured)
    assert first == third > second == fourth
    assert ["cycle_mean_return" in each.metrics for each in measured] == [False, True, False, True]
    assert 0 < measured[-1].metrics["snapshot_distance"] < 1


def test_an_actor_critic_makes_one_pass_and_clips_nothing() -> None:
    first, *_ = train(begin(settings={"algorithm": "actor-critic"}, learning_rate=1.0), 1)
    assert first.update_losses[-1][0] == 129 // 32
    assert first.metrics["approximate_kl"] > 0.1
    assert first.metrics["clip_fraction"] == 0


def test_what_is_learned_is_relative_to_the_policy_that_acted() -> None:
    run = begin("Pendulum-v1")
    train(run, 1)
    acted = []

    def act(observations: torch.Tensor) -> torch.Tensor:
        actions = run._sampled(observations)
        acted.append(run._distribution.log_probability(run._model(observations)[0], actions))
        return actions

    observations, learned = run._learned(run._rollouts.collect(act, 5))
    torch.testing.assert_close(learned.log_probabilities, torch.cat(acted).detach())
    # The first ratios are 1: the policy that learns is the one that acted, its statistics of observations, too.
    assert run._ppo.parts(run._forward(observations), learned).approximate_kl.item() == pytest.approx(0, abs=1e-6)
    assert run._model.standardized.n_shown == 2 * 129


def test_weights_that_are_no_numbers_any_more_are_divergence() -> None:
    *_, last = train(begin("Pendulum-v1", optimizer="sgd", learning_rate=1e30))
    assert last.step < SHORT["iterations"]
    assert last.divergence is not None
    assert last.divergence.reason.startswith("loss of policy and value became ")
    assert not np.isfinite(last.metrics["mean_return"])


def test_more_in_a_batch_than_there_are_transitions_is_refused() -> None:
    with pytest.raises(
        DataProblem, match=r"^batch_size 129 exceeds the 128 transitions of an iteration: lower it, or raise transitions\.$"
    ):
        begin(batch_size=129)


class Corridor(gymnasium.Env[Any, Any]):
    """The reward is the action until step 3, when the episode ends; observes the step, and at the end again the first."""

    observation_space = gymnasium.spaces.Box(0, 10, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return np.array([0.0], np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return np.array([float(self.at % 3)], np.float32), float(action), self.at == 3, False, {}


class Forgetful(Corridor):
    """Never ends, and observes how often any such environment has acted, which no seed determines."""

    steps = itertools.count()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.array([float(next(self.steps))], np.float32), 0.0, False, False, {}


@pytest.fixture
def own() -> Iterator[str]:
    yield "Own-v0"
    registry.pop("Own-v0", None)


def test_returns_are_the_sums_of_rewards_of_whole_episodes(own: str) -> None:
    register(own, entry_point=Corridor)
    run = begin(own, iterations=8, learning_rate=0.01)
    *_, last = train(run)
    assert (last.metrics["mean_return"], last.metrics["episode_length"]) == (3.0, 3.0)
    with torch.inference_mode():
        _, values = run._model(torch.tensor([[0.0], [1.0], [2.0]]))
    assert run.guessing == {"mean_return": 0.0}
    # Nothing is won after the end, though it looks like the beginning.
    assert (run._model.heads.scale * values).tolist() == pytest.approx([1 + 0.99 + 0.99**2, 1 + 0.99, 1], abs=0.3)


def test_an_environment_that_does_not_repeat_itself_is_not_resumed(own: str) -> None:
    register(own, entry_point=Forgetful)
    rollouts = Rollouts([Environment(own)], torch.Generator())
    rollouts.collect(lambda observations: torch.zeros(len(observations), dtype=torch.int64), 2)
    with pytest.raises(DataProblem, match=r"^The environment gave other observations .* a run in it cannot be resumed\.$"):
        rollouts.load_state_dict(rollouts.state_dict())
    registry.pop(own)
    register(own, entry_point=Corridor, nondeterministic=True)
    with pytest.raises(NoState, match=r"^the environment is nondeterministic"):
        begin(own).state_dict()


def test_episodes_without_an_end_are_cut_in_training_and_where_a_policy_is_measured(
    own: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register(own, entry_point=Forgetful)
    run = begin(own, {"max_episode_steps": 7}, iterations=1, transitions=3 * 16)
    (first,) = train(run)
    assert first.metrics["episode_length"] == 7
    (of_one, *_) = run.state_dict()["rollouts"]["episodes"]
    assert len(of_one["actions"]) == 2 * 16 % 7
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("objectives.data.environments.LIMIT", 9)
    (first,) = train(begin(own, iterations=1))
    assert first.metrics["episode_length"] == 9
    assert "Own-v0 has no limit to the steps of an episode: max_episode_steps " in capsys.readouterr().out


def test_the_entry_has_no_parameter_without_effect() -> None:
    assert not {"normalization", "dropout", "epochs", "rise_epochs"} & default_params(REINFORCEMENT_LEARNING).keys()
