"""A small convolutional network for images."""

from torch import nn

CHANNELS = (16, 32)


def cnn(image_shape: tuple[int, int, int], n_classes: int) -> nn.Sequential:
    """Two 3x3 convolutions of CHANNELS channels, each rectified and halved by max pooling.

    Maps images (n, channels, height, width) to logits (n, n_classes). The last module is the output layer.
    """
    channels, height, width = image_shape
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(channels, first, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), n_classes),
    )
