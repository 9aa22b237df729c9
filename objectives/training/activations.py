"""The activation modules that are known to the training: their gains, and their dead units."""

from torch import nn

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid)
