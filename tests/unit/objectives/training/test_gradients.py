import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from torch.testing import assert_close

from objectives.training.gradients import Clipping, FlatGradients
from tests.unit.objectives.rounding import EPS

INPUTS = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    """Its first weights are those of a normalization: no matrix."""
    model = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    generator = torch.Generator().manual_seed(0)
    for weights in model.parameters():
        nn.init.normal_(weights, generator=generator)
    return model


IN_ANOTHER_ORDER: dict[str, float] = {"rtol": EPS * sum(weights.numel() for weights in network().parameters()), "atol": 0.0}
"""PyTorch's norm is that of the norms of all layers, ours is of all gradients at once, and gradients are clipped by it: a
rounding for each square that is summed."""


def gradients(model: nn.Module) -> list[Tensor]:
    return [weights.grad for weights in model.parameters() if weights.grad is not None]


def backward(model: nn.Module) -> None:
    model(INPUTS).square().sum().backward()


def pair() -> tuple[FlatGradients, nn.Sequential, nn.Sequential]:
    """The same gradients twice: in a vector, the model with it, and a model as PyTorch has it."""
    ours, theirs = network(), network()
    flat = FlatGradients(ours)
    backward(ours)
    backward(theirs)
    return flat, ours, theirs


def test_backward_fills_the_gradients_that_it_always_does() -> None:
    _flat, ours, theirs = pair()
    assert len(gradients(ours)) == 8
    assert_close(gradients(ours), gradients(theirs), rtol=0, atol=0)


def test_the_norm_is_the_total_norm_of_pytorch() -> None:
    flat, _ours, theirs = pair()
    assert_close(flat.norm(), get_total_norm(gradients(theirs)), **IN_ANOTHER_ORDER)


@pytest.mark.parametrize(
    ("clip_norm", "clip_value"),
    [
        pytest.param(1.0, 0.0, id="norm"),
        pytest.param(1e6, 0.0, id="norm far above"),
        pytest.param(0.0, 1.0, id="value"),
        pytest.param(0.0, 1e6, id="value far above"),
        pytest.param(1.0, 1.0, id="both"),
        pytest.param(1.0, 1e6, id="both, value far above"),
        pytest.param(1e6, 1.0, id="both, norm far above"),
        pytest.param(1e6, 1e6, id="both, both far above"),
        pytest.param(20.0, 1.0, id="both, norm above once values are cut"),
    ],
)
def test_clipping_is_that_of_pytorch_values_first_and_tells_whether_it_changed_anything(
    clip_norm: float, clip_value: float
) -> None:
    flat, ours, theirs = pair()
    before = copy.deepcopy(gradients(ours))
    clipped = flat.clip(Clipping(clip_norm=clip_norm, clip_value=clip_value), flat.norm())
    if clip_value:
        clip_grad_value_(theirs.parameters(), clip_value)
    if clip_norm:
        clip_grad_norm_(theirs.parameters(), clip_norm)
    assert_close(gradients(ours), gradients(theirs), **IN_ANOTHER_ORDER)
    assert clipped is not None
    assert clipped.item() is not all(map(torch.equal, gradients(ours), before))


def test_the_limit_of_20_in_the_case_above_lies_between_the_norms_before_and_after_values_are_cut() -> None:
    flat, _ours, _theirs = pair()
    before = flat.norm().item()
    flat.clip(Clipping(clip_norm=0.0, clip_value=1.0), flat.norm())
    assert flat.norm().item() < 20 < before


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_single_value_above_the_limit_is_cut_and_told(sign: int) -> None:
    flat, ours, _theirs = pair()
    flat.zero()
    gradients(ours)[3][2] = sign * 0.5
    clipped = flat.clip(Clipping(clip_norm=0.0, clip_value=0.4), flat.norm())
    assert clipped is not None
    assert clipped.item()
    assert gradients(ours)[3][2].item() == pytest.approx(sign * 0.4)


def test_without_limits_nothing_changes_and_nothing_is_told() -> None:
    flat, ours, theirs = pair()
    assert flat.clip(Clipping(clip_norm=0.0, clip_value=0.0), flat.norm()) is None
    assert_close(gradients(ours), gradients(theirs), rtol=0, atol=0)


def test_a_gradient_of_zero_stays_zero() -> None:
    flat, ours, _theirs = pair()
    flat.zero()
    clipped = flat.clip(Clipping(clip_norm=1.0, clip_value=1.0), flat.norm())
    assert clipped is not None
    assert not clipped.item()
    assert not any(gradient.any() for gradient in gradients(ours))


def test_a_tiny_gradient_is_clipped_as_pytorch_clips_it() -> None:
    flat, ours, theirs = pair()
    for gradient in (*gradients(ours), *gradients(theirs)):
        gradient.mul_(1e-8)
    flat.clip(Clipping(clip_norm=1e-7, clip_value=0.0), flat.norm())
    clip_grad_norm_(theirs.parameters(), 1e-7)
    assert_close(gradients(ours), gradients(theirs), **IN_ANOTHER_ORDER)


def test_zero_keeps_the_views_and_the_next_backward_adds_to_the_vector() -> None:
    flat, ours, theirs = pair()
    places = [gradient.data_ptr() for gradient in gradients(ours)]
    flat.zero()
    assert flat.norm().item() == 0
    assert not any(gradient.any() for gradient in gradients(ours))
    backward(ours)
    assert_close(flat.norm(), get_total_norm(gradients(theirs)), **IN_ANOTHER_ORDER)
    backward(ours)
    assert_close(flat.norm(), 2 * get_total_norm(gradients(theirs)), **IN_ANOTHER_ORDER)
    assert [gradient.data_ptr() for gradient in gradients(ours)] == places


def test_an_optimizer_steps_along_the_gradients_in_the_vector() -> None:
    flat, ours, theirs = pair()
    flat.clip(Clipping(clip_norm=1.0, clip_value=0.0), flat.norm())
    clip_grad_norm_(theirs.parameters(), 1.0)
    for model in (ours, theirs):
        torch.optim.SGD(model.parameters(), 0.1).step()
    # The step is off as gradients are; what it leads to is rounded once.
    longest_step = max(0.1 * float(gradient.abs().max()) for gradient in gradients(theirs))
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=EPS, atol=IN_ANOTHER_ORDER["rtol"] * longest_step)


def test_flow_compares_root_mean_squares_of_the_first_and_the_last_matrix() -> None:
    flat, _ours, theirs = pair()
    first, last = (gradients(theirs)[place].square().mean().item() for place in (2, 6))
    assert flat.flow().item() == pytest.approx(math.sqrt(first / last), rel=IN_ANOTHER_ORDER["rtol"])
    assert first != pytest.approx(last, rel=0.1)
