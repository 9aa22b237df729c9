"""The numbers that policies are learned by, against the formulas they are from."""

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from objectives.models.actor_critic import KEPT, ActorCritic, Heads, Standardized
from objectives.models.layers import PLAIN
from objectives.training.policies import Discrete, Distribution, Gaussian
from objectives.training.ppo import Learned, Ppo, advantages_of


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


OUTPUTS = torch.randn(5, 6, generator=generator())
DISTRIBUTIONS = [
    pytest.param(Discrete(), Categorical(logits=OUTPUTS), id="discrete"),
    pytest.param(Gaussian(), Independent(Normal(OUTPUTS[:, :3], OUTPUTS[:, 3:].exp()), 1), id="gaussian"),
]


@pytest.mark.parametrize(("ours", "torchs"), DISTRIBUTIONS)
def test_a_distribution_is_that_of_torch(ours: Distribution, torchs: torch.distributions.Distribution) -> None:
    actions = ours.sample(OUTPUTS, generator())
    torch.testing.assert_close(ours.log_probability(OUTPUTS, actions), torchs.log_prob(actions))
    torch.testing.assert_close(ours.entropy(OUTPUTS), torchs.entropy())
    torch.testing.assert_close(ours.mode(OUTPUTS), torchs.mode)


def test_actions_are_as_frequent_as_probable() -> None:
    n = 20_000
    draws = generator()
    frequency = Discrete().sample(OUTPUTS[:1].expand(n, -1), draws).bincount(minlength=6) / n
    torch.testing.assert_close(frequency, OUTPUTS[0].softmax(0), atol=5 * 0.5 / n**0.5, rtol=0)
    numbers = Gaussian().sample(OUTPUTS[:1].expand(n, -1), draws)
    torch.testing.assert_close(numbers.mean(0), OUTPUTS[0, :3], atol=5 * 3 / n**0.5, rtol=0)
    torch.testing.assert_close(numbers.std(0), OUTPUTS[0, 3:].exp(), rtol=5 / (2 * n) ** 0.5, atol=0)


def test_an_advantage_is_the_discounted_sum_of_errors_to_the_end_of_its_episode() -> None:
    """Schulman et al. (2016), eq. 14: with lambda 1, what the rewards to the end and the value after it exceed the value by."""
    rewards = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    values = torch.tensor([[10.0], [20.0], [30.0], [40.0]])
    following = torch.tensor([[20.0], [0.0], [40.0], [50.0]])  # terminated at the second step, cut at the last
    ended = torch.tensor([[0.0], [1.0], [0.0], [0.0]])
    found = advantages_of(rewards, values, following, ended, discount=0.5, gae_lambda=1.0)
    assert found.flatten().tolist() == [1 + 1 - 10, 2 - 20, 3 + 2 + 0.25 * 50 - 30, 4 + 25 - 40]
    one_step = advantages_of(rewards, values, following, ended, discount=0.5, gae_lambda=0.0)
    assert one_step.flatten().tolist() == [1 + 10 - 10, 2 - 20, 3 + 20 - 30, 4 + 25 - 40]


PARAMS = {"clip_ratio": 0.2, "value_weight": 0.5, "entropy_weight": 0.01}


def learned(log_ratio: float, advantage: float) -> tuple[tuple[torch.Tensor, torch.Tensor], Learned]:
    """Two actions of equal probability now, whose probability was another one."""
    outputs = torch.zeros(1, 2), torch.tensor([3.0])
    before = torch.tensor([0.5]).log() - log_ratio
    return outputs, Learned(torch.tensor([0]), before, torch.tensor([advantage]), torch.tensor([1.0]))


@pytest.mark.parametrize(
    ("ratio", "advantage", "policy_loss"),
    [(1.5, 1.0, -1.2), (1.5, -1.0, 1.5), (0.5, 1.0, -0.5), (0.5, -1.0, 0.8), (1.1, 2.0, -2.2)],
)
def test_the_loss_is_clipped_where_there_is_nothing_more_to_win(ratio: float, advantage: float, policy_loss: float) -> None:
    """Schulman et al. (2017), figure 1."""
    log_ratio = torch.tensor(ratio).log().item()
    ppo = Ppo(Discrete(), PARAMS, clips=True)
    parts = ppo.parts(*learned(log_ratio, advantage))
    entropy = torch.tensor(2.0).log().item()
    assert parts.policy_loss.item() == pytest.approx(policy_loss)
    assert parts.value_loss.item() == 2.0
    assert parts.entropy.item() == pytest.approx(entropy)
    assert parts.approximate_kl.item() == pytest.approx(ratio - 1 - log_ratio, abs=1e-6)
    assert parts.clip_fraction.item() == (ratio != 1.1)
    assert ppo.loss(*learned(log_ratio, advantage)).item() == pytest.approx(policy_loss + 0.5 * 2 - 0.01 * entropy)
    unclipped = Ppo(Discrete(), PARAMS, clips=False).parts(*learned(log_ratio, advantage))
    assert unclipped.policy_loss.item() == pytest.approx(-ratio * advantage)


def test_mean_and_variance_are_those_of_all_observations_shown() -> None:
    shown = 100 + 7 * torch.randn(50, 3, generator=generator())
    standardized = Standardized(3)
    torch.testing.assert_close(standardized(shown / 100), shown / 100)
    for part in shown.split([1, 20, 29]):
        standardized.show(part)
    expected = (shown - shown.mean(0)) / shown.std(0, correction=0)
    torch.testing.assert_close(standardized(shown), expected, rtol=1e-4, atol=1e-4)
    assert standardized(torch.full((1, 3), 1e9)).tolist() == [[10.0] * 3]


def test_the_unit_of_values_is_the_size_of_recent_returns() -> None:
    heads = Heads(0)
    for returns, scale in (([0.0, 0.0], 0.0), ([3.0, -3.0], 3.0), ([0.0, 0.0], 3 * KEPT**0.5)):
        heads.show(torch.tensor(returns))
        assert heads.scale.item() == pytest.approx(scale)


def test_a_network_gives_what_a_policy_acts_by_and_values() -> None:
    observations = torch.randn(4, 3, generator=generator())
    for has_deviations, n_outputs in ((False, 2), (True, 4)):
        model = ActorCritic(3, 2, PLAIN, hidden_layers=1, width=8, has_deviations=has_deviations)
        outputs, values = model(observations)
        assert (outputs.shape, values.shape) == ((4, n_outputs), (4,))
    assert outputs[:, 2:].tolist() == [[0.0, 0.0]] * 4
