"""Episodes of a policy: collected to learn from, and played to measure it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor

from objectives.contract import DataProblem
from objectives.data.environments import Environment, Vector


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Transitions, each tensor (n_steps, n_environments, ...), on the CPU."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor
    """1 where the episode came to its end, after which there is no reward; else 0."""
    ended: Tensor
    """1 where the next step is of another episode: terminated, or cut by a time limit."""


class Episode:
    """An episode under way in an environment. What is saved of it, its seed and its actions, is played again to restore it."""

    def __init__(self, environment: Environment, seed: int) -> None:
        self.environment = environment
        self.begin(seed)

    def begin(self, seed: int) -> None:
        self.seed = seed
        self.actions: list[Any] = []
        self.observation: Vector = self.environment.reset(seed)

    def state_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "actions": torch.tensor(np.array(self.actions)),
            "observation": torch.from_numpy(self.observation.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises DataProblem where the environment does not repeat itself."""
        self.begin(state["seed"])
        for action in state["actions"].numpy():
            self.observation = self.environment.step(action).observation
            self.actions.append(action)
        if not np.array_equal(self.observation, state["observation"].numpy(), equal_nan=True):
            raise DataProblem(
                "The environment gave other observations for the same seed and actions: a run in it cannot be resumed."
            )


class Rollouts:
    """Collects transitions in several environments, whose episodes go on from one collection to the next."""

    def __init__(self, environments: Sequence[Environment], seeds: torch.Generator) -> None:
        self._seeds = seeds
        self._episodes = [Episode(environment, self._next_seed()) for environment in environments]

    def collect(self, act: Callable[[Tensor], Tensor], n_steps: int) -> Collected:
        """Go on for n_steps in each environment. act: actions, (n, ...), for observations, (n, n_observed), both on the CPU."""
        n_environments, n_observed = len(self._episodes), self._episodes[0].environment.n_observed
        observations = np.empty((n_steps, n_environments, n_observed), np.float32)
        following = np.empty_like(observations)
        rewards = np.empty((n_steps, n_environments), np.float32)
        terminated, ended = np.zeros_like(rewards), np.zeros_like(rewards)
        actions = []
        for step in range(n_steps):
            for i, episode in enumerate(self._episodes):
                observations[step, i] = episode.observation
            chosen = act(torch.from_numpy(observations[step]))
            actions.append(chosen)
            for i, (episode, action) in enumerate(zip(self._episodes, chosen.numpy(), strict=True)):
                outcome = episode.environment.step(action)
                episode.actions.append(action)
                episode.observation = following[step, i] = outcome.observation
                rewards[step, i] = outcome.reward
                if outcome.terminated or outcome.truncated:
                    terminated[step, i], ended[step, i] = outcome.terminated, 1
                    episode.begin(self._next_seed())
        return Collected(
            observations=torch.from_numpy(observations),
            actions=torch.stack(actions),
            rewards=torch.from_numpy(rewards),
            next_observations=torch.from_numpy(following),
            terminated=torch.from_numpy(terminated),
            ended=torch.from_numpy(ended),
        )

    def state_dict(self) -> dict[str, Any]:
        return {"seeds": self._seeds.get_state(), "episodes": [episode.state_dict() for episode in self._episodes]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._seeds.set_state(state["seeds"].cpu())
        for episode, of_episode in zip(self._episodes, state["episodes"], strict=True):
            episode.load_state_dict(of_episode)

    def _next_seed(self) -> int:
        return int(torch.randint(2**31, (), generator=self._seeds))


@dataclass(frozen=True, kw_only=True)
class Played:
    """What episodes came to, one after the other."""

    returns: list[float]
    """Sums of rewards."""
    lengths: list[int]
    """In steps."""


def play(environments: Sequence[Environment], act: Callable[[Tensor], Tensor | None], seeds: Sequence[int]) -> Played:
    """Play an episode for each seed, as many at a time as there are environments.

    act: as in `Rollouts.collect`; None: there is no action, and all returns are nan.
    """
    returns, lengths = [0.0] * len(seeds), [0] * len(seeds)
    for first in range(0, len(seeds), len(environments)):
        playing = dict(zip(range(first, len(seeds)), environments, strict=False))
        observations = {episode: environment.reset(seeds[episode]) for episode, environment in playing.items()}
        while playing:
            chosen = act(torch.from_numpy(np.stack([observations[episode] for episode in playing])))
            if chosen is None:
                return Played(returns=[nan] * len(seeds), lengths=lengths)
            for (episode, environment), action in zip(tuple(playing.items()), chosen.numpy(), strict=True):
                outcome = environment.step(action)
                observations[episode] = outcome.observation
                returns[episode] += outcome.reward
                lengths[episode] += 1
                if outcome.terminated or outcome.truncated:
                    del playing[episode]
    return Played(returns=returns, lengths=lengths)
