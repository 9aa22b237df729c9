"""Reinforcement learning by policy gradients: the run that acts, and learns from what it has led to.

A step is an iteration: a fixed number of transitions under the policy, a fixed number of updates on them, then episodes that
measure the policy. Before the first, as many transitions are collected for the statistics that standardize observations, as in
Burda et al. (2018), section 2.4, https://arxiv.org/abs/1810.12894. The seed determines the initial weights, episodes, actions,
and the order of transitions; on a CPU a run is reproducible bit for bit.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil, inf
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from objectives.contract import DataProblem, Measurement, NoState
from objectives.data.environments import Environment
from objectives.models.actor_critic import ActorCritic
from objectives.training.batches import Batch
from objectives.training.dead_units import watched
from objectives.training.early_stopping import EarlyStopping
from objectives.training.forward import Forward
from objectives.training.generators import named_generator, named_seed
from objectives.training.initialization import initialize
from objectives.training.optimization import Optimization
from objectives.training.policies import Distribution
from objectives.training.ppo import Learned, Ppo, advantages_of
from objectives.training.randomness import Randomness
from objectives.training.rollouts import Collected, Played, Rollouts, play
from objectives.training.schedules import Span
from objectives.training.snapshots import Snapshots

TEST_EPISODES = 100


class PolicyGradientRun:
    """A training run: iterating it trains, one iteration per item."""

    def __init__(
        self,
        new_environment: Callable[[], Environment],
        distribution: Distribution,
        new_model: Callable[[], ActorCritic],
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        seed: int,
        device: torch.device,
    ) -> None:
        """params and settings: all of them (see the catalog's entry). Raises DataProblem when they do not fit each other."""
        self._distribution = distribution
        self._params = params
        self._device = device
        n_parallel: int = settings["parallel_environments"]
        self._n_steps = ceil(params["transitions"] / n_parallel)
        n_transitions = self._n_steps * n_parallel
        self._batch_size: int = params["batch_size"]
        if self._batch_size > params["transitions"]:
            message = f"batch_size {self._batch_size} exceeds the {params['transitions']} transitions of an iteration"
            raise DataProblem(f"{message}: lower it, or raise transitions.")
        is_ppo = settings["algorithm"] == "ppo"
        self._passes: int = params["passes"] if is_ppo else 1
        updates = self._passes * (n_transitions // self._batch_size)
        self._randomness = Randomness(named_seed(seed, "initialization"))
        with self._randomness.in_use():
            model = new_model()
        initialize(model, params["initialization"], named_generator(seed, "initialization"), zero_output=params["zero_output"])
        self._model = model.to(device)
        self._forward = Forward(self._model, settings["precision"], device)
        self._ppo = Ppo(distribution, params, clips=is_ppo)
        self._optimization = Optimization(
            self._model,
            self._forward,
            self._ppo.loss,
            params,
            settings,
            Span(updates=params["iterations"] * updates, updates_per_epoch=updates),
            device,
            step_word="iteration",
            loss_name="loss of policy and value",
            observed_name="negative mean return",
        )
        self._order = named_generator(seed, "order of transitions")
        self._actions = named_generator(seed, "actions")
        with self._randomness.in_use():
            training = [new_environment() for _ in range(n_parallel)]
            self._rollouts = Rollouts(training, named_generator(seed, "episodes"))
            self._evaluating = [new_environment() for _ in range(settings["evaluation_episodes"])]
        self._early_stopping = EarlyStopping(params["early_stopping_patience"])
        self._snapshots = Snapshots(0)

    @property
    def guessing(self) -> dict[str, float]:
        """The mean return of a policy that always takes the same action: the first one, or the middle of its range."""
        same = torch.zeros(1, 2 * self._evaluating[0].n_actions)
        with self._randomness.in_use():
            played = self._played("validation", lambda seen: self._distribution.mode(same.expand(len(seen), -1)))
        return {"mean_return": fmean(played.returns)}

    def __iter__(self) -> Iterator[Measurement]:
        optimization = self._optimization
        while not optimization.has_ended and not self._early_stopping.has_stopped:
            with self._randomness.in_use():
                measurement = self._step()
            yield measurement
        if not optimization.diverged:
            self._early_stopping.restore(self._model)

    def state_dict(self) -> dict[str, Any]:
        """A deep copy of the state, which further training does not change; raises NoState where episodes do not repeat."""
        if not all(environment.repeats for environment in self._evaluating):
            raise NoState("the environment is nondeterministic: its episodes cannot be restored")
        return copy.deepcopy(
            {
                **self._optimization.state_dict(),
                "early_stopping": self._early_stopping.state_dict(),
                "snapshots": self._snapshots.state_dict(),
                "order": self._order.get_state(),
                "actions": self._actions.get_state(),
                "rollouts": self._rollouts.state_dict(),
                "randomness": self._randomness.state_dict(),
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A copy: the optimizer would update the tensors of `state` in place.
        state = copy.deepcopy(state)
        self._optimization.load_state_dict(state)
        self._early_stopping.load_state_dict(state["early_stopping"])
        self._snapshots.load_state_dict(state["snapshots"])
        self._order.set_state(state["order"].cpu())
        self._actions.set_state(state["actions"].cpu())
        with self._randomness.in_use():
            self._rollouts.load_state_dict(state["rollouts"])
        self._randomness.load_state_dict(state["randomness"])

    def evaluate(self) -> dict[str, float]:
        """The mean return over TEST_EPISODES episodes, the same ones for all runs."""
        with self._randomness.in_use():
            played = self._played("test", self._most_probable)
        return {"test_mean_return": fmean(played.returns)}

    def _step(self) -> Measurement:
        started = time.perf_counter()
        standardized = self._model.standardized
        if standardized.n_shown == 0:
            standardized.show(self._rollouts.collect(self._sampled, self._n_steps).observations.flatten(0, 1).to(self._device))
        collected = self._rollouts.collect(self._sampled, self._n_steps)
        observations, learned = self._learned(collected)
        updates = self._optimization.train(self._batches(observations, learned))
        with torch.inference_mode(), watched(self._model) as dead:
            parts = self._ppo.parts(self._forward(observations), learned)
        # Not before: what is learned is relative to the policy that acted, which standardized observations as it knew them.
        standardized.show(observations)
        played = self._played("validation", self._most_probable)
        mean_return = fmean(played.returns)
        # The loss says nothing of divergence as long as it is finite: the better a policy, the larger are returns to predict.
        step = self._optimization.end_step(updates, -mean_return, inf)
        self._early_stopping.observe(step.step, -mean_return, self._model)
        best_step = self._early_stopping.best_step
        return Measurement(
            step=step.step,
            fraction=step.fraction,
            in_warmup=step.in_warmup,
            metrics={
                "mean_return": mean_return,
                "episode_length": fmean(played.lengths),
                **{name: part.item() for name, part in parts._asdict().items()},
                **step.metrics,
                "dead_units": dead.share().item(),
                **(self._end_cycle(mean_return) if step.ends_cycle and step.divergence is None else {}),
            },
            learning_rate=step.learning_rate,
            seconds=time.perf_counter() - started,
            divergence=step.divergence,
            group_rates=step.group_rates,
            update_losses=step.update_losses,
            best_step=best_step if best_step != step.step else None,
        )

    def _end_cycle(self, mean_return: float) -> dict[str, float]:
        distance = self._snapshots.take(self._model)
        return {"cycle_mean_return": mean_return} | ({} if distance is None else {"snapshot_distance": distance})

    @torch.no_grad()
    def _learned(self, collected: Collected) -> tuple[Tensor, Learned]:
        """The observations of the transitions, (n, n_observed), and what is learned from them, on the device."""
        observations, following, actions = (
            each.flatten(0, 1).to(self._device)
            for each in (collected.observations, collected.next_observations, collected.actions)
        )
        outputs, values = self._forward(observations)
        _, next_values = self._forward(following)
        shape, scale = collected.rewards.shape, self._model.heads.scale.cpu()
        values, next_values = (scale * each.cpu().view(shape) for each in (values, next_values))
        advantages = advantages_of(
            collected.rewards,
            values,
            next_values * (1 - collected.terminated),
            collected.ended,
            discount=self._params["discount"],
            gae_lambda=self._params["gae_lambda"],
        )
        returns = (advantages + values).flatten().to(self._device)
        advantages = advantages.flatten().to(self._device)
        self._model.heads.show(returns)
        return observations, Learned(
            actions=actions,
            log_probabilities=self._distribution.log_probability(outputs, actions),
            advantages=(advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8),
            returns=returns / (self._model.heads.scale + 1e-8),
        )

    def _batches(self, observations: Tensor, learned: Learned) -> Iterator[Batch]:
        n = len(observations)
        for _ in range(self._passes):
            order = torch.randperm(n, generator=self._order).to(self._device)
            for chosen in order[: n // self._batch_size * self._batch_size].split(self._batch_size):
                yield Batch(observations[chosen], Learned(*(each[chosen] for each in learned)))

    def _played(self, which: Literal["validation", "test"], act: Callable[[Tensor], Tensor | None]) -> Played:
        """Episodes that measure, whose seeds are the same for all runs. act: as in `play`."""
        n = len(self._evaluating) if which == "validation" else TEST_EPISODES
        return play(self._evaluating, act, [named_seed(0, f"{which} episode {i}") % 2**31 for i in range(n)])

    @torch.inference_mode()
    def _sampled(self, observations: Tensor) -> Tensor:
        outputs, _ = self._model(observations.to(self._device))
        # Where outputs are no numbers, neither is the loss, which ends the run: it need not break the environment before.
        return self._distribution.sample(outputs.cpu().nan_to_num(), self._actions)

    @torch.inference_mode()
    def _most_probable(self, observations: Tensor) -> Tensor | None:
        outputs, _ = self._model(observations.to(self._device))
        return self._distribution.mode(outputs.cpu()) if outputs.isfinite().all() else None
