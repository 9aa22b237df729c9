"""Environments of Gymnasium: by id, with observations as vectors, and actions as the policy gives them.

Gymnasium is an optional package: it is imported where an environment is made.
"""

import re
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem

ATARI = "gymnasium[atari]"
NAMESPACES: Mapping[str, tuple[str, str]] = {
    "ALE": ("ale_py", ATARI),
    "phys2d": ("jax", "gymnasium[jax]"),
    "tabular": ("jax", "gymnasium[jax]"),
}
"""Namespaces of ids that need a package of their own: its module, which may register the ids, and what installs it."""
FROM_MEMORY = {"obs_type": "ram"}
"""Atari games are observed as the 128 bytes of the console's memory: frames would need a network of their own."""
LIMIT = 1_000
"""Steps after which an episode is cut where neither the environment nor a setting limits them: it may have no end of its own."""
LISTED = "python -c 'import gymnasium; gymnasium.pprint_registry()'"

Vector = NDArray[np.float32]


class Outcome(NamedTuple):
    """What an action led to."""

    observation: Vector
    reward: float
    terminated: bool
    """The episode has come to its end, after which there are no rewards."""
    truncated: bool
    """It was cut by a time limit: there would have been more."""


class Environment:
    """An environment of Gymnasium, by its id. An episode is determined by its seed and its actions.

    most_steps: those after which an episode is cut; None: the environment's own limit, or LIMIT where it has none. Raises
    DataProblem when there is none of that id, when it needs a package that is missing, or when no policy here can act in it.
    """

    def __init__(self, name: str, most_steps: int | None = None) -> None:
        self._env = _made(name, most_steps)
        self.has_limit: bool = self._env.spec.max_episode_steps is not None
        if not self.has_limit:
            self._env = _gymnasium().wrappers.TimeLimit(self._env, LIMIT)
        spaces = _gymnasium().spaces
        observed, acted = self._env.observation_space, self._env.action_space
        if isinstance(observed, spaces.Box) and len(observed.shape) > 1:
            raise _unfit(name, f"its observations are arrays of shape {observed.shape}, such as images: they must be vectors")
        self._flatten = None if isinstance(observed, spaces.Box) and len(observed.shape) == 1 else spaces.flatten
        self._observed = observed
        try:
            self.n_observed: int = spaces.flatdim(observed)
        except (NotImplementedError, ValueError) as error:
            raise _unfit(name, f"its observations, {observed}, have no fixed number of values") from error
        self.is_discrete = isinstance(acted, spaces.Discrete)
        if self.is_discrete:
            self.n_actions = int(acted.n)
            self._first_action = int(acted.start)
        elif isinstance(acted, spaces.Box) and len(acted.shape) == 1:
            self.n_actions = acted.shape[0]
            bounded = np.isfinite(acted.low) & np.isfinite(acted.high)
            self._low, self._high, self._dtype = acted.low, acted.high, acted.dtype
            low, high = np.where(bounded, acted.low, -1), np.where(bounded, acted.high, 1)
            self._middle, self._half = (high + low) / 2, (high - low) / 2
        else:
            raise _unfit(name, f"its actions are {acted}: they must be Discrete, or a Box of one dimension")

    @property
    def repeats(self) -> bool:
        """Whether the same seed and actions give the same episode; Gymnasium's spec says where they do not."""
        return self._env.spec is None or not self._env.spec.nondeterministic

    def reset(self, seed: int) -> Vector:
        """Begin an episode; the first observation, (n_observed,)."""
        return self._vector(self._env.reset(seed=seed)[0])

    def step(self, action: Any) -> Outcome:
        """Act. action: the number of a discrete one, from 0; else numbers (n_actions,), in which -1 to 1 is a bounded range."""
        if self.is_discrete:
            taken = self._first_action + int(action)
        else:
            taken = np.clip(self._middle + self._half * action, self._low, self._high).astype(self._dtype)
        observation, reward, terminated, truncated, _ = self._env.step(taken)
        return Outcome(self._vector(observation), float(reward), bool(terminated), bool(truncated))

    def _vector(self, observation: Any) -> Vector:
        return np.asarray(observation if self._flatten is None else self._flatten(self._observed, observation), np.float32)


def _gymnasium() -> Any:
    try:
        return import_module("gymnasium")
    except ModuleNotFoundError as error:
        raise _problem("Reinforcement learning needs gymnasium: pip install 'stride-lr[rl]'.") from error


def _made(name: str, most_steps: int | None) -> Any:
    gymnasium = _gymnasium()
    namespace = name.partition("/")[0] if "/" in name else ""
    if namespace in NAMESPACES:
        module, package = NAMESPACES[namespace]
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise _problem(f"The environment {name} needs {module}: pip install '{package}'.") from error
    options = FROM_MEMORY if namespace == "ALE" else {}
    try:
        with warnings.catch_warnings():
            # Its own advice, in colours. What cannot be used is told below.
            warnings.filterwarnings("ignore", module=r"gymnasium\.")
            # Its checks of every step take as long as the steps of CartPole.
            return gymnasium.make(name, max_episode_steps=most_steps, disable_env_checker=True, **options)
    except gymnasium.error.UnregisteredEnv as error:
        raise _problem(f"There is no environment {name!r} in gymnasium: {_near(name)}") from error
    except gymnasium.error.DeprecatedEnv as error:
        raise _problem(f"The environment {name} is retired: use {_newest()[_base(name)]}.") from error
    except gymnasium.error.DependencyNotInstalled as error:
        raise _problem(f"The environment {name} needs a package that is not installed: {error}") from error
    except gymnasium.error.Error as error:
        raise _problem(f"{name!r} is no id of an environment, such as CartPole-v1: {error}") from error
    except ModuleNotFoundError as error:
        raise _problem(f"The environment {name} needs {error.name}, which is not installed.") from error
    except ImportError as error:
        # As those of retired versions that are still registered raise it.
        newest = _newest()[_base(name)]
        why = f"cannot be made: {error}" if newest == name else f"is retired: use {newest}."
        raise _problem(f"The environment {name} {why}") from error


def _base(name: str) -> str:
    """An id without its version, in lower case."""
    return re.sub(r"-v\d+$", "", name).lower()


def _newest() -> dict[str, str]:
    """The newest version of each environment, by its id without version: older ones may be retired."""
    specs = sorted(_gymnasium().registry.values(), key=lambda spec: spec.version or 0)
    return {_base(spec.id): spec.id for spec in specs}


def _near(name: str) -> str:
    """What may have been meant, in words."""
    game = re.sub(r"(NoFrameskip|Deterministic)?(-ram\w*)?-v\d+$", "", name)
    if has_games := find_spec("ale_py") is not None:
        import_module("ale_py")
    newest = _newest()
    if "/" not in name and (known := newest.get(_base(f"ALE/{game}"))):
        return f"did you mean {known}?"
    bases = [_base(name)] if _base(name) in newest else get_close_matches(_base(name), sorted(newest), n=3, cutoff=0.7)
    if bases:
        return f"did you mean {' or '.join(newest[base] for base in bases)}?"
    if "/" in name or has_games:
        return f"{LISTED} lists all."
    return f"{LISTED} lists all; if it is a game of Atari, use ALE/{game}-v5, with pip install '{ATARI}'."


def _problem(message: str) -> DataProblem:
    return DataProblem(message, for_every_trial=True)


def _unfit(name: str, why: str) -> DataProblem:
    return _problem(f"The environment {name} cannot be learned here: {why}.")
