"""How the weights of a model start."""

import torch
from torch import nn


def initialize(model: nn.Sequential, generator: torch.Generator) -> None:
    """Draw the weights of every linear and convolutional layer anew; biases start at zero.

    He et al., "Delving Deep into Rectifiers" (2015), eq. 10, https://arxiv.org/abs/1502.01852. Deviation: the last
    module, the output layer, starts at zero, so that the first loss is that of guessing, log(n_classes).
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.zeros_(model[-1].get_parameter("weight"))
