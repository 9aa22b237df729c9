"""Reinforcement learning: a policy learns to act in an environment of Gymnasium.

Source: any environment of Gymnasium whose observations are vectors (objectives/data/environments.py); the extra `rl`.
Run:    python -m objectives.tasks.reinforcement_learning --environment CartPole-v1 --learning-rate 0.0003
Known good: the defaults, PPO at learning rate 0.0003 for 20 iterations, reach a mean return of 499.9 or 500 on CartPole-v1 with
each of the seeds 0 to 4, in 7 seconds, and of -84 on Acrobot-v1 (-87 to -80, five seeds); 30 iterations, -152 to -146 on
Pendulum-v1 with four of these seeds, and -272 with one. The actor-critic reaches 500.0 on CartPole-v1 at learning rate 0.002
(seed 0), and 234 at 0.0003.

PPO (objectives/training/ppo.py), or an actor-critic, which is PPO with one pass over its transitions and no clipping. A step is
an iteration. mean_return is the mean sum of rewards of episodes in which the policy takes its most probable actions, in the same
start states for all trials; test_mean_return is that of 100 others.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.environments import LIMIT, Environment
from objectives.data.notes import log
from objectives.entries.reinforcement_learning import REINFORCEMENT_LEARNING
from objectives.models.actor_critic import ActorCritic
from objectives.models.layers import Between
from objectives.training.devices import find_device
from objectives.training.policies import Discrete, Gaussian
from objectives.training.policy_gradient import PolicyGradientRun


def model(environment: Environment, params: Mapping[str, Any], settings: Mapping[str, Any]) -> ActorCritic:
    """The network, from what is observed to the logits of discrete actions, or to a mean for each number of a continuous one."""
    return ActorCritic(
        environment.n_observed,
        environment.n_actions,
        Between(activation=params["activation"], normalization="none", dropout=0.0),
        hidden_layers=settings["hidden_layers"],
        width=settings["width"],
        has_deviations=not environment.is_discrete,
    )


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(REINFORCEMENT_LEARNING) | dict(params)
    settings = default_settings(REINFORCEMENT_LEARNING) | dict(settings)
    new_environment = partial(Environment, settings["environment"], settings["max_episode_steps"])
    environment = new_environment()
    if not environment.has_limit:
        log(f"{settings['environment']} has no limit to the steps of an episode: max_episode_steps {LIMIT} cuts them.")
    return PolicyGradientRun(
        new_environment,
        Discrete() if environment.is_discrete else Gaussian(),
        partial(model, environment, params, settings),
        params,
        settings,
        seed,
        find_device(device),
    )


if __name__ == "__main__":
    command_line.main(REINFORCEMENT_LEARNING, start)
