"""How a few-shot learner adapts to an episode: the inner loop of MAML and of Reptile."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import DEFINES_MEASURE, Parameter

_MAML = ({"algorithm": ("maml",)},)

ADAPTATION = (
    Parameter(
        name="inner_learning_rate",
        type="float",
        scale="log",
        default=0.01,
        description="Step size of the gradient descent by which the network adapts to an episode; where it is learned, the"
        " initial one. If it is far too high, the loss becomes nan whatever the learning rate.",
        low=0.0,
        low_open=True,
    ),
    Parameter(
        name="inner_steps",
        type="int",
        default=5,
        description="Steps of gradient descent on an episode's support set, in training (reptile: on parts of all its examples).",
        low=1,
    ),
    Parameter(
        name="inner_steps_evaluation",
        type="int",
        default=10,
        description="The same for the validation and test sets.",
        low=1,
    ),
    Parameter(
        name="inner_rates",
        type="categorical",
        default="per-weight",
        description="Inner learning rates that are learned with the initial weights: fixed (none), one for each layer's"
        " matrix and one for its bias, or one per weight (Meta-SGD: Li et al. 2017).",
        choices=("fixed", "per-layer", "per-weight"),
        applies_when=_MAML,
    ),
    Parameter(
        name="first_order",
        type="categorical",
        default=False,
        description="Leave out second derivatives, those of the inner gradients (first-order MAML: Finn et al. 2017).",
        choices=(False, True),
        applies_when=_MAML,
    ),
)

ALGORITHM: Mapping[str, Any] = {
    "algorithm": {
        "type": "string",
        "enum": ["maml", "reptile"],
        "default": "maml",
        "description": "maml: the gradient of the loss after adapting (Finn et al. 2017); reptile: the weights' change by"
        " adapting to support and query sets together (Nichol et al. 2018).",
        # Reptile's training loss is that of query sets which it has adapted to.
        DEFINES_MEASURE: ["training_loss"],
    },
}
