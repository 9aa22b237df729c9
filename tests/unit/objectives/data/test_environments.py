"""Environments of Gymnasium, as policies act in them."""

import sys
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import register, registry

from objectives.contract import DataProblem
from objectives.data.environments import LIMIT, LISTED, Environment


class Bare(gymnasium.Env[Any, Any]):
    """Observes how often it was reset and acted in; keeps the last action."""

    def __init__(self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.action: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.action = action
        return self.observation_space.sample(), 1.0, False, False, {}


VECTOR = gymnasium.spaces.Box(-1, 1, (3,))


@pytest.fixture
def bare() -> Iterator[str]:
    """The id of an environment whose spaces `make` is told."""
    yield "Bare-v0"
    registry.pop("Bare-v0", None)


def made(name: str, observed: Any, acted: Any) -> Environment:
    register(name, entry_point=lambda: Bare(observed, acted))
    return Environment(name)


@pytest.mark.parametrize(
    ("name", "n_observed", "n_actions", "is_discrete"),
    [
        ("CartPole-v1", 4, 2, True),
        ("Acrobot-v1", 6, 3, True),
        ("Pendulum-v1", 3, 1, False),
        ("FrozenLake-v1", 16, 4, True),  # a number, as one of 16
        ("Blackjack-v1", 32 + 11 + 2, 2, True),  # three numbers
    ],
)
def test_observations_are_vectors_and_an_episode_follows_from_seed_and_actions(
    name: str, n_observed: int, n_actions: int, is_discrete: bool
) -> None:
    def episode(seed: int) -> list[Any]:
        environment = Environment(name)
        assert (environment.n_observed, environment.n_actions, environment.is_discrete) == (n_observed, n_actions, is_discrete)
        first = environment.reset(seed)
        action = 0 if is_discrete else np.full(n_actions, 0.5, np.float32)
        second = environment.step(action)
        assert first.shape == second.observation.shape == (n_observed,)
        assert first.dtype == second.observation.dtype == np.float32
        return [*first, *second.observation, second.reward]

    assert episode(3) == episode(3)
    assert len({tuple(episode(seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize(
    ("name", "most_steps", "length"),
    [("Pendulum-v1", None, 200), ("Pendulum-v1", 300, 300), ("Bare-v0", None, LIMIT), ("Bare-v0", 3, 3)],
)
def test_an_episode_is_cut_at_the_limit_asked_for_or_that_of_the_environment(
    bare: str, name: str, most_steps: int | None, length: int
) -> None:
    register(bare, entry_point=lambda: Bare(VECTOR, gymnasium.spaces.Discrete(2)))
    environment = Environment(name, most_steps)
    environment.reset(0)
    action: Any = 0 if environment.is_discrete else np.zeros(environment.n_actions, np.float32)
    outcomes = [environment.step(action) for _ in range(length)]
    assert [outcome.truncated for outcome in outcomes] == [False] * (length - 1) + [True]
    assert not outcomes[-1].terminated


def test_numbers_of_a_continuous_action_cover_a_bounded_range_and_end_at_it(bare: str) -> None:
    acted = gymnasium.spaces.Box(np.array([0.0, -np.inf]), np.array([10.0, np.inf]), dtype=np.float64)
    environment = made(bare, VECTOR, acted)
    bare_one = environment._env.unwrapped
    environment.reset(0)
    for given, taken in (([0.0, 0.0], [5.0, 0.0]), ([1.0, 7.0], [10.0, 7.0]), ([-3.0, -7.0], [0.0, -7.0])):
        environment.step(np.array(given, np.float32))
        assert list(bare_one.action) == taken
    assert bare_one.action.dtype == np.float64


def test_discrete_actions_are_counted_from_the_first_there_is(bare: str) -> None:
    environment = made(bare, VECTOR, gymnasium.spaces.Discrete(3, start=5))
    environment.reset(0)
    environment.step(np.int64(2))
    assert environment._env.unwrapped.action == 7


@pytest.mark.parametrize(
    ("observed", "acted", "why"),
    [
        (
            gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8),
            gymnasium.spaces.Discrete(2),
            r"arrays of shape \(8, 8, 3\), such as",
        ),
        (gymnasium.spaces.Sequence(VECTOR), gymnasium.spaces.Discrete(2), "have no fixed number of values"),
        (VECTOR, gymnasium.spaces.MultiBinary(2), r"its actions are MultiBinary\(2\): they must be Discrete, or a Box"),
        (VECTOR, gymnasium.spaces.Box(-1, 1, (2, 2)), "they must be Discrete, or a Box of one dimension"),
    ],
)
def test_what_no_policy_can_act_in_is_refused_for_every_trial(bare: str, observed: Any, acted: Any, why: str) -> None:
    with pytest.raises(DataProblem, match=f"^The environment Bare-v0 cannot be learned here: .*{why}") as raised:
        made(bare, observed, acted)
    assert raised.value.for_every_trial


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v9", "There is no environment 'CartPole-v9' in gymnasium: did you mean CartPole-v1?"),
        ("Cartpole-v1", "There is no environment 'Cartpole-v1' in gymnasium: did you mean CartPole-v1?"),
        ("Pendelum-v1", "There is no environment 'Pendelum-v1' in gymnasium: did you mean Pendulum-v1?"),
        (
            "Xyz/Qqq-v1",
            f"There is no environment 'Xyz/Qqq-v1' in gymnasium: {LISTED} lists all.",
        ),
        ("Reachr-v3", "There is no environment 'Reachr-v3' in gymnasium: did you mean Reacher-v5?"),
        (
            "PongNoFrameskip-v4",
            f"There is no environment 'PongNoFrameskip-v4' in gymnasium: {LISTED} lists all; if it is a game of Atari, use"
            " ALE/Pong-v5, with pip install 'gymnasium[atari]'.",
        ),
        (
            "",
            "'' is no id of an environment, such as CartPole-v1: Malformed environment ID: . (Currently all IDs must be of the"
            " form [namespace/](env-name)-v(version). (namespace is optional))",
        ),
        ("Taxi-v3", "The environment Taxi-v3 is retired: use Taxi-v4."),
        ("Reacher-v2", "The environment Reacher-v2 is retired: use Reacher-v5."),
        ("phys2d/CartPole-v0", "The environment phys2d/CartPole-v0 needs jax: pip install 'gymnasium[jax]'."),
        (
            "GymV21Environment-v0",
            "The environment GymV21Environment-v0 cannot be made: To use the gym compatibility environments, run"
            ' `pip install "shimmy[gym-v21]"` or `pip install "shimmy[gym-v26]"`',
        ),
    ],
)
def test_an_id_that_cannot_be_used_is_told_with_what_may_have_been_meant(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("ale_py", "jax"):  # whether they are installed
        monkeypatch.setitem(sys.modules, package, None)
    with warnings.catch_warnings(), pytest.raises(DataProblem) as raised:
        warnings.simplefilter("error")  # Gymnasium's own, in colours
        Environment(name)
    assert str(raised.value) == message
    assert raised.value.for_every_trial


def test_a_package_that_an_environment_imports_is_named(bare: str) -> None:
    def entry_point() -> Any:
        raise ModuleNotFoundError("No module named 'engine'", name="engine")

    register(bare, entry_point=entry_point)
    with pytest.raises(DataProblem, match=r"^The environment Bare-v0 needs engine, which is not installed\.$") as raised:
        Environment(bare)
    assert raised.value.for_every_trial


@pytest.mark.parametrize(
    ("module", "name", "needs"),
    [
        ("gymnasium", "CartPole-v1", r"Reinforcement learning needs gymnasium: pip install 'stride-lr\[rl\]'\."),
        ("ale_py", "ALE/Pong-v5", r"The environment ALE/Pong-v5 needs ale_py: pip install 'gymnasium\[atari\]'\."),
        ("mujoco", "HalfCheetah-v5", "The environment HalfCheetah-v5 needs a package that is not installed: .*mujoco"),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, module: str, name: str, needs: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataProblem, match=f"^{needs}") as raised:
        Environment(name)
    assert raised.value.for_every_trial
