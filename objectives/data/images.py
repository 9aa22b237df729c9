"""Labelled images in memory, as the models take them."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images and the classes they show."""

    images: Tensor
    """(n, channels, height, width), float32."""
    labels: Tensor
    """(n,), int64, from 0 to n_classes - 1."""

    def to(self, device: torch.device) -> "LabelledImages":
        return LabelledImages(images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, kw_only=True)
class ImageSets:
    """A dataset in three parts that share no image: to train on, to search by, and to report once at the end."""

    training: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    n_classes: int

    def to(self, device: torch.device) -> "ImageSets":
        return ImageSets(
            training=self.training.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
            n_classes=self.n_classes,
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.training.images.shape[1:]
        return channels, height, width
