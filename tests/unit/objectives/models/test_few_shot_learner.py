"""A learner beside the plain one: each episode for itself, its network called with adapted weights."""

from dataclasses import replace
from itertools import cycle, islice

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from objectives.models.few_shot import Adaptation, FewShotLearner
from objectives.models.mlp import mlp
from objectives.training.losses import regression_loss

EPISODES, SHOTS, QUERIES = 3, 4, 6
MAML = Adaptation(
    algorithm="maml",
    inner_learning_rate=0.1,
    inner_steps=3,
    inner_steps_evaluation=5,
    inner_rates="per-weight",
    first_order=False,
)
REPTILE = replace(MAML, algorithm="reptile")


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


SUPPORT = drawn(EPISODES, SHOTS, 2), drawn(EPISODES, SHOTS)
QUERY = drawn(EPISODES, QUERIES, 2), drawn(EPISODES, QUERIES)


def learner(how: Adaptation, *, examples_per_step: int = SHOTS) -> FewShotLearner:
    torch.manual_seed(0)
    made = FewShotLearner(mlp((2,), 1, width=8), regression_loss("mse"), how, examples_per_step=examples_per_step)
    for each in made.log_inner_rates:
        nn.init.normal_(each, 0.0, 0.3)
    return made


def plainly(made: FewShotLearner, how: Adaptation, n_steps: int, episode: int, *, examples_per_step: int = SHOTS) -> Tensor:
    """The outputs (queries,) of an episode, of weights that keep the graph of the steps."""
    network = nn.Sequential(*[layer for name, layer in made.named_children() if name != "log_inner_rates"])
    weights: dict[str, Tensor] = dict(network.named_parameters())
    rates = {name: torch.tensor(how.inner_learning_rate) for name in weights}
    for name, log_rate in zip(weights, made.log_inner_rates, strict=False):
        rates[name] = rates[name] * log_rate.exp().reshape(weights[name].shape if len(log_rate) > 1 else ())
    parts = [part.split(examples_per_step) for part in (SUPPORT[0][episode], SUPPORT[1][episode])]
    for inputs, targets in islice(cycle(zip(*parts, strict=True)), n_steps):
        loss = mse_loss(functional_call(network, weights, inputs).squeeze(1), targets)
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=not how.first_order)
        weights = {name: weights[name] - rates[name] * slope for name, slope in zip(weights, slopes, strict=True)}
    outputs: Tensor = functional_call(network, weights, QUERY[0][episode])
    return outputs.squeeze(1)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("inner_rates", ["fixed", "per-layer", "per-weight"])
def test_mamls_gradient_is_that_of_the_loss_after_the_inner_steps(inner_rates: str, first_order: bool) -> None:
    how = replace(MAML, inner_rates=inner_rates, first_order=first_order)
    made = learner(how)
    found = made.train()(*SUPPORT, QUERY[0])
    plain = torch.stack([plainly(made, how, how.inner_steps, episode) for episode in range(EPISODES)])
    torch.testing.assert_close(found.outputs.squeeze(2), plain)
    assert found.surrogate == 0
    gradients = torch.autograd.grad(mse_loss(found.outputs.squeeze(2), QUERY[1]) + found.surrogate, list(made.parameters()))
    torch.testing.assert_close(gradients, torch.autograd.grad(mse_loss(plain, QUERY[1]), list(made.parameters())))


def test_second_derivatives_are_left_out_by_the_first_order_only() -> None:
    made, first_order = learner(MAML), learner(replace(MAML, first_order=True))
    gradients = [
        torch.autograd.grad(mse_loss(each.train()(*SUPPORT, QUERY[0]).outputs.squeeze(2), QUERY[1]), list(each.parameters()))
        for each in (made, first_order)
    ]
    assert not torch.allclose(gradients[0][0], gradients[1][0])


def test_reptiles_gradient_is_the_initial_weights_less_the_mean_of_those_that_were_trained() -> None:
    made = learner(REPTILE, examples_per_step=2)
    found = made.train()(*SUPPORT, QUERY[0])
    trained = []
    for episode in range(EPISODES):
        network = mlp((2,), 1, width=8)
        network.load_state_dict(made.state_dict())
        optimizer = torch.optim.SGD(network.parameters(), lr=REPTILE.inner_learning_rate)
        parts = SUPPORT[0][episode].split(2), SUPPORT[1][episode].split(2)
        for inputs, targets in islice(cycle(zip(*parts, strict=True)), REPTILE.inner_steps):
            optimizer.zero_grad()
            mse_loss(network(inputs).squeeze(1), targets).backward()
            optimizer.step()
        trained.append(network)
        torch.testing.assert_close(found.outputs[episode], network(QUERY[0][episode]).detach())
    loss = mse_loss(found.outputs.squeeze(2), QUERY[1])
    (loss + found.surrogate).backward()
    assert (loss + found.surrogate).item() == loss.item()
    for weights, *after in zip(made.parameters(), *(each.parameters() for each in trained), strict=True):
        expected = weights.detach() - torch.stack([each.detach() for each in after]).mean(dim=0)
        torch.testing.assert_close(weights.grad, expected)


def test_weights_that_no_episode_changes_have_no_gradient_in_reptile() -> None:
    """Not even that of rounding, which Adam would make as large as any."""
    made = learner(REPTILE)
    inputs, targets, queries = (each.repeat(11, *[1] * (each.dim() - 1)) for each in (*SUPPORT, QUERY[0]))
    inputs[:, :, 1] = 0
    made.train()(inputs, targets, queries).surrogate.backward()
    first = next(made.parameters()).grad
    assert first is not None
    assert first[:, 0].any()
    assert not first[:, 1].any()


def test_the_steps_take_all_examples_where_they_are_fewer_than_the_parts() -> None:
    """Three steps, and four examples with one to a part."""
    made = learner(REPTILE, examples_per_step=1).train()
    found = made(*SUPPORT, QUERY[0]).outputs
    for example in range(SHOTS):
        targets = SUPPORT[1].clone()
        targets[:, example] += 1
        assert not torch.equal(made(SUPPORT[0], targets, QUERY[0]).outputs, found), example


@pytest.mark.parametrize("how", [MAML, REPTILE], ids=lambda how: how.algorithm)
def test_evaluation_adapts_by_its_own_steps_where_no_gradient_is_wanted(how: Adaptation) -> None:
    made = learner(how)
    with torch.no_grad():
        found = made.eval()(*SUPPORT, QUERY[0])
    assert not found.outputs.requires_grad
    for episode in range(EPISODES):
        torch.testing.assert_close(found.outputs[episode].squeeze(1), plainly(made, how, how.inner_steps_evaluation, episode))


def test_reptile_has_no_inner_rates_to_learn() -> None:
    names = [name for name, _ in learner(REPTILE).named_parameters()]
    assert names == [name for name, _ in mlp((2,), 1, width=8).named_parameters()]
