from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from objectives.contract import DataProblem
from objectives.training.transfer import transferred, without_prefix


def network(n_classes: int = 3, width: int = 4, *, deep: bool = False) -> nn.Sequential:
    more = [nn.Linear(width, width), nn.ReLU()] if deep else []
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), *more, nn.Linear(width, n_classes))


def weights(n_classes: int = 3, width: int = 4, *, deep: bool = False) -> Mapping[str, Tensor]:
    return {name: torch.ones_like(value) for name, value in network(n_classes, width, deep=deep).state_dict().items()}


BODY = {
    *("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"),
}


@pytest.mark.parametrize(
    ("given", "new_head"),
    [
        (weights(n_classes=5), False),
        (weights(), True),
        ({name: value for name, value in weights().items() if not name.startswith("3.")}, False),
    ],
)
def test_the_last_layer_is_new_where_it_is_another_or_missing_or_is_to_be(given: Mapping[str, Tensor], new_head: bool) -> None:
    taken, note = transferred(given, network(), "a.pt", new_head=new_head)
    assert set(taken) == BODY
    assert note == "Took the weights of a.pt, all but the last layer, 3, which is new."


def test_the_last_layer_is_kept_where_it_fits() -> None:
    taken, note = transferred(weights(), network(), "a.pt", new_head=False)
    assert set(taken) == {*BODY, "3.weight", "3.bias"}
    assert note == "Took the weights of a.pt, with its last layer."


def test_the_first_weights_that_do_not_fit_are_named_with_the_file() -> None:
    with pytest.raises(DataProblem) as caught:
        transferred(weights(width=8), network(), "a.pt", new_head=False)
    assert str(caught.value) == (
        "a.pt does not fit the network: 0.weight is (8, 2) instead of (4, 2), 0.bias is (8,) instead of (4,), 1.weight is (8,)"
        " instead of (4,), and 3 more so."
    )


def test_missing_and_unexpected_weights_are_named() -> None:
    with pytest.raises(DataProblem, match=r"does not fit the network: 3.weight is missing, 3.bias is missing\.$"):
        transferred(
            {name: value for name, value in weights().items() if name in BODY}, network(deep=True), "a.pt", new_head=False
        )
    with pytest.raises(DataProblem, match=r"does not fit the network: the network has no 5.weight, the network has no 5.bias\.$"):
        transferred(weights(deep=True), network(), "a.pt", new_head=False)


@pytest.mark.parametrize("number_type", [torch.int8, torch.int64, torch.bool])
def test_weights_that_are_no_fractions_are_named_with_their_type(number_type: torch.dtype) -> None:
    given = {name: value.to(number_type) if name == "3.weight" else value for name, value in weights().items()}
    kind = str(number_type).removeprefix("torch.")
    with pytest.raises(DataProblem, match=rf"^a.pt does not fit the network: 3.weight is {kind} instead of float32\.$"):
        transferred(given, network(), "a.pt", new_head=False)


@pytest.mark.parametrize("missing", ["3.bias", "3.weight"])
def test_a_part_of_the_last_layer_is_not_taken_for_none(missing: str) -> None:
    given = {name: value for name, value in weights().items() if name != missing}
    with pytest.raises(DataProblem, match=rf"^a.pt does not fit the network: {missing} is missing\.$"):
        transferred(given, network(), "a.pt", new_head=False)


@pytest.mark.parametrize("prefix", ["", "model.", "net._orig_mod."])
def test_what_all_names_begin_with_is_left_out_where_they_fit_without_it(prefix: str) -> None:
    given = {f"{prefix}{name}": value for name, value in weights().items()}
    assert without_prefix(given, weights().keys()).keys() == weights().keys()


@pytest.mark.parametrize("names", [["model.0.weight", "loss.weight"], ["model.7.weight", "model.0.weight"], ["0.weight"], ["a"]])
def test_other_names_stay_as_they_are(names: list[str]) -> None:
    given = {name: torch.ones(1) for name in names}
    assert without_prefix(given, weights().keys()) == given
