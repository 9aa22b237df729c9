"""A small residual network for images.

He et al., "Deep Residual Learning for Image Recognition" (2016), section 4.2, https://arxiv.org/abs/1512.03385: its networks
for CIFAR-10 with one block per stage (ResNet-8). Deviation: where a block changes the shape, its shortcut is a 1x1 convolution
(option B of the paper) instead of zero padding.
"""

from torch import Tensor, nn

from objectives.models.layers import ACTIVATIONS, PLAIN, Between

CHANNELS = (16, 32, 64)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; `stride` 2 halves height and width."""

    def __init__(self, channels: int, n_channels: int, stride: int, between: Between) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, n_channels, kernel_size=3, stride=stride, padding=1),
            *between.modules(n_channels, "channels", usual="batch"),
            nn.Conv2d(n_channels, n_channels, kernel_size=3, padding=1),
            *between.norm(n_channels, "channels", usual="batch"),
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels == n_channels
            else nn.Sequential(
                nn.Conv2d(channels, n_channels, kernel_size=1, stride=stride),
                *between.norm(n_channels, "channels", usual="batch"),
            )
        )
        self.activation = ACTIVATIONS[between.activation]()

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.activation(self.residual(images) + self.shortcut(images))
        return outputs


def resnet(input_shape: tuple[int, ...], n_outputs: int, between: Between = PLAIN) -> nn.Sequential:
    """A convolution, three stages of one block each with CHANNELS channels, and global average pooling.

    Maps images (n, channels, height, width) to outputs (n, n_outputs). The last module is the output layer.
    """
    first, second, third = CHANNELS
    return nn.Sequential(
        nn.Conv2d(input_shape[0], first, kernel_size=3, padding=1),
        *between.norm(first, "channels", usual="batch"),
        ACTIVATIONS[between.activation](),
        ResidualBlock(first, first, 1, between),
        ResidualBlock(first, second, 2, between),
        ResidualBlock(second, third, 2, between),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        *between.dropouts(),
        nn.Linear(third, n_outputs),
    )
