"""A network that learns Friedman's function of ten numbers from noisy examples, trained by a loop of our own."""

import stride
import torch
from sklearn.datasets import make_friedman1
from torch import nn

SEEN = 900
"""Examples to train on; the others are left for validation."""


def load():
    x, y = make_friedman1(n_samples=1200, noise=1.0, random_state=0)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return 2 * x - 1, (y - y.mean()) / y.std()


def train(lr=0.01, batch_size=32, epochs=20):
    x, y = load()
    net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in stride.steps(epochs, net, optimizer, schedule):
        net.train()
        total = 0.0
        for batch in torch.randperm(SEEN).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(x[batch]).squeeze(1), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        net.eval()
        with torch.no_grad():
            validation_loss = nn.functional.mse_loss(net(x[SEEN:]).squeeze(1), y[SEEN:]).item()
        stride.report(training_loss=total / SEEN, validation_loss=validation_loss)
    return validation_loss


if __name__ == "__main__":
    train()
