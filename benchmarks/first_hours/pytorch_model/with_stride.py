"""A small convolutional network on our own pictures, in digits.npz."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))


class Net(nn.Module):
    def __init__(self, channels=8, n_classes=10):
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.Sequential(Block(channels), nn.MaxPool2d(2), Block(channels))
        self.last = nn.Linear(channels, n_classes)

    def forward(self, x):
        return self.last(self.blocks(torch.relu(self.first(x))).mean((2, 3)))


def load(path="digits.npz"):
    with np.load(path) as file:
        images = torch.tensor(file["images"], dtype=torch.float32).unsqueeze(1) / 16
        labels = torch.tensor(file["labels"])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return [TensorDataset(images[part], labels[part]) for part in order.split([1100, 350, 347])]


def validate(net, validation):
    net.eval()
    loss = correct = 0.0
    with torch.no_grad():
        for images, labels in DataLoader(validation, batch_size=256):
            outputs = net(images)
            loss += nn.functional.cross_entropy(outputs, labels, reduction="sum").item()
            correct += (outputs.argmax(1) == labels).sum().item()
    return loss / len(validation), correct / len(validation)


def train(lr=0.01, momentum=0.9, batch_size=64, epochs=5):
    training, validation, _ = load()
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    for epoch in range(epochs):
        net.train()
        for images, labels in DataLoader(training, batch_size=batch_size, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
        loss, accuracy = validate(net, validation)
        print(f"epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.3f}")
    return loss


def model(params, settings): return Net()
def data(settings): return load()


if __name__ == "__main__":
    train()
