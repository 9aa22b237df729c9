"""A small convolutional network for images."""

from torch import nn

from objectives.models.layers import PLAIN, Between

CHANNELS = (16, 32)


def cnn(input_shape: tuple[int, ...], n_outputs: int, between: Between = PLAIN) -> nn.Sequential:
    """Two 3x3 convolutions with CHANNELS channels, each followed by an activation and 2x2 max pooling.

    Maps images (n, channels, height, width) to outputs (n, n_outputs). The last module is the output layer.
    """
    channels, height, width = input_shape
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(channels, first, kernel_size=3, padding=1),
        *between.modules(first, "channels"),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, kernel_size=3, padding=1),
        *between.modules(second, "channels"),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), n_outputs),
    )
