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


@stride.objective(space={"lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}}, steps=20)
def train(trial, batch_size=32, epochs=20):
    x, y = load()
    net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=trial.params["lr"], weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    first = 0
    if (saved := trial.restored()) is not None:
        net.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["epoch"] + 1
    for epoch in range(first, epochs):
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
        states = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        trial.save({"epoch": epoch, **states})
        if trial.report(epoch, validation_loss=validation_loss, training_loss=total / SEEN):
            break
    return validation_loss


if __name__ == "__main__":
    train()
